"""A setup that is killed at each step by which it changes a file: undone, or whole."""

import shlex

import pytest

from rig import product
from rig.fault_points import KILLED, Place, fault_points
from rig.setup import ANSWERS, FILES, JOURNAL, SetupMachine

# Whatever becomes a file, ceases to be one, or changes its place; and the program that writes the PAM stack.
STEPS = ("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "link", "symlink")
DIRECTORIES = ("/etc", "/var/lib/pam", "/var/lib/pam_oauth2_device", "/var/cache/debconf")
SETUP = ["oauth2ctl", *shlex.split(f"{ANSWERS} --non-interactive")]


@pytest.fixture(scope="module")
def place():
    with SetupMachine() as machine:
        machine.sandbox.run("mkdir -p /var/lib/pam_oauth2_device")
        ready = Place(machine.sandbox, "setup", DIRECTORIES)
        ready.save()
        yield ready
        ready.stop()


def files(place):
    """Without the directories that a place is mounted on, whose times are its own."""
    return place.output(FILES).splitlines()


def without_ours(lines):
    return [line for line in lines if "/var/lib/pam_oauth2_device" not in line]


def assert_same(now, before, step):
    assert now == before, (str(step), sorted(set(now) ^ set(before)))


def is_whole(place):
    return "no change" in place.run(SETUP).stdout


def test_a_setup_killed_at_each_writing_step_is_undone_or_whole(place):
    before = files(place)
    status, log = place.traced(SETUP)
    assert status == 0 and is_whole(place)
    steps = {(fault.call, fault.number): fault for fault in fault_points(log) if fault.call in STEPS}
    assert len(steps) >= 15, steps
    killed = undone = 0
    for step in steps.values():
        place.restore()
        assert files(place) == before
        status, _ = place.traced(SETUP, step)
        killed += status in KILLED
        # Of pam-auth-update's steps setup itself sees the end, and takes everything back at once.
        assert status in (*KILLED, 1), f"{step} was not reached: {status}"
        if place.path(JOURNAL).exists():
            place.run("oauth2ctl setup roll-back")
            assert_same(files(place), before, step)
            undone += 1
        elif status in KILLED and place.path(product.CONFIG).exists():
            assert is_whole(place), step
        else:
            # Before there is a journal nothing is changed; half a journal is the next one's to replace.
            assert_same(without_ours(files(place)), without_ours(before), step)
    assert killed >= 10 and undone >= 10, (killed, undone)
