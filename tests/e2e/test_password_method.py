"""sshd's `password` method can show no prompt: a password sent by it reaches nobody and no log."""

import pytest

from rig.ssh_client import KEYBOARD, PASSWORD

SECRET = "typed-Secret-5"


@pytest.mark.parametrize("known", [False, True], ids=["stranger", "known"])
def test_the_password_method_contacts_nobody_and_logs_no_password(machine, known):
    if known:
        assert machine.person.first_login("ann").status == 0
    watch, traces = machine.watch(), machine.traces()
    ended = machine.person.password_login("ann", SECRET, how=PASSWORD)
    assert ended.status == 255, ended.screen
    watch.assert_no_network()
    watch.one_verdict("unavailable", "no_prompt")
    traces.assert_none()
    assert machine.sandbox.files_with(SECRET, "/var", "/run", "/tmp", "/etc", "/home") == []


@pytest.mark.parametrize("how", [KEYBOARD, PASSWORD], ids=["keyboard-interactive", "password"])
def test_a_wrong_password_of_a_local_person_is_still_wrong(machine, how):
    watch = machine.watch()
    assert machine.person.password_login("localu", SECRET, how=how).status == 255
    assert machine.person.password_login("root", SECRET, how=how).status == 255
    watch.assert_no_network()
    assert watch.verdicts() == []
