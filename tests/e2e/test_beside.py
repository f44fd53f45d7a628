"""Other parts of the name service beside ours: nscd, systemd-userdbd, and systemd's own test of NSS modules."""

import re

import pytest

from rig import beside
from rig.machine import Machine


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release) as ready:
        ended = ready.person.first_login("ann", command="true")
        assert ended.status == 0, ended.screen
        yield ready


def entry(machine, name, user=None):
    return machine.sandbox.run(["getent", "passwd", name], user=user, check=False).stdout.strip()


def memberships(machine):
    """nscd has an order of its own."""
    return sorted(machine.sandbox.output("id -G ann").split()), machine.sandbox.output("getent group idp-staff")


def test_systemds_own_test_of_nss_modules_passes(machine):
    uid = machine.uid_of("ann")
    done = beside.run_test_nss_users(machine.sandbox, "ann", uid, "idp-staff", "nobody-of-this-name", 1, 65534)
    shown = done.stdout + done.stderr
    assert re.search(r'getpwnam_r\("ann"\) \S+ status=NSS_STATUS_SUCCESS', shown), shown
    assert re.search(r'getgrnam_r\("nobody-of-this-name"\) \S+ status=NSS_STATUS_NOTFOUND', shown), shown


def test_nscd_passes_on_what_the_module_says(machine):
    plain = {name: entry(machine, name) for name in ("ann", "root", "carol")}
    groups = memberships(machine)
    with beside.nscd(machine.sandbox):
        for _ in range(2):  # by nscd's own lookup, and from its cache
            assert {name: entry(machine, name, user="localu") for name in plain} == plain
            assert memberships(machine) == groups
        statistics = machine.sandbox.output(["/usr/sbin/nscd", "--statistics"])
        assert "passwd cache:" in statistics


def test_a_prospective_entry_does_not_escape_through_nscd_and_the_first_login_is_refused(machine):
    """libc asks nscd before any module, also in sshd: the name is absent there. doctor says so (N3)."""
    with beside.nscd(machine.sandbox):
        watch = machine.watch()
        refused = machine.person.try_everything("bob") != 0
        assert refused and "Invalid user bob" in watch.log()
        assert entry(machine, "bob") == entry(machine, "bob", user="localu") == ""
        doctor = machine.sandbox.run("oauth2ctl doctor", check=False)
        assert "nscd is running and caches" in doctor.stdout + doctor.stderr
    assert machine.published("select count(*) from passwd where name = 'bob'") == "0"


def test_an_nscd_that_caches_no_people_is_in_nobodys_way(machine):
    with beside.nscd(machine.sandbox, passwd="no"):
        with machine.person.ssh("carol", "true") as terminal:
            prompt = machine.person.read_prompt(terminal)
            assert entry(machine, "carol") == entry(machine, "carol", user="localu") == ""
            machine.person.approve(prompt, "carol")
            ended = machine.person.finish(terminal)
        assert ended.status == 0, ended.screen
        assert entry(machine, "carol").startswith("carol:x:")


def test_userdbd_says_what_the_module_says_and_knows_nobody_who_has_not_signed_in(machine):
    with beside.userdbd(machine.sandbox):
        record = beside.userdb_record(machine.sandbox, "ann")
        assert (record["userName"], record["uid"]) == ("ann", machine.uid_of("ann"))
        assert record["homeDirectory"] == "/home/ann"
        assert beside.userdb_record(machine.sandbox, "dave") is None
        # sshd holds a prospective entry while somebody is at the prompt; userdbd is another program.
        with machine.person.ssh("dave", "true") as terminal:
            prompt = machine.person.read_prompt(terminal)
            assert beside.userdb_record(machine.sandbox, "dave") is None and entry(machine, "dave") == ""
            machine.person.approve(prompt, "dave")
            ended = machine.person.finish(terminal)
        assert ended.status == 0, ended.screen
        assert beside.userdb_record(machine.sandbox, "dave")["uid"] == machine.uid_of("dave")
