"""A lock and an expiry bite everywhere at once, and are taken back."""

import datetime

import pytest

from rig import product
from rig.machine import Machine

TODAY = datetime.datetime.now(datetime.timezone.utc).date()
TOMORROW = TODAY + datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release) as ready:
        assert ready.person.first_login("ann", command="mkdir -m 700 .ssh").status == 0
        key = ready.sandbox.read(product.ROOT_KEY + ".pub")
        ready.sandbox.write("/home/ann/.ssh/authorized_keys", key)
        yield ready


def ctl(machine, command):
    return machine.sandbox.output(f"oauth2ctl user {command}")


def comes_in(machine, name="ann"):
    """Key, cron and su, and whether they agree."""
    answers = {
        "key": machine.person.key_login(name, product.ROOT_KEY).status == 0,
        "cron": machine.sandbox.succeeds(f"pamtester cron {name} acct_mgmt"),
        "su": machine.sandbox.succeeds(f"su {name} -c true"),
    }
    assert len({*answers.values()}) == 1, answers
    return answers["key"]


def test_a_lock_bites_on_keys_cron_and_su_and_unlocking_restores_them(machine):
    assert comes_in(machine)
    assert "ann is locked" in ctl(machine, "lock ann")
    assert not comes_in(machine)
    assert machine.resolves("ann").endswith(":/nonexistent/oauth2-locked")
    assert "no change" in ctl(machine, "lock ann")
    assert "confirmed" in ctl(machine, "unlock ann")
    assert comes_in(machine)
    assert "no change" in ctl(machine, "unlock ann")
    assert machine.person.login_again("ann").status == 0


def test_a_locked_person_never_reaches_the_provider_and_the_log_names_the_remedy(machine):
    ctl(machine, "lock ann")
    watch = machine.watch()
    try:
        assert machine.person.try_everything("ann") == 255
        machine.sandbox.run("pamtester sshd ann authenticate", check=False, input="\n")
        watch.assert_no_network()
        watch.wait_for(r"reason=locked .*oauth2ctl user unlock ann ")
    finally:
        ctl(machine, "unlock ann")


def test_a_session_that_runs_survives_the_lock(machine):
    with machine.person.ssh("ann", how=("-tt", "-i", product.ROOT_KEY)) as terminal:
        terminal.expect(r"\$ ")
        ctl(machine, "lock ann")
        try:
            terminal.send_line("echo still-$((40 + 2))")
            terminal.expect("still-42")
            assert machine.person.key_login("ann", product.ROOT_KEY).status == 255
        finally:
            ctl(machine, "unlock ann")


def test_the_day_of_expiry_is_the_first_day_without_access(machine):
    try:
        assert "works until" in ctl(machine, f"expire ann {TOMORROW}")
        assert comes_in(machine)
        assert str(TOMORROW) in ctl(machine, "show ann")
        ctl(machine, f"expire ann {TODAY}")
        watch = machine.watch()
        assert not comes_in(machine)
        machine.sandbox.run("pamtester sshd ann authenticate", check=False, input="\n")
        watch.wait_for(r"reason=account_expired .*oauth2ctl user expire ann ")
        watch.assert_no_network()
        assert "expired on" in ctl(machine, "unlock ann")
        assert not comes_in(machine)
    finally:
        ctl(machine, "expire ann never")
    assert comes_in(machine)


def test_whoever_has_not_signed_in_is_reserved_again_after_an_unlock(machine):
    ctl(machine, "add lara")
    ctl(machine, "lock lara")
    assert machine.person.try_everything("lara") == 255
    assert "reserved" in ctl(machine, "unlock lara")
    assert not machine.sandbox.succeeds("pamtester cron lara acct_mgmt")
    assert machine.person.first_login("lara", command="id -un").output.strip() == "lara"


def test_every_change_is_an_event_of_the_administrator(machine):
    machine.sandbox.run("SUDO_USER=carol oauth2ctl user lock ann && oauth2ctl user unlock ann")
    events = machine.store("select kind, actor from event where login_name = 'ann' order by id desc limit 2")
    # Who used sudo is what the environment says: it stands beside the real user, not in their place.
    assert events.splitlines() == ["unlocked|root", "locked|root (sudo: carol)"]
    assert "user locked user=ann" in machine.sandbox.log()


@pytest.mark.parametrize("command", ["lock", "unlock", "bind {} https://i s", "pin {} --uid 5000", "expire {} never",
                                     "rename {} other"])
def test_nobody_of_the_name_is_exit_code_4(machine, command):
    words = command if "{}" in command else command + " {}"
    done = machine.sandbox.run("oauth2ctl user " + words.format("nobody-of-that-name"), check=False)
    assert done.returncode == 4, done.stderr


@pytest.mark.parametrize("command", ["expire ann 2027-02-30", "expire ann soon", "pin ann --uid 999", "add x --uid root"])
def test_a_value_that_is_none_is_a_usage_error(machine, command):
    assert machine.sandbox.run("oauth2ctl user " + command, check=False).returncode == 2
