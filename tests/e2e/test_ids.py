"""oauth2ctl ids: one map of names and numbers for a fleet."""

import json

import pytest

from rig import ctl, product
from rig.ctl import ask, say
from rig.machine import Machine

MAP = "/root/map.json"


@pytest.fixture(scope="module")
def first():
    with ctl.unconfigured_provider(Machine) as ready:
        ask(ready, "user add ann --uid 4001 --group idp-staff --subject https://idp.test:8443 ann-sub")
        ask(ready, "user add bob --home /srv/bob")
        ask(ready, "user add carl")
        ask(ready, "user lock carl")
        ask(ready, "user add dora --subject https://idp.test:8443 dora-sub")
        ask(ready, "user remove dora")
        ask(ready, "user add emma")
        ask(ready, "user rename emma emmy")
        yield ready


@pytest.fixture
def second():
    with ctl.unconfigured_provider(Machine) as ready:
        yield ready


def hand_over(first, second, form="json"):
    first.sandbox.run(f"rm -f {MAP}")
    assert ask(first, f"ids export --format {form} --output {MAP}")["changed"]
    assert first.sandbox.output(f"stat -c %a {MAP}") == "600"
    second.sandbox.write(MAP, first.sandbox.read(MAP), 0o600)


def entries(machine):
    return machine.sandbox.output("getent passwd ann bob carl emmy; getent group idp-staff; id ann")


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_map_makes_getent_equal_on_two_machines(first, second, form):
    hand_over(first, second, form)
    dry = ask(second, f"ids import {MAP} --dry-run")
    assert not dry["changed"] and len(dry["added"]) == 7, dry["added"]
    assert second.resolves("ann") is None
    assert ask(second, f"ids import {MAP}")["changed"]
    assert entries(second) == entries(first)
    assert ask(second, f"ids diff {MAP}")["differences"] == []
    # Nobody gets in by it, and who was removed there stays shut out here.
    assert not second.sandbox.succeeds("pamtester cron ann acct_mgmt")
    assert "was removed" in say(second, "user show dora", 4)
    assert "former name of emmy" in say(second, "user add emma", 8)
    assert ask(second, "user show carl")["user"]["state"] == "locked"
    before = ctl.files(second)
    assert not ask(second, f"ids import {MAP}")["changed"]
    assert ctl.touched(before, ctl.files(second)) == []


@pytest.mark.parametrize("prepare, here", [
    ("user add ann --uid 4002", "ann has uid 4002"),
    ("user add other --uid 4001", "4001 is other's"),
    ("user add ann --uid 4001 --subject https://idp.test:8443 another", "bound to https://idp.test:8443 another"),
    ("user add other --subject https://idp.test:8443 ann-sub", "other is"),
    ("user add dora", "dora"),
    ("user add emma", "emma has uid"),
    ("group map g-9 others --gid 4001", "4001 is the group others's"),
])
def test_a_conflict_names_both_sides_and_nothing_is_imported(first, second, prepare, here):
    hand_over(first, second)
    ask(second, prepare)
    before = ctl.files(second)
    answer = ask(second, f"ids import {MAP}", 8)
    assert here in json.dumps(answer["conflicts"]), answer
    assert all(conflict["there"] and conflict["here"] for conflict in answer["conflicts"])
    assert ctl.touched(before, ctl.files(second)) == []
    assert second.resolves("bob") is None
    assert ask(second, f"ids diff {MAP}", 3)["differences"]


def test_a_user_of_the_machine_is_in_the_way(first, second):
    hand_over(first, second)
    second.sandbox.run("useradd -u 4001 other")
    assert "4001 is taken" in json.dumps(ask(second, f"ids import {MAP}", 8)["conflicts"])
    second.sandbox.run("userdel other; useradd bob")
    assert "bob" in json.dumps(ask(second, f"ids import {MAP}", 8)["conflicts"])


@pytest.mark.parametrize("name, uid", [("localu", 4999), ("gone", 1000)])
def test_nobody_who_lives_here_was_removed_by_a_map(second, name, uid):
    entry = {"kind": "removed", "name": name, "uid": uid}
    second.sandbox.write(MAP, json.dumps({"format": "oauth2-ids-1", "machine": "a", "entries": [entry]}))
    assert "localu" in json.dumps(ask(second, f"ids import {MAP}", 8)["conflicts"])
    assert not ask(second, "user sweep")["changed"]


def test_somebody_who_was_imported_signs_in_with_the_same_uid():
    config = {**product.ID_TOKEN, "first_login": []}
    with Machine("bookworm", config=config) as machine:
        entry = {"kind": "person", "name": "ann", "uid": 4001, "home": "/home/ann", "shell": "/bin/bash"}
        machine.sandbox.write(MAP, json.dumps({"format": "oauth2-ids-1", "machine": "a", "entries": [entry]}))
        ask(machine, f"ids import {MAP}")
        assert machine.person.first_login("ann", command="id -u").output.strip() == "4001"


@pytest.mark.parametrize("text", ["", "{}", "kind,name\n", '{"format":"oauth2-ids-1","machine":"a","entries":[{"kind":"x"}]}'])
def test_what_is_no_map_is_refused(second, text):
    second.sandbox.write(MAP, text)
    ask(second, f"ids import {MAP}", 1)


def test_a_key_is_made_once_and_never_overwritten(second):
    key = f"{product.CONFIG_DIR}/id.key"
    assert ask(second, f"ids new-key {key}")["changed"]
    text = second.sandbox.read(key)
    assert len(text) == 65 and second.sandbox.output(f"stat -c %a {key}") == "600"
    assert not ask(second, f"ids new-key {key}", 8)["changed"]
    assert second.sandbox.read(key) == text
    config = {**json.loads(second.sandbox.read(product.CONFIG)), "id_key_file": key}
    second.sandbox.write(product.CONFIG, json.dumps(config), 0o600)
    second.sandbox.run("oauth2ctl config validate")
    assert key in say(second, "ids new-key", 8), "the configuration names it now"
    second.sandbox.run(f"rm {key}")
    assert ask(second, "ids new-key")["file"] == key, "although the configuration cannot be loaded without it"


def test_names_of_files_may_be_relative(first):
    first.sandbox.run("cd /root && oauth2ctl ids export --output relative.json && oauth2ctl ids diff relative.json")
    first.sandbox.run(f"cd {product.CONFIG_DIR} && oauth2ctl --config config.json group map g-7 relatives")
    assert "relatives" in first.sandbox.read(f"{product.CONFIG_DIR}/config.d/50-groups.json")


def test_an_export_is_not_written_over_another_file(first):
    first.sandbox.write("/root/notes", "mine\n")
    assert "not overwritten" in say(first, "ids export --output /root/notes", 8)
    assert first.sandbox.read("/root/notes") == "mine\n"
    assert ask(first, "ids export")["ids"][0]["kind"] == "group"
