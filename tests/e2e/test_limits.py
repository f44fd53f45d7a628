"""What a minute may hold: strangers over a limit are refused, people whom the machine knows only wait."""

import re

import pytest

from rig import product, texts
from rig.machine import Machine
from rig.patience import wait_until
from rig.ssh_client import KEYBOARD

LIMIT = 2
CONFIG = {**product.ID_TOKEN, "limits": {"starts_per_minute": LIMIT}}
DIRECTORY = "/run/pam_oauth2_device"
COUNTERS = f"{DIRECTORY}/limits"
TOO_MANY = "Too many sign-ins were started from your address"


@pytest.fixture(scope="module")
def limited(release):
    with Machine(release, config=CONFIG) as ready:
        assert ready.person.first_login("ann").status == 0
        yield ready


@pytest.fixture
def machine(limited):
    """With no count of an earlier test, and the directory as it is after a boot."""
    limited.sandbox.run(f"rm -rf {DIRECTORY} && systemd-tmpfiles --create")
    return limited


def _from(address):
    return (*KEYBOARD, "-b", address)


def _start(machine, name, address="127.0.0.1"):
    """A stranger who gets a code and goes away."""
    with machine.person.ssh(name, "true", _from(address)) as terminal:
        machine.person.read_prompt(terminal)


def _is_refused(machine, name, address="127.0.0.1"):
    """The rest of the screen of a stranger who is refused after the first Enter."""
    with machine.person.ssh(name, "true", _from(address)) as terminal:
        terminal.expect(texts.PRESS_ENTER)
        terminal.send_line()
        assert terminal.wait() == 255
        return terminal.rest()


def _use_up(machine, address="127.0.0.1", limit=LIMIT):
    for number in range(limit):
        _start(machine, f"stranger{number}", address)


def test_a_stranger_over_the_limit_is_refused_before_any_request(machine):
    _use_up(machine)
    watch = machine.watch()
    screen = _is_refused(machine, "eve")
    assert TOO_MANY in screen
    assert not re.search(texts.CODE, screen)
    assert not re.search("(?i)password:", screen), "the stack must end at PAM_MAXTRIES"
    watch.assert_no_network()
    line = watch.one_verdict("refused", "too_many_starts")
    assert line.fields["rhost"] == "127.0.0.1"


def test_the_sixty_first_stranger_of_a_minute_is_refused_where_nothing_is_configured():
    with Machine("bookworm") as machine:
        _start(machine, "stranger")
        _count_as(machine, 59)
        _start(machine, "stranger")
        watch = machine.watch()
        assert TOO_MANY in _is_refused(machine, "eve")
        watch.assert_no_network()
        _start(machine, "eve", "127.0.0.2")


def _count_as(machine, starts):
    """Makes the one start that was counted as many: a busy machine takes more than a minute for sixty."""
    change = (
        "import struct; table = open('{0}', 'r+b'); slots = range(48, 65536, 16)\n"
        "def count(slot): table.seek(slot + 12); return struct.unpack('<I', table.read(4))[0]\n"
        "used = [slot for slot in slots if count(slot)]\n"
        "assert [count(slot) for slot in used] == [1]\n"
        "table.seek(used[0] + 12); table.write(struct.pack('<I', {1}))"
    )
    machine.sandbox.run(["python3", "-c", change.format(COUNTERS, starts)])


def test_another_address_has_a_count_of_its_own(machine):
    _use_up(machine)
    assert machine.person.first_login("bob", how=_from("127.0.0.2")).status == 0


def test_a_connection_without_an_enter_is_not_counted(machine):
    for _ in range(LIMIT + 1):
        with machine.person.ssh("eve", "true") as terminal:
            terminal.expect(texts.PRESS_ENTER)
    _use_up(machine)


def test_strangers_at_the_same_address_neither_refuse_nor_delay_somebody_known(machine):
    _use_up(machine)
    _is_refused(machine, "eve")
    watch = machine.watch()
    assert machine.person.login_again("ann").status == 0
    assert "waits for" not in watch.log()


def test_somebody_known_waits_over_the_limit_and_gets_in(machine):
    watch = machine.watch()
    for _ in range(LIMIT):
        with machine.person.ssh("ann", "true") as terminal:
            machine.person.read_prompt(terminal, gate=False)
    assert "waits for" not in watch.log()
    assert machine.person.login_again("ann").status == 0
    seconds = watch.wait_for(r"the sign-in of ann waits for (\d+) s \(limits\)")[1]
    assert 1 <= int(seconds) <= 10
    assert machine.person.login_again("ann", how=_from("127.0.0.2")).status == 0
    assert len(re.findall("waits for", watch.log())) == 1


def test_a_stranger_writes_the_counters_and_nothing_else(machine):
    _start(machine, "eve")
    traces = machine.traces()
    _start(machine, "mallory")
    _is_refused(machine, "zoe")
    traces.assert_none()
    assert machine.sandbox.output(f"ls -A {DIRECTORY}") == "limits"
    state = machine.sandbox.output(f"stat -c '%a %U' {DIRECTORY}; stat -c '%a %U %s' {COUNTERS}")
    assert state == "700 root\n600 root 65536"


