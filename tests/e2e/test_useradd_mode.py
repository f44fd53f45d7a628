"""provisioning: useradd, the accounts of /etc/passwd."""

import pytest
from ids import PEOPLE_GID, derived_uid

from rig.machine import Machine
from rig.patience import wait_until
from rig.useradd import CONFIG, UseraddMachine


@pytest.fixture(scope="module")
def machine(release):
    with UseraddMachine(release) as ready:
        yield ready


@pytest.mark.parametrize("name", ["ann", "bob.builder@example.com"])
def test_a_first_login_makes_a_local_account_on_the_first_connection(machine, name):
    groups = machine.sandbox.read("/etc/group")
    watch = machine.watch()
    ended = machine.person.first_login(name, command="id; pwd; stat -c '%a %U %G' .")
    assert ended.status == 0, ended.screen
    watch.one_verdict("admitted", "first_sign_in")
    uid = derived_uid(name)
    assert f"uid={uid}({name}) gid={uid}({name}) groups=" in ended.output
    assert f"{PEOPLE_GID}(oauth2-users)" in ended.output
    assert f"/home/{name}\n700 {name} {name}" in ended.output
    line = next(line for line in machine.sandbox.read("/etc/passwd").splitlines() if line.startswith(name + ":"))
    assert line == f"{name}:x:{uid}:{uid}::/home/{name}:/bin/bash"
    assert machine.sandbox.read("/etc/group") == groups + f"{name}:x:{uid}:\n"
    assert machine.sandbox.output(["getent", "passwd", name]).splitlines() == [line]
    again = machine.person.login_again(name, command="id -u")
    assert (again.status, again.output.strip()) == (0, str(uid)), again.screen


def test_the_wrong_person_makes_no_account(machine):
    before = machine.sandbox.read("/etc/passwd")
    assert machine.person.first_login("carl", approve_as="mallory").status == 255
    assert machine.sandbox.read("/etc/passwd") == before


def test_a_name_that_useradd_would_refuse_costs_no_code(machine):
    watch = machine.watch()
    assert machine.person.knock("a" * 33).status == 255
    watch.one_verdict("refused", "name_not_admissible")
    watch.assert_no_network()


def test_a_login_that_was_killed_before_useradd_leaves_nothing(machine):
    with machine.useradd("kill -9 $PPID"):
        assert machine.person.first_login("lea").status == 255
    assert "lea:" not in machine.sandbox.output("cat /etc/passwd /etc/group")
    assert machine.person.first_login("lea").status == 0


@pytest.mark.parametrize("name, script", [
    ("kim", '"$real" "$@"; kill -9 $PPID'),
    # Its warning about the uid would end it: nobody reads that any more.
    ("tim", 'kill -9 $PPID; "$real" "$@" 2>/dev/null'),
])
def test_a_login_that_was_killed_after_useradd_is_made_up_for_by_the_next_one(machine, name, script):
    machine.give_key(name)
    with machine.useradd(script):
        assert machine.person.first_login(name).status == 255
        left = wait_until(lambda: machine.passwd_line(name), "useradd to end")
        wait_until(lambda: "useradd" not in str(machine.sandbox.processes()), "useradd to end")
    assert left == "{0}:x:{1}:{1}::/home/{0}:/bin/bash".format(name, derived_uid(name))
    assert machine.store(f"select count(*) from identity where login_name = '{name}'") == "0"
    watch = machine.watch()
    assert not machine.key_opens(name), "nobody is recorded for it"
    watch.wait_for(f"reason=unconfirmed .*user={name} ")
    assert machine.person.first_login(name, approve_as="mallory").status == 255
    assert machine.store(f"select count(*) from identity where login_name = '{name}'") == "0"
    watch = machine.watch()
    ended = machine.person.first_login(name, command="id; pwd")
    assert ended.status == 0, ended.screen
    watch.one_verdict("admitted", "first_sign_in")
    assert f"{PEOPLE_GID}(oauth2-users)" in ended.output and f"/home/{name}" in ended.output
    assert machine.passwd_line(name) == left
    assert machine.key_opens(name)


def test_an_account_that_is_not_quite_ours_stays_its_owners(machine):
    uid = derived_uid("jim")
    machine.sandbox.run(f"groupadd -g {uid} jim && useradd -u {uid} -g {uid} -d /home/jim -s /bin/bash -M jim")
    machine.sandbox.run("chpasswd", input="jim:jim-Secret-1\n")
    watch = machine.watch()
    assert machine.person.password_login("jim", "jim-Secret-1").status == 0
    assert machine.person.knock("jim").status == 255
    watch.assert_no_network()
    assert machine.store("select count(*) from identity where login_name = 'jim'") == "0"


def test_a_useradd_that_hangs_ends_in_time_and_with_a_sentence():
    with UseraddMachine("bookworm", login_grace=30) as machine:
        accounts = lambda: machine.sandbox.output("cat /etc/passwd /etc/group /etc/shadow")  # noqa: E731
        before, watch = accounts(), machine.watch()
        with machine.useradd("exec sleep 600"):
            with machine.person.ssh("ann", "true") as terminal:
                machine.person.approve(machine.person.read_prompt(terminal), "ann")
                terminal.send_line()
                terminal.expect("Sign-in is not possible at the moment", timeout=28)
        watch.one_verdict("error", "useradd_failed")
        wait_until(lambda: "sleep" not in str(machine.sandbox.processes()), "the end of useradd")
        assert accounts() == before, "its group is taken away"
        assert machine.person.first_login("ann").status == 0


def test_the_profile_that_jumps_over_local_users_is_refused():
    with Machine("bookworm", config=CONFIG, enabled=False) as machine:
        machine.sandbox.run("oauth2ctl store migrate")
        ended = machine.sandbox.run("oauth2ctl enable sshd --no-drop-in", check=False)
        assert ended.returncode == 1 and "pam-auth-update --disable oauth2 --enable oauth2-local" in ended.stderr
