"""The provider's groups under names of ours, and the machine's own groups."""

import json
import re

import pytest

from rig import product
from rig.machine import Machine

CONFIG = {
    **product.ID_TOKEN,
    "local_groups": ["ops", "missing"],
    "group_map": {"3f1c-staff": "idp-staff", "77-lab": "lab"},
}


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release, config=CONFIG, enabled=False) as ready:
        ready.sandbox.run("groupadd -g 1600 ops")
        product.enable(ready.sandbox)
        yield ready


def _groups(machine, name):
    return set(machine.sandbox.output(["id", "-Gn", name]).split())


def test_everybody_is_in_a_local_group_and_etc_group_is_not_edited(machine):
    before = machine.sandbox.read("/etc/group")
    ended = machine.person.first_login("carol", command="id -Gn; touch mine; chgrp ops mine; stat -c %G mine")
    assert ended.status == 0, ended.screen
    names, owner = ended.output.strip().splitlines()
    assert set(names.split()) == {"carol", "ops", "oauth2-users"} and owner == "ops"
    assert machine.sandbox.read("/etc/group") == before
    warned = machine.sandbox.run("oauth2ctl publish")
    assert "missing" in warned.stderr and "ops" not in warned.stderr


def test_a_merged_group_lists_people_of_both(machine):
    sandbox = machine.sandbox
    sandbox.run("usermod -aG ops localu")
    text = sandbox.read("/etc/nsswitch.conf")
    sandbox.write("/etc/nsswitch.conf", re.sub(r"(?m)^(group:\s+files)\b", r"\1 [SUCCESS=merge]", text))
    try:
        assert machine.person.first_login("dave").status == 0
        members = sandbox.output("getent group ops").rsplit(":", 1)[1].split(",")
        assert members[0] == "localu" and {"carol", "dave"} <= set(members)
        assert {"ops", "localu"} <= _groups(machine, "localu")
    finally:
        sandbox.write("/etc/nsswitch.conf", text)


def test_a_group_that_the_provider_takes_away_is_gone_after_the_next_login(machine):
    machine.provider.people({"erin": {"groups": ["3f1c-staff", "77-lab", "unmapped"]}})
    assert machine.person.first_login("erin").status == 0
    assert {"idp-staff", "lab", "ops"} <= _groups(machine, "erin")
    machine.provider.people({"erin": {"groups": ["77-lab"]}})
    watch = machine.watch()
    ended = machine.person.login_again("erin", command="id -Gn")
    assert ended.status == 0 and "idp-staff" not in ended.output.split()
    assert watch.one_verdict("admitted").fields["groups_removed"] == "idp-staff"
    assert _groups(machine, "erin") == {"erin", "lab", "ops", "oauth2-users"}


@pytest.mark.parametrize("key, value, name", [
    ("local_group", "sudo", "sudo"), ("local_groups", ["docker"], "docker"), ("group_map", {"a": "wheel"}, "wheel"),
])
def test_a_privileged_group_must_be_named_twice(machine, key, value, name):
    path = f"{product.CONFIG_DIR}/other.json"
    config = {kept: value for kept, value in CONFIG.items() if kept != "local_groups"} | {key: value}

    def validate(**more):
        machine.sandbox.write(path, json.dumps(config | more), 0o600)
        return machine.sandbox.run(["oauth2ctl", "--config", path, "config", "validate"], check=False)

    refused = validate()
    assert refused.returncode == 1 and "allow_privileged_groups" in refused.stderr
    assert validate(allow_privileged_groups=[name]).returncode == 0