def test_a_boot_forgets_the_counts(machine):
    _use_up(machine)
    machine.sandbox.run(f"rm -rf {DIRECTORY}")
    _use_up(machine)
    assert TOO_MANY in _is_refused(machine, "eve"), "made again by a login, without tmpfiles.d"


def test_garbage_is_begun_anew(machine):
    machine.sandbox.run(f"head -c 70000 /dev/urandom > {COUNTERS} && chmod 600 {COUNTERS}")
    _use_up(machine)
    assert TOO_MANY in _is_refused(machine, "eve")
    assert machine.sandbox.output(f"stat -c %s {COUNTERS}") == "65536"


TARGET = "/root/precious"
HOSTILE = {
    "a-link": f"ln -s {TARGET} {COUNTERS}",
    "a-dangling-link": f"ln -s {TARGET}.new {COUNTERS}",
    "a-second-name": f"touch {DIRECTORY}/x && chmod 600 {DIRECTORY}/x && ln {DIRECTORY}/x {COUNTERS}",
    "a-directory": f"mkdir {COUNTERS}",
    "a-fifo": f"mkfifo -m 600 {COUNTERS}",
    "somebody-elses": f"install -m 600 -o 1000 /dev/null {COUNTERS}",
    "open-to-others": f"install -m 644 /dev/null {COUNTERS}",
    "a-directory-of-somebodys": f"chown 1000 {DIRECTORY}",
    "a-directory-that-is-a-link": f"rmdir {DIRECTORY} && mkdir -m 700 {TARGET}.d && ln -s {TARGET}.d {DIRECTORY}",
    "a-file-for-a-directory": f"rmdir {DIRECTORY} && touch {DIRECTORY}",
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_counters_that_cannot_be_trusted_limit_nobody(machine, hostile):
    machine.sandbox.write(TARGET, "precious", 0o600)
    machine.sandbox.run(hostile)
    watch = machine.watch()
    _use_up(machine, limit=LIMIT + 1)
    assert machine.person.login_again("ann").status == 0
    watch.wait_for("this sign-in is not limited: .*run/pam_oauth2_device")
    assert machine.sandbox.read(TARGET) == "precious"
    assert not machine.sandbox.succeeds(f"test -e {TARGET}.new")
    assert machine.sandbox.output(f"ls -A {TARGET}.d 2>/dev/null; rm -rf {TARGET}.d") == ""


def test_a_lock_that_somebody_holds_keeps_nobody_out(machine):
    _start(machine, "eve")
    holder = machine.sandbox.output(
        f"bash -c 'exec 9<>{COUNTERS}; flock 9; exec sleep infinity' >/dev/null 2>&1 & echo $!")
    try:
        wait_until(lambda: not machine.sandbox.succeeds(f"flock -n {COUNTERS} true"), "the lock")
        _use_up(machine, limit=LIMIT + 1)
        assert machine.person.login_again("ann").status == 0
    finally:
        machine.sandbox.run(["kill", holder])


def test_a_run_that_cannot_be_written_keeps_nobody_out(machine):
    machine.sandbox.run(f"rm -rf {DIRECTORY} && mount -o remount,ro /run")
    watch = machine.watch()
    try:
        _use_up(machine, limit=LIMIT + 1)
        assert machine.person.login_again("ann").status == 0
        watch.wait_for("this sign-in is not limited")
    finally:
        machine.sandbox.run("mount -o remount,rw /run")


def test_strangers_leave_half_of_the_requests_to_people_who_are_known():
    config = {**product.ID_TOKEN, "limits": {"provider_requests_per_minute": 10}}
    with Machine("bookworm", config=config) as machine:
        assert machine.person.first_login("ann").status == 0
        machine.sandbox.run(f"rm {COUNTERS}")
        for number in range(1, 4):  # discovery and code, each
            _start(machine, "eve", f"127.0.0.{number}")
        watch = machine.watch()
        screen = _is_refused(machine, "mallory", "127.0.0.4")
        assert "Too many people are signing in" in screen
        watch.assert_no_network()
        watch.one_verdict("unavailable", "too_many_requests")
        assert machine.person.login_again("ann").status == 0


def test_an_administrators_own_trial_is_not_counted(machine):
    _use_up(machine)
    before = machine.sandbox.output(f"sha256sum {COUNTERS}")
    machine.sandbox.run("oauth2ctl login eve", input="x\n", check=False)
    for _ in range(LIMIT + 1):
        done = machine.sandbox.run("oauth2ctl login eve", input="\nx\n", check=False)
        assert re.search(texts.CODE, done.stdout), done.stdout + done.stderr
    assert machine.sandbox.output(f"sha256sum {COUNTERS}") == before
