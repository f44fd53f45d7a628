"""A new version on the store of an older one: nobody is locked out before the migration, and nothing is lost by it."""

import pytest

from rig import product
from rig.machine import Machine

# What came after the first schema, taken back: the store as version 1 would have left it.
TO_SCHEMA_1 = """
DROP TRIGGER former_goes_to_nobody; DROP TRIGGER removed_stays_shut_out_insert;
DROP TRIGGER removed_stays_shut_out_update; DROP TRIGGER former_is_no_gid;
DROP TABLE pinned_uid; DROP TABLE former_name; DROP TABLE former_uid;
ALTER TABLE identity DROP COLUMN revoked; ALTER TABLE identity DROP COLUMN adopt_home;
ALTER TABLE identity DROP COLUMN existing; PRAGMA user_version = 1;
"""


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release) as ready:
        assert ready.person.first_login("ann", command="mkdir -m 700 .ssh").status == 0
        key = ready.sandbox.read(product.ROOT_KEY + ".pub")
        ready.sandbox.write("/home/ann/.ssh/authorized_keys", key)
        ready.sandbox.run(["sqlite3", "-bail", product.STORE, TO_SCHEMA_1])
        yield ready


def test_known_and_new_people_sign_in_before_the_store_is_migrated(machine):
    before = machine.store("pragma user_version")
    assert machine.person.login_again("ann").status == 0
    assert machine.person.key_login("ann", product.ROOT_KEY).status == 0
    assert machine.person.first_login("bea", command="id -un").output.strip() == "bea"
    assert before == machine.store("pragma user_version") == "1", "a sign-in migrates nothing"


def test_what_the_old_schema_cannot_hold_waits_for_the_migration(machine):
    done = machine.sandbox.run("oauth2ctl user lock ann", check=False)
    assert done.returncode != 0 and "oauth2ctl store migrate" in done.stderr, done.stderr
    assert machine.person.key_login("ann", product.ROOT_KEY).status == 0


def test_the_migration_keeps_a_copy_of_the_old_store_and_says_where(machine):
    people = machine.store("select login_name, uid from identity order by uid")
    said = machine.sandbox.output("oauth2ctl store migrate")
    copy = said.rsplit(" ", 1)[1].strip()
    assert copy.startswith(f"{product.STORE}.schema-1."), said
    assert machine.sandbox.output(["stat", "-c", "%a %U", copy]) == "600 root"
    old = machine.sandbox.output(["sqlite3", copy, "pragma integrity_check; pragma user_version"])
    assert old.split() == ["ok", "1"]
    assert machine.sandbox.output(
        ["sqlite3", copy, "select login_name, uid from identity order by uid"]) == people
    assert machine.store("select login_name, uid from identity order by uid") == people
    assert "no change" in machine.sandbox.output("oauth2ctl store migrate")
    assert machine.person.login_again("ann").status == 0
    assert machine.person.login_again("bea").status == 0
    machine.sandbox.run("oauth2ctl user lock ann")
    assert machine.person.key_login("ann", product.ROOT_KEY).status == 255
