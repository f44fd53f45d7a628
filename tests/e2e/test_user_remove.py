"""oauth2ctl user remove: what it keeps, deletes and archives, and what is not its to touch."""

import pytest

from rig import ctl
from rig.ctl import ask, say
from rig.machine import Machine
from rig.processes import running, sleeper


@pytest.fixture(scope="module")
def machine():
    with ctl.unconfigured_provider(Machine) as ready:
        yield ready


def furnish(machine, name):
    uid = machine.uid_of(name)
    machine.sandbox.run(
        f"mkdir -p /home/{name}/deep /var/spool/cron/crontabs /var/mail && echo treasure >/home/{name}/deep/file"
        f" && ln -s /srv/precious /home/{name}/link && mkdir -p /srv/precious && touch /srv/precious/kept"
        f" && chown -Rh {uid}:{uid} /home/{name} && echo '@daily true' >/var/spool/cron/crontabs/{name}"
        f" && echo mail >/var/mail/{name} && groupadd -f club && gpasswd -a root club >/dev/null"
        f" && sed -i 's/^\\(club:.*\\)$/\\1,{name}/' /etc/group")
    return uid


def test_a_removal_keeps_everything_and_says_what(machine):
    ask(machine, "user add lena")
    furnish(machine, "lena")
    answer = ask(machine, "user remove lena")
    assert answer["changed"]
    left = answer["left"]
    assert left["home"] == "/home/lena" and left["crontabs"] == ["/var/spool/cron/crontabs/lena"]
    assert left["mail"] == ["/var/mail/lena"] and left["groups"] == ["club"]
    assert "crontab" in say(machine, "user remove lena"), "said again, it still lists them"


def test_a_purge_deletes_all_but_the_home_directory(machine):
    ask(machine, "user remove lena --purge")
    for path in ("/var/spool/cron/crontabs/lena", "/var/mail/lena"):
        assert not machine.sandbox.succeeds(f"test -e {path}")
    assert "lena" not in machine.sandbox.read("/etc/group")
    assert machine.sandbox.read("/home/lena/deep/file") == "treasure\n"
    assert not ask(machine, "user remove lena --purge")["changed"]


def test_a_purge_asks_first(machine):
    ask(machine, "user add mona")
    furnish(machine, "mona")
    done = machine.sandbox.run("oauth2ctl user remove mona --purge", check=False)
    assert done.returncode == 7 and "--yes" in done.stderr
    assert ask(machine, "user show mona")["user"]["state"] == "reserved", "nothing was done"


def test_an_archived_home_directory_is_in_the_file_and_nowhere_else(machine):
    uid = machine.uid_of("mona")
    process = sleeper(machine, uid)
    answer = ask(machine, "user remove mona --purge --archive /root")
    assert process.wait(10) != 0
    archive = answer["archive"]
    assert machine.sandbox.output(f"stat -c '%a %U' {archive}") == "600 root"
    listing = machine.sandbox.output(f"tar -tvf {archive}")
    assert "mona/deep/file" in listing and "mona/link -> /srv/precious" in listing
    assert not machine.sandbox.succeeds("test -e /home/mona")
    assert machine.sandbox.succeeds("test -e /srv/precious/kept"), "a link is not followed"
    assert machine.sandbox.output(f"tar -xOf {archive} mona/deep/file") == "treasure"
    assert not ask(machine, "user remove mona --purge")["changed"]
    again = ask(machine, "user remove mona --archive /root", 4)
    assert "/home/mona" in again["error"]["message"] and not again["changed"], "there is nothing to archive"


@pytest.mark.parametrize("spoil, says", [
    ("mv /home/{0} /home/{0}.real && ln -s /home/{0}.real /home/{0}", "not archived"),
    ("chown 0 /home/{0}", "not archived"),
    ("mount -t tmpfs none /home/{0}/deep", "mounted"),
])
def test_a_home_directory_that_is_not_wholly_theirs_is_left_alone(machine, spoil, says):
    ask(machine, "user add nora")
    uid = furnish(machine, "nora")
    try:
        machine.sandbox.run(spoil.format("nora"))
        assert says in say(machine, "user remove nora --archive /root", 8)
        assert ask(machine, "user show nora")["user"]["state"] == "reserved", "nothing was done"
    finally:
        machine.sandbox.run("umount /home/nora/deep", check=False)
        machine.sandbox.run("rm -rf /home/nora /home/nora.real")
        assert uid


def test_a_full_disk_keeps_the_home_directory_and_leaves_no_half_archive(machine):
    ask(machine, "user add olga")
    furnish(machine, "olga")
    machine.sandbox.run("dd if=/dev/zero of=/home/olga/big bs=1k count=64 2>/dev/null")
    machine.sandbox.run("mkdir /srv/small && mount -t tmpfs -o size=16k none /srv/small")
    try:
        assert "olga is shut out" in say(machine, "user remove olga --archive /srv/small", 1)
        assert machine.sandbox.output("ls -A /srv/small") == ""
        assert machine.sandbox.read("/home/olga/deep/file") == "treasure\n"
        assert ask(machine, "user show olga")["user"]["state"] == "locked"
    finally:
        machine.sandbox.run("umount /srv/small")
    assert ask(machine, "user remove olga --archive /srv/small")["archive"], "said again, it goes on"


