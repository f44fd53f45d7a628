"""What Microsoft Entra ID refuses: the log names the number and the remedy, and who has to do something."""

import re
import uuid

import pytest

from rig import texts
from rig.entra import ANN, PUBLIC, SECRET, WITH_SECRET, EntraMachine, config, path

NOBODY = str(uuid.UUID(int=7))


@pytest.fixture
def machine(shared_machine):
    shared_machine.as_usual()
    return shared_machine


def refused(machine, result):
    """A login over ssh that ends so; its line in the log."""
    watch, traces = machine.watch(), machine.traces()
    ended = machine.attempt(ANN)
    assert ended.status == 255, ended.screen
    traces.assert_none()
    line = watch.one_verdict(result)
    assert "AADSTS" not in ended.screen, "a stranger reads how this machine is registered"
    # PAM_SERVICE_ERR leaves the stack to pam_unix, which asks; PAM_AUTH_ERR ends it.
    assert bool(re.search(texts.PASSWORD, ended.screen, re.MULTILINE)) == (result == "error"), ended.screen
    return line


def assert_says(line, number, word):
    assert f"AADSTS{number}" in line.text, line.text
    assert word.lower() in line.text.lower(), line.text


@pytest.mark.parametrize("change, number, remedy", [
    ({"client_id": NOBODY}, 700016, "client_id"),
    ({"tenant_id": NOBODY}, 90002, "tenant_id"),
    ({"client_id": WITH_SECRET}, 7000218, "public client"),
    ({"client_id": PUBLIC, "client_secret": SECRET}, 700025, "client_secret"),
    ({"client_id": WITH_SECRET, "client_secret": "wrong"}, 7000215, "client_secret"),
], ids=lambda value: str(value) if isinstance(value, int) else "")
def test_a_mistake_in_the_configuration_is_an_error_that_names_the_remedy(machine, change, number, remedy):
    machine.reconfigure(config(**change))
    assert_says(refused(machine, "error"), number, remedy)


def test_a_tenant_named_by_an_unknown_domain_is_an_error_too(machine):
    machine.reconfigure(config(tenant_id="nowhere.test"))
    assert_says(refused(machine, "error"), 90002, "tenant_id")


@pytest.mark.parametrize("endpoint", ["devicecode", "token"])
@pytest.mark.parametrize("number, remedy", [
    (700016, "client_id"), (7000218, "public client"), (700025, "client_secret"), (7000215, "client_secret"),
    (65001, "consent"), (90002, "tenant_id"),
])
def test_a_mistake_of_the_registration_is_an_error_wherever_entra_notices_it(machine, endpoint, number, remedy):
    machine.provider.settings(errors={endpoint: number})
    ended = machine.trial(ANN)
    assert ended.status == 1, ended.screen
    assert f"AADSTS{number}" in ended.screen
    assert remedy.lower() in ended.screen.lower()


@pytest.mark.parametrize("number, remedy", [(53003, "conditional access"), (50105, "assign"), (50057, "disabled")])
def test_a_person_whom_entra_does_not_let_in_is_refused(machine, number, remedy):
    machine.provider.people({ANN: {"refusal": number}})
    assert_says(refused(machine, "refused"), number, remedy)


def test_missing_consent_is_an_error_over_ssh(machine):
    machine.provider.people({ANN: {"refusal": 65001}})
    assert_says(refused(machine, "error"), 65001, "consent")


def test_a_secret_that_entra_refuses_is_not_in_the_log(machine):
    machine.reconfigure(config(client_id=WITH_SECRET, client_secret="a-wrong-Secret"))
    refused(machine, "error")
    assert "a-wrong-Secret" not in machine.sandbox.log()


def test_a_refusal_is_final(machine):
    machine.provider.people({ANN: {"refusal": 53003}})
    watch = machine.watch()
    machine.attempt(ANN)
    log = machine.provider.control.log()
    answered = [line["status"] for line in log if line["path"] == path("token")]
    assert answered == [400]
    watch.one_verdict("refused")


def test_who_declines_at_entra_is_refused(machine):
    watch, traces = machine.watch(), machine.traces()
    with machine.person.ssh(ANN, "true") as terminal:
        prompt = machine.person.read_prompt(terminal)
        machine.provider.browser.deny(prompt.url, prompt.code)
        ended = machine.person.finish(terminal)
    assert ended.status == 255
    traces.assert_none()
    watch.one_verdict("refused", "denied")


@pytest.mark.parametrize("number, reason", [(70020, "expired"), (70000, "expired")])
def test_a_code_that_is_no_longer_good_is_refused(machine, number, reason):
    machine.provider.settings(errors={"token": number})
    line = refused(machine, "refused")
    assert line.fields["reason"] == reason, line.text


def test_a_code_that_expires_unapproved_is_refused():
    with EntraMachine("bookworm", provider={"device_ttl": 3}) as machine:
        watch, traces = machine.watch(), machine.traces()
        with machine.person.ssh(ANN, "true") as terminal:
            machine.person.read_prompt(terminal)
            ended = machine.person.finish(terminal)
        assert ended.status == 255
        assert ended.seconds < 10
        traces.assert_none()
        watch.one_verdict("refused", "expired")


def test_the_prompt_shows_entras_address_and_code(machine):
    with machine.person.ssh(ANN, "true") as terminal:
        prompt = machine.person.read_prompt(terminal)
        assert prompt.url == "https://idp.test:8443/device"
        terminal.kill()
    for wanted in (texts.DO_NOT_APPROVE, "ann@contoso.test", prompt.code):
        assert re.search(wanted, prompt.text)
