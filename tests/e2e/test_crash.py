"""kill -9 at every step that writes: afterwards everybody of before is there, and the same thing again succeeds.

A step is a system call that changes a file. Each is once the call that a program is killed at; then what is left is
looked at, and the same command is given again.
"""

import os
import random
import signal
import subprocess
import time

import pytest
from crash import (
    EARLIER, Command, Login, answers, in_all_places, kill_at_every_step, left_over, published_rows, sign_in, store_rows,
)

from rig import product
from rig.fault_points import Attached, FaultPoint, Place, host_pid
from rig.machine import Machine

PLACES = 4
MOMENTS = 200


@pytest.fixture(scope="module")
def machine():
    with Machine("bookworm") as ready:
        for name in EARLIER:
            ready.sandbox.run(["oauth2ctl", "user", "add", name, "--group", "idp-staff"])
        assert sign_in(ready.sandbox, ready.provider, "ann") == 0
        yield ready


@pytest.fixture(scope="module")
def places(machine):
    """Copies of the machine's state that can be changed side by side."""
    made = [Place(machine.sandbox, str(number), [product.STATE]) for number in range(PLACES)]
    for place in made:
        place.save()
    yield made
    for place in made:
        place.stop()



def test_a_login_killed_at_any_step_of_record_and_publish_leaves_all_as_before_or_after(machine, places):
    crash = kill_at_every_step(places, Login(machine.provider, "erik"))
    assert len(crash.faults) > 50


def test_a_publication_killed_at_any_step_leaves_all_as_before_or_after(machine, places):
    """Of a changed configuration: where nothing is missing, nothing is published."""
    product.configure(machine.sandbox, {**product.ID_TOKEN, "max_confirmation_age": 30}, machine.provider.ca)
    try:
        kill_at_every_step(places, Command("publish"), EARLIER)
    finally:
        product.configure(machine.sandbox, product.ID_TOKEN, machine.provider.ca)


@pytest.mark.parametrize("command", [
    "user add erik --group idp-staff", "user lock dirk", "user remove dirk",
])
def test_a_command_killed_at_any_step_leaves_all_as_before_or_after(places, command):
    others = [name for name in EARLIER if name not in command]
    kill_at_every_step(places, Command(*command.split()), others)


@pytest.mark.parametrize("call, number", [
    ("pwrite64", 1), ("fsync", 3), ("unlink", 1), ("fchmod", 1), ("rename", 1), ("fsync", 7),
])
def test_a_login_through_sshd_works_after_one_that_was_killed(machine, call, number):
    name = f"killed-{call}-{number}"
    before = answers(machine.sandbox)
    with machine.person.ssh(name, "true") as terminal:
        prompt = machine.person.read_prompt(terminal)
        child = host_pid(machine.sandbox, rf"sshd.*: {name} \[pam\]")
        attached = Attached(child, machine.sandbox.directory / "calls", FaultPoint(call, number))
        machine.person.approve(prompt, name)
        assert machine.person.finish(terminal).status == 255
        assert attached.has_killed()
    assert answers(machine.sandbox) == before
    ended = machine.person.try_everything(name)
    assert ended == 0
    assert machine.resolves(name) is not None
    assert answers(machine.sandbox) == before
    assert machine.store("pragma integrity_check") == machine.published("pragma integrity_check") == "ok"


# Random moments

class Roster:
    """What an administrator might say next, and is never wrong to say."""

    def __init__(self, dice, place):
        self.dice, self.place, self.states, self.number = dice, place.directory.name, {}, 0

    def next(self):
        name = self.dice.choice([*self.states, None, None])
        if name is None:
            self.number += 1
            name = f"p{self.number}"
            self.states[name] = "reserved"
            return ["user", "add", name, *self.dice.choice([[], ["--group", "idp-staff"]])]
        if self.states[name] == "locked":
            self.states[name] = "reserved"
            return ["user", "unlock", name]
        word = self.dice.choice(["lock", "remove", "expire", "publish"])
        if word == "lock":
            self.states[name] = "locked"
        if word == "remove":
            del self.states[name]
        if word == "expire":
            return ["user", "expire", name, self.dice.choice(["2100-01-01", "2101-12-31"])]
        return ["publish"] if word == "publish" else ["user", word, name]


def kill_somewhere(dice, process, longest):
    """SIGKILL to all of it, at a moment within the given time."""
    time.sleep(dice.uniform(0, longest))
    os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def test_two_hundred_random_moments_of_changes_leave_all_as_before_or_after(places):
    # The seed decides on commands and moments; how far a command has come by then is the machine's.
    seed = int(os.environ.get("CRASH_SEED", time.time_ns() % 1_000_000))
    print(f"CRASH_SEED={seed}")

    def changes(number):
        dice, place = random.Random(f"{seed} {number}"), places[number]
        place.restore()
        before, roster, killed = answers(place), Roster(dice, place), 0
        begun = time.monotonic()
        place.run(["oauth2ctl", "publish"])
        longest = (time.monotonic() - begun) * 1.3
        for turn in range(MOMENTS // PLACES):
            argv = ["oauth2ctl", *roster.next()]
            where = f"CRASH_SEED={seed}, {number}, {turn}: {argv}"
            old = [store_rows(place), published_rows(place)]
            process = place.popen(argv, start_new_session=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            killed += kill_somewhere(dice, process, longest) != 0
            left = [store_rows(place), published_rows(place)]
            assert answers(place) == before, where
            again = place.run(argv, check=False)
            assert again.returncode == 0, f"{where}: {again.stderr}"
            new = [store_rows(place), published_rows(place)]
            assert left in (old, [new[0], old[1]], new), where
            assert left_over(place) == [], where
        return killed

    killed = in_all_places(places, lambda place, number: changes(number), range(PLACES))
    print(f"killed: {killed}")
    assert sum(killed) > MOMENTS / 10, "hardly any of them ran when it was killed"
