"""Maps of ids that are not root's own, disks that are full, and twenty runs."""

import contextlib
import json

import pytest

from rig import ctl, product
from rig.ctl import ask, say
from rig.machine import Machine

MAP = "/srv/map/fleet"
PAGE = 4096
DISK = 768 * 1024  # bytes
FILLING = f"{product.STATE}/filling"
RUNS = 20
# So many that publishing takes more room than recording.
CROWD = [{"kind": "person", "name": f"crowd{n}", "uid": 5000 + n, "home": f"/home/crowd{n}", "shell": "/bin/sh"}
         for n in range(300)]


@pytest.fixture
def machine():
    with ctl.unconfigured_provider(Machine) as ready:
        ready.sandbox.run("mkdir /srv/map")
        yield ready


def text_of(form):
    if form == "json":
        person = {"kind": "person", "name": "ann", "uid": 4001, "home": "/home/ann", "shell": "/bin/bash"}
        return json.dumps({"format": "oauth2-ids-1", "machine": "a", "entries": [person]})
    return ("kind,name,uid,gid,home,shell,gecos,locked,expires,issuer,subject,groups\n"
            "person,ann,4001,4001,/home/ann,/bin/bash,,,,,,\n")


# Whose map it is, and how the file is called: as a whole, or from the directory that it is in.
NOT_ROOTS = ["chown localu {0}", "chmod o+w {0}", "chmod g+w {0}", "mv {0} {0}.real && ln -s {0}.real {0}",
             "chown localu {0} && chmod 600 {0}"]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_map_that_others_could_have_written_is_refused_however_it_is_named(machine, form):
    for spoil in NOT_ROOTS:
        for named in (f"{MAP} 2>&1", "fleet 2>&1"):
            machine.sandbox.run(f"rm -f {MAP} {MAP}.real")
            machine.sandbox.write(MAP, text_of(form), 0o600)
            machine.sandbox.run(spoil.format(MAP))
            before = ctl.files(machine)
            for command in ("import", "import --dry-run", "diff"):
                done = machine.sandbox.run(f"cd /srv/map && oauth2ctl ids {command} {named}", check=False)
                assert done.returncode == 1 and MAP.rsplit("/", 1)[1] in done.stdout, (spoil, command, done)
            assert ctl.touched(before, ctl.files(machine)) == [], spoil
    machine.sandbox.run(f"rm -f {MAP} {MAP}.real")
    machine.sandbox.write(MAP, text_of(form), 0o600)
    machine.sandbox.run("cd /srv/map && oauth2ctl ids import fleet")
    assert machine.uid_of("ann") == 4001, "root's own is taken"


def state(machine):
    """What is published, to the byte, and what the store says: its small file system exists only inside of the sandbox."""
    run = machine.sandbox.output
    run(f"rm -rf /srv/copy && cp -a {product.STATE} /srv/copy")
    return (run("sha256sum </srv/copy/nss.db"), run("sqlite3 /srv/copy/private/store.db .dump | sha256sum"),
            run(f"ls -A {product.STATE} | grep -v filling"))


@contextlib.contextmanager
def full(machine, free_pages):
    free = int(machine.sandbox.output(["stat", "-f", "-c", "%f", product.STATE]))
    machine.sandbox.run(["fallocate", "-l", str((free - free_pages) * PAGE), FILLING])
    try:
        yield
    finally:
        machine.sandbox.run(["rm", FILLING])


def test_wherever_the_disk_becomes_full_an_import_is_all_or_nothing(machine):
    machine.sandbox.run(f"mount -t tmpfs -o mode=0755,size={DISK} small /mnt && cp -a {product.STATE}/. /mnt"
                        f" && mount --move /mnt {product.STATE}")
    machine.sandbox.write(MAP, json.dumps({"format": "oauth2-ids-1", "machine": "a", "entries": CROWD}), 0o600)
    outcomes = []
    for pages in range(0, 150, 4):
        before = state(machine)
        with full(machine, pages):
            done = machine.sandbox.run(f"oauth2ctl --json ids import {MAP}", check=False)
        answer, after = json.loads(done.stdout), state(machine)
        if done.returncode == 0:
            outcomes.append("imported")
            break
        assert done.returncode == 1, done
        # What cannot be published is nothing to anybody yet.
        assert (after[0], after[2]) == (before[0], before[2]), pages
        if answer["changed"]:
            outcomes.append("recorded")
            assert "not published yet" in answer["error"]["message"] and "again" in answer["error"]["message"]
            break
        outcomes.append("refused")
        assert after == before, pages
    assert outcomes[0] == "refused" and outcomes[-1] in ("recorded", "imported"), outcomes
    ask(machine, f"ids import {MAP}")
    assert machine.uid_of("crowd299") == 5299 and machine.uid_of("crowd0") == 5000
    assert not ask(machine, f"ids import {MAP}")["changed"]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_twenty_imports_and_exports_of_a_whole_fleet_change_once(machine, form):
    for command in ("user add ann --group idp-staff --subject https://idp.test:8443 ann-sub", "user add carl",
                    "user lock carl", "user add dora", "user remove dora", "user add emma", "user rename emma emmy"):
        ask(machine, command)
    export = f"ids export --format {form} --output {MAP}"
    with ctl.unconfigured_provider(Machine) as second:
        second.sandbox.run("mkdir /srv/map")
        assert ask(machine, export)["changed"]
        second.sandbox.write(MAP, machine.sandbox.read(MAP), 0o600)
        assert ask(second, f"ids import {MAP}")["changed"]
        before = ctl.files(machine), ctl.files(second)
        printed = say(machine, f"ids export --format {form}")
        for _ in range(RUNS - 1):
            assert not ask(machine, export)["changed"]
            assert not ask(second, f"ids import {MAP}")["changed"]
            assert say(machine, f"ids export --format {form}") == printed
        assert ctl.touched(before[0], ctl.files(machine)) == []
        assert ctl.touched(before[1], ctl.files(second)) == []
        there = say(second, f"ids export --format {form}")
        name = lambda text, of: text.replace(of.sandbox.output("hostname").strip(), "HOST")  # noqa: E731
        assert name(there, second) == name(printed, machine), "the map of the second machine is the same"
