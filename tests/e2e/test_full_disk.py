"""A full disk and a read-only /var (design, rule 12): who was in before gets in, and the log says what was not recorded;
whoever is new is refused, and so is a login that would take something away."""

import contextlib
import itertools
import re

import pytest
from crash import left_over, published_rows, store_rows

from rig import local_people, product, texts
from rig.machine import Machine

STAFF = {"groups": ["3f1c-staff"]}
PEOPLE = {"ann": STAFF, "bob": STAFF, "carl": {}}
DISK = 512 * 1024  # bytes
PAGE = 4096
# So many that publishing takes more room than recording.
CROWD = """
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 400)
INSERT INTO identity(login_name, uid, gid, home, shell, state, created_at, generation)
SELECT 'crowd' || n, 5000 + n, 5000 + n, '/home/crowd' || n, '/bin/sh', 'reserved', 0, 1 FROM number
"""
FILLING = f"{product.STATE}/filling"


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release) as ready:
        # The state has a small file system of its own from the first moment on.
        ready.sandbox.run(
            f"mount -t tmpfs -o mode=0755,size={DISK} small /mnt && cp -a {product.STATE}/. /mnt"
            f" && mount --move /mnt {product.STATE}")
        ready.provider.people(PEOPLE)
        for name in PEOPLE:
            assert ready.person.first_login(name).status == 0
        yield ready


@pytest.fixture(params=["full", "read-only"])
def stuck(machine, request):
    """Nothing can be written."""
    # A login on the same day has nothing to record: these were here the day before.
    machine.sandbox.run(["sqlite3", product.STORE, "UPDATE identity SET confirmed_day = confirmed_day - 1"])
    with full(machine, 0) if request.param == "full" else read_only(machine):
        yield request.param


@contextlib.contextmanager
def full(machine, free_pages):
    sandbox = machine.sandbox
    free = int(sandbox.output(["stat", "-f", "-c", "%f", product.STATE]))
    sandbox.run(["fallocate", "-l", str((free - free_pages) * PAGE), FILLING])
    try:
        yield
    finally:
        sandbox.run(["rm", FILLING])


@contextlib.contextmanager
def read_only(machine):
    """/var as a whole, as after an error of its disk."""
    places = ["/var", product.STATE]
    try:
        machine.sandbox.run("mount --rbind /var /var")
        for place in places:
            machine.sandbox.run(["mount", "-o", "remount,bind,ro", place])
        yield
    finally:
        machine.sandbox.run("umount --recursive --lazy /var")


class Copy:
    """The state, where the tests can see it: its small file system exists only inside of the sandbox."""

    def __init__(self, sandbox):
        self._sandbox = sandbox
        self.directory = sandbox.directory
        sandbox.run(f"rm -rf /srv/copy && cp -a {product.STATE} /srv/copy")

    def path(self, name):
        return self._sandbox.path("/srv/copy" + name.removeprefix(product.STATE))


def state(machine):
    copy = Copy(machine.sandbox)
    return store_rows(copy), published_rows(copy)


def test_a_returning_user_gets_in_and_the_log_says_what_was_not_recorded(machine, stuck):
    before = state(machine)
    watch = machine.watch()
    ended = machine.person.login_again("ann", command="id -Gn")
    assert ended.status == 0 and "idp-staff" in ended.output, ended.screen
    watch.one_verdict("admitted")
    watch.wait_for("not recorded: ")
    assert state(machine) == before


def test_a_returning_user_gets_in_without_the_group_that_could_not_be_recorded(machine, stuck):
    before = state(machine)
    with people(machine, carl=STAFF):
        watch = machine.watch()
        ended = machine.person.login_again("carl", command="id -Gn")
        assert ended.status == 0 and "idp-staff" not in ended.output, ended.screen
        watch.wait_for("not recorded: ")
    assert state(machine) == before


def test_a_login_that_would_take_a_group_away_is_refused(machine, stuck):
    before = state(machine)
    with people(machine, bob={}):
        watch = machine.watch()
        refused(machine, "bob", gate=False)
        watch.one_verdict("error", "store")
    assert state(machine) == before


def test_local_people_notice_nothing(machine, stuck):
    assert local_people.broken_ways_in(machine) == {}


def test_a_first_login_is_refused_with_its_reason_and_leaves_nothing_by_halves(machine, stuck):
    before = state(machine)
    watch = machine.watch()
    refused(machine, "stranger")
    line = watch.one_verdict("error", "store")
    assert re.search("full|readonly", line.fields["detail"] + line.text), line.text
    assert state(machine) == before
    assert machine.resolves("stranger") is None
    assert machine.resolves("ann") is not None


def test_wherever_the_disk_becomes_full_a_first_login_is_all_or_nothing(machine):
    machine.sandbox.run(["sqlite3", product.STORE, CROWD])
    machine.sandbox.run("oauth2ctl publish")
    reasons = {}
    for pages in itertools.count(0, 6):
        name = f"late{pages}"
        published = state(machine)[1]
        with full(machine, pages), machine.person.ssh(name, "true") as terminal:
            machine.person.approve(machine.person.read_prompt(terminal), name)
            watch = machine.watch()
            terminal.send_line()
            # pam_unix asks strangers for a password that they have not.
            if not terminal.shows(texts.PASSWORD):
                assert terminal.wait() == 0
                break
            reasons[pages] = watch.one_verdict("error").fields["reason"]
        assert state(machine)[1] == published, "a publication by halves"
        assert left_over(machine.sandbox) == []
        assert machine.resolves(name) is None
        assert machine.person.try_everything(name) == 0
    print(reasons)
    assert {"store", "publication"} <= set(reasons.values())


@contextlib.contextmanager
def people(machine, **changed):
    """What the provider says of them meanwhile."""
    machine.provider.people({**PEOPLE, **changed})
    try:
        yield
    finally:
        machine.provider.people(PEOPLE)


def refused(machine, name, gate=True):
    """A login that ends in our sentence; pam_unix, which is asked then, knows no password."""
    with machine.person.ssh(name, "true") as terminal:
        machine.person.approve(machine.person.read_prompt(terminal, gate), name)
        ended = machine.person.finish_or_password(terminal)
    assert ended.status == 255
    assert "ask your administrator" in ended.screen, ended.screen