def test_what_is_mounted_while_the_archive_is_written_is_not_removed(machine):
    ask(machine, "user add paul")
    furnish(machine, "paul")
    machine.sandbox.run("mv /usr/bin/tar /usr/bin/tar.real")
    machine.sandbox.write("/usr/bin/tar", """#!/bin/sh
/usr/bin/tar.real "$@" && mount -t tmpfs none /home/paul/deep && touch /home/paul/deep/mounted
""", 0o755)
    try:
        answer = ask(machine, "user remove paul --archive /root", 1)
        assert answer["changed"] and "mounted" in answer["error"]["message"], answer
        assert machine.sandbox.succeeds("test -e /home/paul/deep/mounted")
        assert "paul/deep/file" in machine.sandbox.output(f"tar.real -tf {answer['archive']}")
    finally:
        machine.sandbox.run("mv /usr/bin/tar.real /usr/bin/tar; umount /home/paul/deep")
    machine.sandbox.run("mkdir /srv/again")
    assert ask(machine, "user remove paul --archive /srv/again")["archive"], "said again, it goes on"
    assert not machine.sandbox.succeeds("test -e /home/paul")


def test_a_purge_that_fails_on_its_way_says_that_something_was_changed(machine):
    ask(machine, "user add rosa")
    furnish(machine, "rosa")
    ask(machine, "user remove rosa")
    machine.sandbox.run("mv /usr/bin/gpasswd /usr/bin/gpasswd.real")
    try:
        answer = ask(machine, "user remove rosa --purge", 1)
        assert answer["changed"] and any("crontab" in line for line in answer["purged"])
        assert "gpasswd" in answer["error"]["message"]
    finally:
        machine.sandbox.run("mv /usr/bin/gpasswd.real /usr/bin/gpasswd")
    assert ask(machine, "user remove rosa --purge")["purged"] == ["a place in the group club of /etc/group"]


def local(machine, name, uid):
    """Somebody of /etc/passwd with everything that a purge looks for, and a process."""
    machine.sandbox.run(f"useradd -M -u {uid} {name}")
    furnish(machine, name)
    return running(machine, uid, "sh", "-c", "echo up; exec sleep 600")


def untouched(machine, name):
    for path in ("/var/spool/cron/crontabs", "/var/mail"):
        assert machine.sandbox.succeeds(f"test -e {path}/{name}")
    assert f",{name}" in machine.sandbox.output("getent group club")
    assert machine.sandbox.read(f"/home/{name}/deep/file") == "treasure\n"


@pytest.mark.parametrize("command", ["--purge", "--archive /root"])
def test_an_account_of_the_machine_is_left_alone_after_its_person_was_removed(machine, command):
    name, uid = ("quin", 3001) if command == "--purge" else ("ruth", 3002)
    process = local(machine, name, uid)
    try:
        # As a sign-in with the account that they had makes it.
        machine.store("insert into identity(login_name, uid, gid, gecos, home, shell, state, existing, created_at,"
                      " generation)"
                      f" values ('{name}', {uid}, {uid}, '', '/home/{name}', '/bin/bash', 'reserved', 1, 1, 1)")
        assert "not made by this package" in say(machine, f"user remove {name} {command}", 7)
        assert "--purge" not in say(machine, f"user remove {name}")
        assert "--purge" not in say(machine, f"user remove {name}"), "said again, of somebody who was removed"
        files = ctl.files(machine)
        assert name in say(machine, f"user remove {name} {command}", 7)
        assert f"{name} (uid {uid}) is left alone" in say(machine, "user sweep")
        assert ctl.touched(files, ctl.files(machine)) == []
        untouched(machine, name)
        assert process.poll() is None
    finally:
        process.kill()


def test_what_carries_a_name_that_somebody_has_now_is_theirs(machine):
    """The number of whoever was removed is still nobody's."""
    ask(machine, "user add sven")
    former = machine.uid_of("sven")
    ask(machine, "user remove sven")
    machine.sandbox.run("mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/sven")
    processes = {"now": local(machine, "sven", 3003), "then": sleeper(machine, former)}
    try:
        assert "3003" in say(machine, "user remove sven --purge", 7)
        swept = ask(machine, "user sweep")["ended"]
        assert [(user["name"], user["uid"]) for user in swept] == [("sven", former)]
        assert not swept[0]["ended"]["linger"]
        assert machine.sandbox.succeeds("test -e /var/lib/systemd/linger/sven")
        assert processes["then"].wait(10) != 0 and processes["now"].poll() is None
        untouched(machine, "sven")
    finally:
        processes["now"].kill()
