"""What a login costs: memory and threads while it waits, TLS handshakes.

Each figure is held to its bound and written to target/measurements.json for the record. Times are bench/login's matter.
"""

import json
import re

import pytest

from rig import product, texts
from rig.machine import Machine
from rig.product import REPOSITORY

MAX_PRIVATE_KIB = 2048  # what the earlier Rust module with libcurl took
MAX_HANDSHAKES = 2


@pytest.fixture(scope="module", params=["id_token", "introspection"])
def machine(release, request):
    config = product.ID_TOKEN if request.param == "id_token" else product.INTROSPECTION
    with Machine(release, config=config) as ready:
        ready.label = f"{release}, {request.param}"
        yield ready


def test_the_waiting_child_is_small_and_has_one_thread(machine):
    plain = _waiting_child(machine, "localu", texts.PASSWORD)
    with machine.person.ssh("ann", "true") as terminal:
        machine.person.read_prompt(terminal)
        ours = _measure(machine)
    ours["more_than_for_a_local_person_kib"] = ours["private_kib"] - plain["private_kib"]
    _record(machine, "while waiting at the code", ours)
    assert ours["threads"] == 1
    assert ours["more_than_for_a_local_person_kib"] < MAX_PRIVATE_KIB


@pytest.mark.parametrize("first", [True, False], ids=["first-login", "second-login"])
def test_a_login_takes_two_handshakes_at_most_and_one_poll_after_the_approval(machine, first):
    watch = machine.watch()
    with machine.person.ssh("bea", "true") as terminal:
        prompt = machine.person.read_prompt(terminal, gate=first)
        before = machine.provider.handshakes()
        machine.person.approve(prompt, "bea")
        by_browser = machine.provider.handshakes() - before
        ended = machine.person.finish(terminal)
    assert ended.status == 0
    figures = {
        "handshakes": machine.provider.handshakes() - by_browser,
        "requests": watch.requests(),
    }
    _record(machine, "first login" if first else "second login", figures)
    assert figures["handshakes"] <= MAX_HANDSHAKES
    assert figures["requests"].count("/token") == 1


def _waiting_child(machine, name, pattern):
    with machine.person.ssh(name, "true") as terminal:
        terminal.expect(pattern)
        return _measure(machine)


def _measure(machine):
    """The sshd child that runs pam_authenticate: its title ends in [pam]."""
    processes = machine.sandbox.output("ps -e -o pid=,args=").splitlines()
    children = [line.split()[0] for line in processes if re.search(r"sshd.*\[pam\]", line)]
    assert len(children) == 1, processes
    text = machine.sandbox.output(f"cat /proc/{children[0]}/smaps_rollup /proc/{children[0]}/status")
    number = lambda name: int(re.search(rf"(?m)^{name}:\s+(\d+)", text)[1])  # noqa: E731
    # Not Private_Dirty: the module lies on a tmpfs here, whose pages always count as dirty, while on a
    # disk they are clean and shared by all logins that wait.
    return {"private_kib": number("Anonymous"), "threads": number("Threads")}


def _record(machine, what, figures):
    path = REPOSITORY / "target" / "measurements.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known.setdefault(machine.label, {})[what] = figures
    path.write_text(json.dumps(known, indent=2) + "\n")
    print(machine.label, what, figures)
