"""`oauth2ctl enable` and `disable`: each part by itself, undone byte for byte."""

import json

import pytest

from rig import product
from rig.machine import Machine
from rig.sandbox import ENVIRONMENT
from rig.setup import SetupMachine
from rig.terminal import Terminal


@pytest.fixture
def machine():
    with SetupMachine() as ready:
        product.configure(ready.sandbox, product.ID_TOKEN, ready.provider.ca)
        yield ready


def etc(machine):
    # common-password and its like hold no line of ours, and are written anew all the same.
    return [line for line in machine.files() if " /etc" in line or line.startswith("/etc")]


def changed(machine, line):
    return json.loads(machine.ctl(f"{line} --json").stdout)["changed"]


@pytest.mark.parametrize("part", ["nss", "pam", "sudo"])
def test_disabling_undoes_enabling_byte_for_byte_and_both_are_idempotent(machine, part):
    before = etc(machine)
    machine.ctl(f"enable {part} --dry-run")
    assert etc(machine) == before
    assert changed(machine, f"enable {part}")
    enabled = machine.times()
    assert etc(machine) != before
    assert not changed(machine, f"enable {part}")
    assert machine.times() == enabled
    assert changed(machine, f"disable {part}")
    assert etc(machine) == before
    assert not changed(machine, f"disable {part}")


def test_a_part_that_was_edited_since_loses_only_what_is_ours(machine):
    machine.ctl("enable nss")
    machine.sandbox.run("sed -i 's/^hosts:.*/& myhostname/' /etc/nsswitch.conf")
    done = machine.ctl("disable nss")
    text = machine.sandbox.read("/etc/nsswitch.conf")
    assert "myhostname" in text and "oauth2" not in text
    assert "changed since" in done.stdout


def test_the_parts_by_hand_are_as_good_as_setup(machine):
    for part in ("nss", "pam", "sshd --no-drop-in"):
        machine.ctl(f"enable {part}")
    assert machine.person.first_login("ann").status == 0
    machine.ctl("disable pam")
    assert machine.person.try_everything("ann") == 255
    assert machine.person.password_login("localu", product.LOCAL_PASSWORD).status == 0


def test_a_profile_that_follows_from_the_configuration(machine):
    product.configure(machine.sandbox, {**product.ID_TOKEN, "local_users": "allow"}, machine.provider.ca)
    machine.ctl("enable pam")
    assert "pam_localuser" not in machine.sandbox.read("/etc/pam.d/common-auth")
    product.configure(machine.sandbox, product.ID_TOKEN, machine.provider.ca)
    machine.ctl("enable pam")
    assert machine.sandbox.read("/etc/pam.d/common-auth").count("pam_oauth2_device.so") == 1
    assert "pam_localuser" in machine.sandbox.read("/etc/pam.d/common-auth")


def test_a_hand_edited_stack_is_left_alone_and_the_command_says_so(machine):
    machine.sandbox.run("sed -i '/^auth.*pam_unix/s/^/# mine\\n/' /etc/pam.d/common-auth")
    before = etc(machine)
    done = machine.ctl("enable pam", check=False)
    assert done.returncode == 8 and "by hand" in done.stderr
    assert etc(machine) == before


def test_without_pam_auth_update_the_command_says_what_to_do(machine):
    machine.sandbox.path("/usr/sbin/pam-auth-update").unlink()
    done = machine.ctl("enable pam", check=False)
    assert done.returncode == 8 and "pam_oauth2_device(8)" in done.stderr


def test_sudo_is_asked_for_a_sign_in_and_strangers_still_come(machine):
    for part in ("nss", "pam", "sshd --no-drop-in", "sudo"):
        machine.ctl(f"enable {part}")
    assert json.loads(machine.sandbox.read(product.CONFIG))["services"] == ["sshd", "sudo"]
    assert machine.person.first_login("ann").status == 0
    machine.sandbox.write("/etc/sudoers.d/ann", "ann ALL=(ALL) ALL\n", 0o440)
    argv = machine.sandbox.inside("sudo", "-k", "id", "-u", user=machine.uid_of("ann"))
    with Terminal(argv, ENVIRONMENT) as terminal:
        prompt = machine.person.read_prompt(terminal, gate=False)
        machine.person.approve(prompt, "ann")
        assert machine.person.finish(terminal).output.strip() == "0"


def test_services_in_a_drop_in_of_the_configuration_are_not_overruled(machine):
    machine.sandbox.write("/etc/pam_oauth2_device/config.d/x.json", '{"services": ["sshd"]}', 0o600)
    before = machine.sandbox.read(product.CONFIG)
    done = machine.ctl("enable sudo", check=False)
    assert done.returncode == 8 and "config.d" in done.stderr
    assert machine.sandbox.read(product.CONFIG) == before


def test_what_packages_switched_on_can_be_switched_off():
    with Machine("bookworm") as machine:
        machine.sandbox.run("oauth2ctl disable nss && oauth2ctl disable pam")
        assert "oauth2" not in machine.sandbox.read("/etc/nsswitch.conf")
        assert "pam_oauth2" not in machine.sandbox.read("/etc/pam.d/common-auth")
        assert machine.person.password_login("localu", product.LOCAL_PASSWORD).status == 0
