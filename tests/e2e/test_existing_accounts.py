"""People who have an account on the machine already: local_users, and provisioning: none."""

import re

import pytest

from rig import product, texts
from rig.machine import Machine

PASSWORD = "dora-Secret-1"
# An earlier module's configuration says neither provisioning nor local_users.
EARLIER = {key: value for key, value in product.ID_TOKEN.items() if key != "provisioning"}


def _local_profile(sandbox):
    sandbox.run("pam-auth-update --package --disable oauth2 --enable oauth2-local")


def _without_our_name_service(sandbox):
    text = sandbox.read("/etc/nsswitch.conf")
    sandbox.write("/etc/nsswitch.conf", re.sub(r" oauth2\b", "", text))


@pytest.fixture(scope="module", params=["store", "none"])
def machine(release, request):
    with Machine(release, config=EARLIER, enabled=False) as ready:
        sandbox = ready.sandbox
        _local_profile(sandbox)
        sandbox.run("oauth2ctl store migrate")
        if request.param == "none":
            _without_our_name_service(sandbox)
        else:
            sandbox.run("oauth2ctl enable sshd --no-drop-in")
        for name in ("dora", "max", "pat", "sue"):
            sandbox.run(f"useradd -m -s /bin/bash {name}")
            sandbox.run("chpasswd", input=f"{name}:{PASSWORD}\n")
        sandbox.run("usermod -aG sudo sue")
        yield ready


def test_a_user_of_the_machine_signs_in_with_the_account_they_have(machine):
    before = machine.sandbox.output("getent passwd dora")
    watch = machine.watch()
    ended = machine.person.first_login("dora", command="id -un; pwd; getent passwd dora")
    assert ended.status == 0, ended.screen
    assert ended.output.split() == ["dora", "/home/dora", *before.split()]
    watch.one_verdict("admitted", "first_sign_in")
    assert machine.sandbox.output("getent passwd dora") == before
    again = machine.person.login_again("dora")
    assert again.status == 0, again.screen


def test_somebody_elses_approval_does_not_open_the_account(machine):
    watch = machine.watch()
    ended = machine.person.first_login("max", approve_as="mallory")
    assert ended.status == 255
    watch.one_verdict("refused", "wrong_person")
    assert machine.store("select count(*) from identity where login_name = 'max'") == "0"


def test_a_password_works_as_before(machine):
    watch = machine.watch()
    assert machine.person.password_login("pat", PASSWORD).status == 0
    with machine.person.ssh("pat", "true") as terminal:
        terminal.expect(texts.PRESS_ENTER)
        terminal.send_line("typed blindly")
        terminal.expect(texts.PASSWORD)
        terminal.send_line(PASSWORD)
        assert terminal.wait() == 0
    watch.assert_no_network()


def test_privileged_users_root_and_services_notice_nothing(machine):
    watch = machine.watch()
    assert machine.person.password_login("sue", PASSWORD).status == 0
    with machine.person.ssh("sue", "true") as terminal:
        terminal.expect(texts.PASSWORD)
        assert not re.search(texts.PRESS_ENTER, terminal.screen)
    assert machine.person.key_login("root", product.ROOT_KEY).status == 0
    watch.assert_no_network()


def test_a_lock_bites_on_keys_and_the_accounts_own_expiry_counts(machine):
    sandbox, key = machine.sandbox, machine.sandbox.read(product.ROOT_KEY + ".pub")
    ended = machine.person.first_login("pat", command="mkdir -pm 700 .ssh")
    assert ended.status == 0, ended.screen
    sandbox.write("/home/pat/.ssh/authorized_keys", key)
    assert machine.person.key_login("pat", product.ROOT_KEY).status == 0
    sandbox.run("chage -E 1 pat")
    assert machine.person.key_login("pat", product.ROOT_KEY).status != 0
    sandbox.run("chage -E -1 pat")
    assert machine.person.key_login("pat", product.ROOT_KEY).status == 0
    sandbox.run(["sqlite3", product.STORE, "update identity set state = 'locked' where login_name = 'pat'"])
    sandbox.run("oauth2ctl publish")
    assert machine.person.key_login("pat", product.ROOT_KEY).status != 0
    sandbox.run("su -s /bin/sh pat -c true", check=False)
    assert machine.sandbox.run("su pat -c true", check=False).returncode != 0


def test_a_locked_name_stays_refused_when_its_uid_is_changed(machine):
    sandbox, key = machine.sandbox, machine.sandbox.read(product.ROOT_KEY + ".pub")
    sandbox.run("useradd -m -s /bin/bash lou")
    assert machine.person.first_login("lou", command="mkdir -pm 700 .ssh").status == 0
    sandbox.write("/home/lou/.ssh/authorized_keys", key)
    sandbox.run("oauth2ctl user lock lou")
    assert machine.person.key_login("lou", product.ROOT_KEY).status != 0
    sandbox.run("usermod -u 4077 lou")
    watch = machine.watch()
    assert machine.person.key_login("lou", product.ROOT_KEY).status != 0
    watch.wait_for(r"sshd:account\): result=refused reason=locked .*oauth2ctl user unlock lou ")
    sandbox.run("oauth2ctl user unlock lou")
    assert machine.person.key_login("lou", product.ROOT_KEY).status == 0


def test_somebody_bound_beforehand_keeps_every_way_in(machine):
    machine.sandbox.run(f"oauth2ctl user bind sue {machine.provider.issuer} some-subject")
    assert machine.person.password_login("sue", PASSWORD).status == 0
    sudo = machine.sandbox.run("sudo -k -S true", user=machine.uid_of("sue"), input=PASSWORD + "\n", check=False)
    assert sudo.returncode == 0, sudo.stderr


def test_an_account_that_is_deleted_does_not_come_back(machine):
    sandbox = machine.sandbox
    assert machine.person.first_login("max").status == 0
    sandbox.run("usermod -s /bin/sh max && oauth2ctl publish")
    assert machine.person.login_again("max", command="echo $0").output.strip().endswith("sh")
    sandbox.run("userdel max && oauth2ctl publish")
    assert machine.resolves("max") is None
    assert machine.person.knock("max").status == 255


def test_the_profile_that_was_proved_is_the_one_that_stands_there():
    with Machine("bookworm", config={**product.ID_TOKEN, "local_users": "allow"}, enabled=False) as machine:
        run = machine.sandbox.run
        run("oauth2ctl store migrate")
        warned = run("oauth2ctl enable sshd --no-drop-in")
        assert "oauth2-local" in warned.stderr
        assert "profile oauth2\n" in machine.sandbox.read(product.PARAMETERS)
        _local_profile(machine.sandbox)
        assert "oauth2-local" not in run("oauth2ctl enable sshd --no-drop-in").stderr
        assert "profile oauth2-local\n" in machine.sandbox.read(product.PARAMETERS)


def test_there_is_nothing_to_enable_where_people_exist_already():
    with Machine("bookworm", config={**product.ID_TOKEN, "provisioning": "none"}, enabled=False) as machine:
        ended = machine.sandbox.run("oauth2ctl enable sshd", check=False)
        assert ended.returncode == 1 and "nothing to enable" in ended.stderr
