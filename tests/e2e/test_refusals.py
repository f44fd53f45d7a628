"""Logins that are refused write nothing and leave nothing."""

import re

import pytest

from rig import product, texts
from rig.machine import Machine
from rig.patience import wait_until


def test_the_wrong_person_is_refused(machine):
    watch, traces = machine.watch(), machine.traces()
    ended = machine.person.first_login("ann", approve_as="bob")
    assert ended.status == 255
    assert re.search(texts.wrong_person("bob", "ann"), ended.screen), ended.screen
    traces.assert_none()
    watch.one_verdict("refused", "wrong_person")
    assert machine.resolves("ann") is None
    assert machine.resolves("bob") is None


def test_the_wrong_person_is_refused_also_for_a_known_name(machine):
    assert machine.person.first_login("greta").status == 0
    watch, traces = machine.watch(), machine.traces()
    ended = machine.person.login_again("greta", approve_as="bob")
    assert ended.status == 255
    traces.assert_none()
    watch.one_verdict("refused", "wrong_person")


@pytest.mark.parametrize("login", [None, "ann"], ids=["at-the-code", "after-signing-in"])
def test_a_denied_login_is_refused(machine, login):
    watch, traces = machine.watch(), machine.traces()
    with machine.person.ssh("ann", "true") as terminal:
        prompt = machine.person.read_prompt(terminal)
        machine.provider.browser.deny(prompt.url, prompt.code, login)
        ended = machine.person.finish(terminal)
    assert ended.status == 255
    traces.assert_none()
    watch.one_verdict("refused", "denied")


def test_an_expired_code_is_refused(release):
    with Machine(release, provider={"device_ttl": 3}) as machine:
        watch, traces = machine.watch(), machine.traces()
        with machine.person.ssh("ann", "true") as terminal:
            machine.person.read_prompt(terminal)
            ended = machine.person.finish(terminal)
        assert ended.status == 255
        assert ended.seconds < 10
        traces.assert_none()
        watch.one_verdict("refused", "expired")


def test_a_client_that_goes_away_at_the_first_enter_costs_the_provider_nothing(machine):
    watch, traces = machine.watch(), machine.traces()
    with machine.person.ssh("ann", "true") as terminal:
        terminal.expect(texts.PRESS_ENTER)
        terminal.kill()
    traces.assert_none()
    watch.assert_no_network()
    watch.wait_for(r"ann.* 127\.0\.0\.1")


def test_a_client_that_goes_away_at_the_code_leaves_nothing(machine):
    watch, traces = machine.watch(), machine.traces()
    with machine.person.ssh("ann", "true") as terminal:
        machine.person.read_prompt(terminal)
        terminal.kill()
    traces.assert_none()
    watch.wait_for(r"ann.* 127\.0\.0\.1")
    assert len(watch.verdicts()) <= 1
    assert machine.resolves("ann") is None


def test_a_client_that_goes_away_while_we_poll_leaves_nothing_after_the_deadline():
    # sshd itself waits for the verdict then and does not see that the client has left. Both releases
    # wait side by side, because 30 s is the shortest grace time there is.
    config = {**product.ID_TOKEN, "login_grace": 30}
    with Machine("bookworm", config=config) as one, Machine("trixie", config=config) as other:
        left = [(machine, *_leave_while_it_polls(machine)) for machine in (one, other)]
        for machine, watch, traces in left:
            traces.assert_none(timeout=25)
            watch.wait_for(r"ann.* 127\.0\.0\.1")
            watch.one_verdict("refused", "expired")
            assert machine.resolves("ann") is None


def _leave_while_it_polls(machine):
    watch, traces = machine.watch(), machine.traces()
    with machine.person.ssh("ann", "true") as terminal:
        machine.person.read_prompt(terminal)
        terminal.send_line()
        wait_until(lambda: watch.requests().count("/token") >= 2, "two polls")
        terminal.kill()
    return watch, traces


@pytest.mark.parametrize("gate", ["first", "second"])
def test_a_password_typed_blindly_is_refused_and_forgotten(machine, gate):
    watch, traces = machine.watch(), machine.traces()
    with machine.person.ssh("ann", "true") as terminal:
        if gate == "second":
            machine.person.read_prompt(terminal)
        else:
            terminal.expect(texts.PRESS_ENTER)
        polls = watch.requests().count("/token")
        terminal.send_line("blind-Secret-9")
        if terminal.shows(texts.PASSWORD):
            terminal.send_line("")
        assert terminal.wait() == 255
    traces.assert_none()
    assert watch.requests().count("/token") == polls == 0
    if gate == "first":
        watch.assert_no_network()
    watch.one_verdict("refused", "typed_text")
    assert machine.sandbox.files_with("blind-Secret-9", "/var", "/run", "/tmp", "/home") == []
