"""provisioning: useradd, the accounts of /etc/passwd."""

import pytest
from ids import PEOPLE_GID, derived_uid

from rig import product
from rig.machine import Machine

CONFIG = {**product.ID_TOKEN, "provisioning": "useradd"}


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release, config=CONFIG, enabled=False) as ready:
        ready.sandbox.run("pam-auth-update --package --disable oauth2 --enable oauth2-local")
        product.enable(ready.sandbox)
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


def test_a_name_that_groupadd_would_refuse_costs_no_code(machine):
    watch = machine.watch()
    assert machine.person.knock("a" * 33).status == 255
    watch.one_verdict("refused", "name_not_admissible")
    watch.assert_no_network()


def test_a_lock_is_also_the_accounts_own_expiry(machine):
    sandbox, key = machine.sandbox, machine.sandbox.read(product.ROOT_KEY + ".pub")
    assert machine.person.first_login("dora", command="mkdir -m 700 .ssh").status == 0
    sandbox.write("/home/dora/.ssh/authorized_keys", key)
    expiry = lambda: sandbox.output("getent shadow dora").split(":")[7]  # noqa: E731
    assert (machine.person.key_login("dora", product.ROOT_KEY).status, expiry()) == (0, "")
    sandbox.run("oauth2ctl user lock dora")
    assert expiry() == "1"
    assert machine.person.key_login("dora", product.ROOT_KEY).status != 0
    sandbox.run("oauth2ctl user unlock dora")
    assert (machine.person.key_login("dora", product.ROOT_KEY).status, expiry()) == (0, "")
    sandbox.run("oauth2ctl user remove dora")
    assert expiry() == "1"
    assert machine.person.key_login("dora", product.ROOT_KEY).status != 0


def test_the_profile_that_jumps_over_local_users_is_refused():
    with Machine("bookworm", config=CONFIG, enabled=False) as machine:
        machine.sandbox.run("oauth2ctl store migrate")
        ended = machine.sandbox.run("oauth2ctl enable sshd --no-drop-in", check=False)
        assert ended.returncode == 1 and "pam-auth-update --disable oauth2 --enable oauth2-local" in ended.stderr
