"""As test_crash.py, where a first login makes an account of /etc/passwd: killed at every step of useradd and its
own."""

import pytest
from crash import Crash, Login, kill_at_every_step, sign_in

from rig import product
from rig.fault_points import FAULT_OF_A_TOOL, Attached, Place, host_pid, make_tools_killable
from rig.machine import Machine

CONFIG = {**product.ID_TOKEN, "provisioning": "useradd"}
EARLIER = ["ann", "bob", "localu"]
PLACES = 4
# A backup's or a new file's owner, mode and times; the file takes its place later.
BESIDE = ("fchown", "fchmod", "utimensat")
FILES = ("passwd", "group", "shadow", "gshadow")


@pytest.fixture(scope="module")
def machine():
    with Machine("bookworm", config=CONFIG, enabled=False) as ready:
        ready.sandbox.run("pam-auth-update --package --disable oauth2 --enable oauth2-local")
        product.enable(ready.sandbox)
        for name in ("ann", "bob"):
            assert sign_in(ready.sandbox, ready.provider, name) == 0
        make_tools_killable(ready.sandbox)
        yield ready


@pytest.fixture(scope="module")
def places(machine):
    made = [Place(machine.sandbox, str(number), [product.STATE, "/etc"]) for number in range(PLACES)]
    for place in made:
        place.save()
    yield made
    for place in made:
        place.stop()


class UseraddCrash(Crash):
    """What must hold of the machine's own files as well."""

    def __init__(self, place, step, people):
        self.others = lines_of_others(place, step.name)
        super().__init__(place, step, people)
        self.lines = lines(place, step.name)
        # The files that the program itself opens, and its writes (most are to the terminal), are counted from its very
        # beginning, which is before it is attached to. test_crash.py kills at those.
        own = [fault for fault in self.faults if not fault.tool and fault.call not in ("openat", "write")]
        # What a journal of the store is worth is test_crash.py's question.
        some = [fault for fault in own if fault.call != "pwrite64" or fault.number % 8 == 0]
        self.faults = [fault for fault in self.faults if fault.tool and fault.call not in BESIDE] + some

    def kill(self, place, fault):
        if not fault.tool:
            return self.kill_itself(place, fault)
        place.write(FAULT_OF_A_TOOL, f"{fault.tool} {fault.call} {fault.number}\n")
        status = self.step.run(place)
        place.path(FAULT_OF_A_TOOL).unlink()
        return status

    def kill_itself(self, place, fault):
        """Not the tools, which make calls of the same kind."""
        name, attached = self.step.name, []
        argv = rf"^oauth2ctl login {name} "
        log = place.directory / "calls"
        status = sign_in(place, self.step.provider, name, at_the_code=lambda: attached.append(
            Attached(host_pid(place, argv), log, fault)))
        assert attached[0].has_killed(), fault
        return status

    def afterwards(self, place, where):
        assert lines_of_others(place, self.step.name) == self.others, where
        super().afterwards(place, where)
        self.compare(lines(place, self.step.name), where)
        assert lines_of_others(place, self.step.name) == self.others, where

    def compare(self, found, where):
        """useradd(8) that is killed before its last file leaves a group without a line in gshadow, which means what `!` does:
        no password opens it. Nothing adds the line later."""
        for file in ("passwd", "group", "shadow"):
            assert found[file] == self.lines[file], where
        assert found["gshadow"] in ([], self.lines["gshadow"]), where


def lines(place, name):
    """What the machine's own files say of somebody, without the day of a password's last change."""
    found = {}
    for file in FILES:
        own = [line for line in place.read(f"/etc/{file}").splitlines() if line.startswith(name + ":")]
        found[file] = [":".join(line.split(":")[:2]) for line in own] if file == "shadow" else own
    return found


def lines_of_others(place, name):
    return [[line for line in place.read(f"/etc/{file}").splitlines() if not line.startswith(name + ":")]
            for file in FILES]


def test_a_login_killed_at_any_step_of_useradd_leaves_all_as_before_or_after(machine, places):
    crash = kill_at_every_step(places, Login(machine.provider, "erik"), EARLIER, UseraddCrash)
    assert {"", "useradd"} <= {fault.tool for fault in crash.faults}
