"""`oauth2ctl login NAME`: the whole pipeline on the administrator's terminal."""

import json

import pytest

from rig.machine import Machine


@pytest.fixture(scope="module")
def machine():
    with Machine("bookworm") as ready:
        yield ready


def trial(machine, *arguments, approve_as, gate=True):
    with machine.person.start(["oauth2ctl", "login", *arguments]) as terminal:
        prompt = machine.person.read_prompt(terminal, gate)
        machine.person.approve(prompt, approve_as)
        return machine.person.finish(terminal)


def test_a_trial_login_goes_through_and_records_nothing(machine):
    ended = trial(machine, "ann", approve_as="ann")
    assert ended.status == 0, ended.screen
    assert "for the first time" in ended.output and "nothing was recorded" in ended.output
    assert machine.store("select count(*) from identity") == "0"
    assert machine.resolves("ann") is None


def test_for_a_program_the_prompt_is_on_standard_error_and_the_answer_one_object(machine):
    with machine.person.start(["sh", "-c", "oauth2ctl --json login frank > /tmp/answer"]) as terminal:
        machine.person.approve(machine.person.read_prompt(terminal), "frank")
        assert machine.person.finish(terminal).status == 0
    answer = json.loads(machine.sandbox.read("/tmp/answer"))
    assert (answer["name"], answer["first"], answer["recorded"]) == ("frank", True, False)
    assert not answer["changed"]


def test_a_service_that_is_not_listed_is_not_tried(machine):
    watch = machine.watch()
    done = machine.sandbox.run("oauth2ctl login ann --service sudo", check=False)
    assert done.returncode == 1 and "services" in done.stderr
    watch.assert_no_network()


def test_a_trial_login_by_the_wrong_person_says_so(machine):
    ended = trial(machine, "ann", approve_as="bob")
    assert ended.status == 7, ended.screen
    assert "wrong_person" in ended.output and "bob" in ended.output


def test_a_recorded_login_is_one_like_any_other(machine):
    ended = trial(machine, "carol", "--record", approve_as="carol")
    assert ended.status == 0, ended.screen
    assert machine.resolves("carol").startswith("carol:x:")
    again = trial(machine, "carol", approve_as="carol", gate=False)
    assert "again" in again.output


@pytest.mark.parametrize("name, status", [("localu", 1), ("0", 7), ("sudo", 7)])
def test_a_name_that_cannot_sign_in_is_refused_before_any_network(machine, name, status):
    watch = machine.watch()
    done = machine.sandbox.run(["oauth2ctl", "login", name], check=False)
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("oauth2ctl: ")
    watch.assert_no_network()


def test_a_provider_that_is_down_has_an_exit_status_of_its_own(machine):
    machine.provider.stop()
    try:
        with machine.person.start(["oauth2ctl", "login", "ann"]) as terminal:
            terminal.expect("Press Enter")
            ended = machine.person.finish(terminal)
        assert ended.status == 6, ended.screen
    finally:
        machine.provider.start()
