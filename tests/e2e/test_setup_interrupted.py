"""A setup that is killed at each step by which it changes a file: undone, or whole."""

import shlex

import pytest

from rig import product
from rig.fault_points import KILLED, Place, bring_strace, fault_points
from rig.setup import ANSWERS, FILES, JOURNAL, SetupMachine

# Whatever becomes a file, ceases to be one, or changes its place; and the program that writes the PAM stack.
STEPS = ("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "link", "symlink")
DIRECTORIES = ("/etc", "/var/lib/pam", "/var/lib/pam_oauth2_device", "/var/cache/debconf")
SETUP = ["oauth2ctl", *shlex.split(f"{ANSWERS} --non-interactive")]


@pytest.fixture(scope="module")
def place():
    with SetupMachine() as machine:
        machine.sandbox.run("mkdir -p /var/lib/pam_oauth2_device")
        bring_strace(machine.sandbox)
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


def steps_of(log):
    return {(fault.call, fault.number): fault for fault in fault_points(log) if fault.call in STEPS}.values()


def kill_at(place, step, traced, before):
    """Kills a setup at a step, and takes it back. Its status, and whether there was something to take back."""
    place.restore()
    assert files(place) == before
    status, _ = traced(SETUP, step)
    if place.path(JOURNAL).exists():
        place.run("oauth2ctl setup roll-back")
        assert_same(files(place), before, step)
        return status, True
    if status in KILLED and place.path(product.CONFIG).exists():
        assert is_whole(place), step
    else:
        # Before there is a journal nothing is changed; half a journal is the next one's to replace.
        assert_same(without_ours(files(place)), without_ours(before), step)
    return status, False


def test_a_setup_killed_at_each_writing_step_of_its_own_is_undone_or_whole(place):
    place.restore()
    before = files(place)
    status, log = place.traced_alone(SETUP)
    assert status == 0 and is_whole(place)
    steps = steps_of(log)
    renamed = "".join(step.text for step in steps if step.call.startswith("rename"))
    # strace shows the beginning of a path.
    for path in (JOURNAL[:40], product.CONFIG, "/etc/nsswitch.conf", "20-oauth2.conf", product.PUBLISHED):
        assert path in renamed, (path, renamed)
    undone = 0
    for step in steps:
        status, was_undone = kill_at(place, step, place.traced_alone, before)
        assert status in KILLED, f"{step} was not reached: {status}"
        undone += was_undone
    assert undone >= 10, undone


def test_a_setup_whose_programs_are_killed_at_each_writing_step_is_undone_or_whole(place):
    place.restore()
    before = files(place)
    status, log = place.traced(SETUP)
    assert status == 0 and is_whole(place)
    steps = steps_of(log)
    assert len(steps) >= 15, steps
    undone = 0
    for step in steps:
        status, was_undone = kill_at(place, step, place.traced, before)
        # Of pam-auth-update's steps setup itself sees the end, and takes everything back at once.
        assert status in (*KILLED, 1), f"{step} was not reached: {status}"
        undone += was_undone
    assert undone >= 5, undone
