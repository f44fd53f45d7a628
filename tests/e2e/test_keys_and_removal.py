"""SSH keys open nothing that was not verified, and nothing that was taken away."""

import pytest

from rig import product
from rig.machine import Machine


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release) as ready:
        yield ready


def _plant_key(machine, home):
    key = machine.sandbox.read(product.ROOT_KEY + ".pub")
    machine.sandbox.write(f"{home}/.ssh/authorized_keys", key)


def test_a_key_opens_a_confirmed_name(machine):
    assert machine.person.first_login("ann", command="mkdir -m 700 .ssh").status == 0
    _plant_key(machine, "/home/ann")
    ended = machine.person.key_login("ann", product.ROOT_KEY, "id -un")
    assert (ended.status, ended.output.strip()) == (0, "ann")


def test_a_key_in_the_home_of_a_removed_user_does_not_log_in(machine):
    assert machine.person.first_login("rita", command="mkdir -m 700 .ssh").status == 0
    _plant_key(machine, "/home/rita")
    assert machine.person.key_login("rita", product.ROOT_KEY).status == 0
    machine.sandbox.run("oauth2ctl user remove rita")
    assert machine.resolves("rita") is None
    watch = machine.watch()
    assert machine.person.key_login("rita", product.ROOT_KEY).status == 255
    assert machine.person.try_everything("rita") == 255
    watch.assert_no_network()


def test_a_key_in_an_old_home_opens_no_name_never_seen(machine):
    machine.sandbox.run("mkdir -m 755 /home/oldie && mkdir -m 700 /home/oldie/.ssh")
    _plant_key(machine, "/home/oldie")
    watch = machine.watch()
    assert machine.person.key_login("oldie", product.ROOT_KEY).status == 255
    assert machine.person.try_everything("oldie") == 255
    watch.assert_no_network()
    watch.one_verdict("refused", "home_exists", "absent")


def test_a_running_session_survives_the_removal_but_a_new_one_is_refused(machine):
    assert machine.person.first_login("sam", command="mkdir -m 700 .ssh").status == 0
    _plant_key(machine, "/home/sam")
    with machine.person.ssh("sam", how=("-tt", "-i", product.ROOT_KEY)) as terminal:
        terminal.expect(r"\$ ")
        machine.sandbox.run("oauth2ctl user remove sam")
        terminal.send_line("echo still-$((40 + 2))")
        terminal.expect("still-42")
        assert machine.person.key_login("sam", product.ROOT_KEY).status == 255


def test_a_confirmed_person_may_use_cron_and_su_and_a_removed_one_not(machine):
    assert machine.person.first_login("tina").status == 0
    check = "pamtester {} tina acct_mgmt"
    assert machine.sandbox.succeeds(check.format("cron"))
    assert machine.sandbox.output("su tina -c 'id -un'") == "tina"
    machine.sandbox.run("oauth2ctl user remove tina")
    assert not machine.sandbox.succeeds(check.format("cron"))
    assert not machine.sandbox.succeeds("su tina -c true")
