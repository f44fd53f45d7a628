"""The provider is down, slow, broken or not the one it should be."""

import re

import pytest

from rig import product, texts
from rig.machine import Machine

HTTP_TIMEOUT = 2  # seconds; the default of 10 would only make the tests longer
AT_ONCE = 4  # seconds, pam_unix's pause after a refusal included
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def machine():
    config = {**product.ID_TOKEN, "http_timeout": HTTP_TIMEOUT}
    with Machine("bookworm", config=config) as ready:
        assert ready.person.first_login("known", command="mkdir -m 700 .ssh").status == 0
        key = ready.sandbox.read(product.ROOT_KEY + ".pub")
        ready.sandbox.write("/home/known/.ssh/authorized_keys", key)
        yield ready


@pytest.fixture(autouse=True)
def healthy_again(machine):
    yield
    machine.provider.control.clear_faults()


def _refused_at_the_first_enter(machine, name="ann"):
    """Presses Enter, waits for the end (pam_unix may still ask) and returns ssh's run."""
    with machine.person.ssh(name, "true") as terminal:
        terminal.expect(texts.PRESS_ENTER)
        ended = machine.person.finish_or_password(terminal)
    assert ended.status == 255, ended.screen
    assert not re.search(texts.CODE, ended.screen)
    return ended


def test_a_provider_that_is_down_is_said_at_once(machine):
    watch = machine.watch()
    machine.provider.stop()
    try:
        ended = _refused_at_the_first_enter(machine)
        assert machine.person.key_login("known", product.ROOT_KEY).status == 0
        assert machine.person.key_login("root", product.ROOT_KEY).status == 0
    finally:
        machine.provider.start()
    assert ended.seconds < AT_ONCE
    watch.one_verdict("unavailable", "provider_unreachable")
    assert machine.resolves("ann") is None


def test_a_certificate_of_an_unknown_authority_is_fatal_at_once(machine):
    watch, traces = machine.watch(), machine.traces()
    machine.provider.control.unknown_ca()
    ended = _refused_at_the_first_enter(machine)
    assert ended.seconds < AT_ONCE
    traces.assert_none()
    assert machine.provider.control.counters()["tls_failures"] == 1
    assert watch.requests() == []
    watch.one_verdict("unavailable", "provider_certificate")


def test_a_certificate_that_turns_bad_while_we_poll_is_fatal_at_once(machine):
    watch, traces = machine.watch(), machine.traces()
    with machine.person.ssh("ann", "true") as terminal:
        machine.person.read_prompt(terminal)
        machine.provider.control.unknown_ca()
        ended = machine.person.finish_or_password(terminal)
    assert ended.status == 255
    assert ended.seconds < AT_ONCE + 1  # one interval before the first poll
    traces.assert_none()
    assert "/token" not in watch.requests()
    watch.one_verdict("unavailable", "provider_certificate")


@pytest.mark.parametrize("status", [503, 429])
def test_polling_goes_on_after_two_refusals_to_work(machine, status):
    watch = machine.watch()
    name = f"patient{status}"
    with machine.person.ssh(name, "true") as terminal:
        prompt = machine.person.read_prompt(terminal)
        machine.person.approve(prompt, name)
        machine.provider.control.answer("^/token$", status, count=2)
        ended = machine.person.finish(terminal, timeout=60)
    assert ended.status == 0, ended.screen
    assert watch.requests().count("/token") == 3
    watch.one_verdict("admitted")


def test_polling_goes_on_after_a_dropped_connection_and_a_hanging_answer(machine):
    watch = machine.watch()
    with machine.person.ssh("patient", "true") as terminal:
        prompt = machine.person.read_prompt(terminal)
        machine.person.approve(prompt, "patient")
        machine.provider.control.drop("^/token$", count=1)
        machine.provider.control.hang("^/token$", count=1)
        ended = machine.person.finish(terminal, timeout=60)
    assert ended.status == 0, ended.screen
    watch.one_verdict("admitted")


def test_slow_down_adds_five_seconds():
    # 2 s + 5 s: the provider closes a connection that was idle for 6 s, and a poll in that very moment
    # would be told nothing and start over with twice the interval.
    with Machine("bookworm", provider={"interval": 2}) as machine:
        watch = machine.watch()
        with machine.person.ssh("slow", "true") as terminal:
            prompt = machine.person.read_prompt(terminal)
            machine.person.approve(prompt, "slow")
            machine.provider.control.slow_down(1)
            ended = machine.person.finish(terminal, timeout=60)
        assert ended.status == 0, ended.screen
        watch.one_verdict("admitted")
        first, second = [line["at_ms"] for line in machine.provider.control.log()
                         if line["path"] == "/token"]
        assert 6900 <= second - first <= 9000


@pytest.mark.parametrize("fault", ["tls", "answer"])
def test_a_provider_that_hangs_is_given_up_after_the_timeout(machine, fault):
    watch, traces = machine.watch(), machine.traces()
    if fault == "tls":
        machine.provider.control.stall_tls()
    else:
        machine.provider.control.hang(DISCOVERY)
    ended = _refused_at_the_first_enter(machine)
    assert HTTP_TIMEOUT <= ended.seconds < 3 * HTTP_TIMEOUT + AT_ONCE
    traces.assert_none()
    watch.one_verdict("unavailable", "provider_unreachable")


def test_a_device_endpoint_that_answers_503_for_good_is_unavailable(machine):
    watch, traces = machine.watch(), machine.traces()
    machine.provider.control.answer("^/device/auth$", 503)
    _refused_at_the_first_enter(machine)
    traces.assert_none()
    line = watch.one_verdict("unavailable")
    assert line.fields["reason"] != "none"


def test_a_known_person_is_refused_while_the_provider_is_down_but_comes_in_by_key(machine):
    machine.provider.stop()
    try:
        with machine.person.ssh("known", "true") as terminal:
            ended = machine.person.finish_or_password(terminal)
        assert ended.status == 255
        assert machine.person.key_login("known", product.ROOT_KEY).status == 0
    finally:
        machine.provider.start()
