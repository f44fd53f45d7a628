"""oauth2ctl group: groups of the provider under names of the machine."""

import json

import pytest
from ids import derived_gid

from rig import ctl, product
from rig.ctl import ask, say
from rig.machine import Machine

FILE = f"{product.CONFIG_DIR}/config.d/50-groups.json"


@pytest.fixture
def machine():
    with ctl.unconfigured_provider(Machine) as ready:
        yield ready


def test_a_mapped_group_is_listed_with_its_gid_and_members(machine):
    ask(machine, "user add ann --group idp-staff")
    group = ask(machine, "group show idp-staff")["group"]
    assert group == {"id": "3f1c-staff", "name": "idp-staff", "gid": derived_gid("3f1c-staff"), "members": ["ann"],
                     "mapped": True}
    assert ask(machine, "group list")["groups"] == [group]
    assert "idp-staff" in say(machine, "group list")
    ask(machine, "group show no-such-group", 4)


def test_map_and_unmap_take_each_other_back_byte_for_byte(machine):
    config = machine.sandbox.read(product.CONFIG)
    before = ctl.files(machine)
    assert ask(machine, "group map g-1 developers --gid 2000000000", 7)["error"]
    assert ctl.touched(before, ctl.files(machine)) == []
    assert ask(machine, "group map g-1 developers")["changed"]
    assert json.loads(machine.sandbox.read(FILE)) == {"group_map": {"g-1": "developers"}}
    assert machine.sandbox.output(f"stat -c %a {FILE}") == "600"
    assert machine.sandbox.read(product.CONFIG) == config
    ask(machine, "user add ann --group developers --group idp-staff")
    assert machine.sandbox.output("getent group developers").split(":")[2:] == [str(derived_gid("g-1")), "ann"]
    assert not ask(machine, "group map g-1 developers")["changed"]
    assert ask(machine, "group unmap developers")["changed"]
    assert not machine.sandbox.succeeds(f"test -e {FILE}")
    assert not machine.sandbox.succeeds("getent group developers")
    assert not ask(machine, "group unmap developers")["changed"]
    shown = ask(machine, "group show developers")["group"]
    assert (shown["mapped"], shown["gid"]) == (False, derived_gid("g-1")), "its gid goes to nobody else"


@pytest.mark.parametrize("command, code, says", [
    ("map g-1 sudo", 1, "privileged"),
    ("map g-1 idp-staff", 1, "group_map"),
    ("map g-1 'no name'", 2, ""),
    ("map g-1 ann", 8, "person"),
    ("map g-1 localu", 8, "/etc/group"),
    ("map g-1 developers --gid 1000", 8, "taken"),
    ("map 3f1c-staff idp-staff --gid 4711", 8, "for ever"),
    ("unmap idp-staff", 8, "config.json"),
])
def test_what_cannot_be_mapped_leaves_everything_as_it_was(machine, command, code, says):
    ask(machine, "user add ann --group idp-staff")
    before = ctl.files(machine)
    assert says in say(machine, f"group {command}", code)
    assert ctl.touched(before, ctl.files(machine)) == []


def test_a_gid_is_settled_before_anybody_is_in_the_group(machine):
    assert ask(machine, "group map g-2 testers --gid 4700")["changed"]
    assert not ask(machine, "group map g-2 testers --gid 4700")["changed"]
    ask(machine, "group map g-2 testers --gid 4701", 8)
    ask(machine, "user add ann --group testers")
    assert machine.sandbox.output("getent group testers") == "testers:x:4700:ann"


def test_a_full_disk_leaves_the_configuration_as_it_was(machine):
    ask(machine, "group map g-1 developers")
    text = machine.sandbox.read(FILE)
    machine.sandbox.run(f"cp {FILE} /root/own.json && mount -t tmpfs -o size=8k,mode=700 none {product.CONFIG_DIR}/config.d"
                        f" && cp /root/own.json {FILE} && chmod 600 {FILE}"
                        f" && dd if=/dev/zero of={product.CONFIG_DIR}/config.d/full bs=1k count=99 2>/dev/null || true")
    try:
        ask(machine, "group map g-2 testers", 1)
        assert machine.sandbox.output(f"cat {FILE}") + "\n" == text
        assert machine.sandbox.output(f"ls {product.CONFIG_DIR}/config.d").split() == ["50-groups.json", "full"]
        assert [group["name"] for group in ask(machine, "group list")["groups"]] == ["developers", "idp-staff"]
    finally:
        machine.sandbox.run(f"umount {product.CONFIG_DIR}/config.d")
