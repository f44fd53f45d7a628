"""`require_publickey`: no code before sshd has accepted a key."""

import re

import pytest

from rig import product, texts
from rig.machine import Machine
from rig.ssh_client import KEYBOARD

KEY_FIRST = ("-o", "PreferredAuthentications=publickey,keyboard-interactive", "-o", "PasswordAuthentication=no")
OTHER_KEY = "/srv/other-key"
# The second alternative is an administrator's mistake: it is the module that must ask for the key.
SSHD = {
    "AuthenticationMethods": "publickey,keyboard-interactive keyboard-interactive",
    "AuthorizedKeysFile": "/etc/ssh/keys/%u",
}


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release, config={**product.ID_TOKEN, "require_publickey": True}, sshd=SSHD) as ready:
        ready.sandbox.run("mkdir -m 755 /etc/ssh/keys")
        for name in ("ann", "bob"):
            ready.sandbox.write(f"/etc/ssh/keys/{name}", ready.sandbox.read(product.ROOT_KEY + ".pub"))
        ready.sandbox.run(f"ssh-keygen -q -t ed25519 -N '' -f {OTHER_KEY}")
        yield ready


def test_with_a_key_the_first_login_works_and_so_does_the_next(machine):
    how = (*KEY_FIRST, "-i", product.ROOT_KEY)
    assert machine.person.first_login("ann", how=how).status == 0
    assert machine.person.login_again("ann", how=how).status == 0


@pytest.mark.parametrize("how", [KEYBOARD, (*KEY_FIRST, "-i", OTHER_KEY)], ids=["no-key", "another-key"])
def test_without_the_persons_key_nobody_is_asked_anything(machine, how):
    if not machine.resolves("ann"):
        assert machine.person.first_login("ann", how=(*KEY_FIRST, "-i", product.ROOT_KEY)).status == 0
    for name in ("ann", "bob"):
        watch = machine.watch()
        with machine.person.ssh(name, "true", how) as terminal:
            assert terminal.wait() == 255
            assert "wants an SSH key as well" in terminal.screen
            assert not re.search(f"{texts.PRESS_ENTER}|(?i:password:)", terminal.screen), terminal.screen
        watch.assert_no_network()
        watch.one_verdict("refused", "publickey_required")


def test_nothing_that_a_client_sends_passes_for_a_key(machine):
    machine.sandbox.write("/etc/ssh/sshd_config", machine.sandbox.read("/etc/ssh/sshd_config")
                          + "AcceptEnv *\n")
    machine.sandbox.stop_sshd()
    machine.sandbox.run("/usr/sbin/sshd")
    watch = machine.watch()
    how = (*KEYBOARD, "-o", "SetEnv=SSH_AUTH_INFO_0='publickey ssh-ed25519 AAAA'")
    assert machine.person.knock("bob", how=how).status == 255
    watch.one_verdict("refused", "publickey_required")


def test_a_local_user_still_signs_in_with_a_password(machine):
    ended = machine.person.password_login("localu", product.LOCAL_PASSWORD, how=KEYBOARD)
    assert ended.status == 0, ended.screen
