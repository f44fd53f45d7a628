"""`oauth2ctl setup` on a terminal: what it asks, and a wrong answer to every question."""

import json
import re

import pytest

from rig import product
from rig.sandbox import ENVIRONMENT
from rig.setup import CA, ISSUER, SetupMachine
from rig.terminal import Terminal

# (what the line asks, wrong answers with what is said about them, the answer)
QUESTIONS = [
    ("Provider", [("google2", "none of entra"), ("", "answer is needed")], "oidc"),
    ("Issuer", [("idp.test", "no https URL"), ("http://idp.test:8443", "no https URL"), ("", "needed")], ISSUER),
    ("Client id", [("two words", "no blanks"), ("", "needed")], "linux-login"),
    ("Groups", [("everybody 3f1c-staff", "not both")], "3f1c-staff"),
    ("Domain to strip", [("example", "no domain"), ("a..b", "no domain")], "none"),
    ("First logins", [("ann!", "no pattern"), ("none ann!", "no pattern")], "*"),
    ("Days", [("0", "1 to 36500"), ("ten", "1 to 36500"), ("-1", "1 to 36500")], "14"),
]


@pytest.fixture
def machine():
    with SetupMachine() as ready:
        yield ready


def start(machine, options=""):
    line = f"oauth2ctl setup --ca-file {CA} --scope 'openid profile groups' {options}"
    return Terminal(machine.sandbox.inside("/bin/bash", "-c", line), ENVIRONMENT)


def answer(terminal, questions=QUESTIONS):
    for text, wrong, right in questions:
        terminal.expect(rf"^{re.escape(text)}.*: $")
        for attempt, complaint in wrong:
            terminal.send_line(attempt)
            terminal.expect(re.escape(complaint))
            terminal.expect(rf"^{re.escape(text)}.*: $")
        terminal.send_line(right)


def test_every_wrong_answer_is_refused_by_name_and_asked_again(machine):
    with start(machine) as terminal:
        answer(terminal)
        terminal.expect(r"Make these changes\? \[y/N\] ")
        terminal.send_line("y")
        assert terminal.wait(60) == 0, terminal.screen
    config = json.loads(machine.sandbox.read(product.CONFIG))
    assert config["allowed_groups"] == ["3f1c-staff"] and config["max_confirmation_age"] == 14
    assert machine.person.first_login("ann").status == 0
    assert machine.person.try_everything("mallory") == 255


def test_no_to_the_last_question_changes_nothing(machine):
    before = machine.files()
    with start(machine) as terminal:
        answer(terminal, [(text, [], right) for text, _, right in QUESTIONS])
        terminal.expect(r"Make these changes\? \[y/N\] ")
        terminal.send_line("")
        assert terminal.wait() == 7
    machine.assert_untouched(before)


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_and_the_end_of_input_change_nothing_at_any_question(machine, key):
    before = machine.files()
    for stop in range(len(QUESTIONS)):
        with start(machine) as terminal:
            answer(terminal, [(text, [], right) for text, _, right in QUESTIONS[:stop]])
            terminal.expect(rf"^{re.escape(QUESTIONS[stop][0])}.*: $")
            terminal.send(key)
            assert terminal.wait() != 0
    machine.assert_untouched(before)


def test_what_the_provider_refuses_is_said_with_a_remedy_and_asked_again(machine):
    with start(machine, "oidc --allow-group 3f1c-staff --domain example.com --max-confirmation-age none") as terminal:
        answer(terminal, [("Issuer", [], ISSUER), ("Client id", [], "not-known")])
        terminal.expect("registered under this id")
        answer(terminal, [("Issuer", [], ISSUER), ("Client id", [], "linux-login-secret")])
        terminal.expect(r"^Client secret.*: $")
        terminal.send(product.INTROSPECTION["client_secret"] + "x\x7f\n")
        terminal.expect(r"Make these changes\? \[y/N\] ")
        terminal.send_line("y")
        assert terminal.wait(60) == 0, terminal.screen
        assert product.INTROSPECTION["client_secret"] not in terminal.screen


# Whoever types at once, into a terminal that changes slowly, is not shown either.
SLOW_TERMINAL = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=ioctl", "-e", "inject=ioctl:delay_enter=300000", "--"]


@pytest.mark.parametrize("through", [[], SLOW_TERMINAL], ids=["terminal", "slow-terminal"])
def test_a_terminal_is_left_with_its_echo_after_ctrl_c_at_the_secret(machine, through):
    # With a trap of its own the shell goes on.
    line = f"trap : INT; oauth2ctl setup google --ca-file {CA} --client-id x; stty -a"
    with Terminal([*through, *machine.sandbox.inside("/bin/bash", "-c", line)], ENVIRONMENT) as terminal:
        terminal.expect(r"^Client secret.*: $")
        terminal.send("abc\x03")
        terminal.expect(r"\s-?echo\s")
        assert "-echo " not in terminal.screen
        asked = terminal.screen.split("speed")[0]  # stty names ^C too
        assert "abc" not in asked and "^C" not in asked


# On a machine whose sshd has its own limits, there is one question more.
SSHDS_OWN = {"LoginGraceTime": None, "MaxStartups": None, "PerSourcePenalties": None}
LIMITS = ("sshd's limits", [("perhaps", "neither yes nor no"), ("300", "neither yes nor no")], "no")


def test_a_wrong_answer_about_sshds_limits_is_asked_again_and_no_leaves_them():
    with SetupMachine(sshd=SSHDS_OWN) as machine:
        before = machine.files()
        asked = [*((text, [], right) for text, _, right in QUESTIONS), LIMITS]
        for key in ("\x03", "\x04"):
            with start(machine) as terminal:
                answer(terminal, asked[:-1])
                terminal.expect(r"^sshd's limits.*: $")
                terminal.send(key)
                assert terminal.wait() != 0
        machine.assert_untouched(before)
        with start(machine) as terminal:
            answer(terminal, asked)
            terminal.expect(r"Make these changes\? \[y/N\] ")
            assert "LoginGraceTime 300" in terminal.screen, "the question names them"
            terminal.send_line("y")
            assert terminal.wait(60) == 0, terminal.screen
        assert "maxstartups 10:30:100" in machine.sandbox.output("sshd -T")
        assert machine.set_up_json("--allow-group 3f1c-staff --max-confirmation-age 14")["changed"] is False


def test_every_wrong_answer_of_an_entra_tenant_is_refused_by_name(machine):
    before = machine.files()
    questions = [
        ("Provider", [("azure", "none of entra")], "entra"),
        ("Tenant", [("common", "one tenant"), ("a tenant", "neither a tenant"), ("", "needed")], "example.onmicrosoft.com"),
        ("Client id", [("two words", "no blanks")], "11111111-2222-3333-4444-555555555555"),
        ("Groups", [("staff", "object id")], "everybody"),
    ]
    with start(machine) as terminal:
        answer(terminal, questions)
        terminal.expect(r"^Domain to strip \[example.onmicrosoft.com\]: $")
        terminal.send("\x04")
        assert terminal.wait() == 7
    machine.assert_untouched(before)
