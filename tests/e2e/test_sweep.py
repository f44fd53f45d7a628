"""oauth2ctl user sweep: what is over, ends."""

import datetime
import subprocess
from pathlib import Path

import pytest

from rig import ctl, product
from rig.ctl import ask, confirm
from rig.machine import Machine
from rig.patience import wait_until

TODAY = datetime.datetime.now(datetime.timezone.utc).date()
UNITS = Path(__file__).resolve().parents[2] / "systemd"


@pytest.fixture(scope="module")
def machine():
    config = {**product.ID_TOKEN, "allowed_users": ["ann", "bea", "carl", "dora"]}
    with ctl.unconfigured_provider(Machine, config) as ready:
        for name in ("ann", "bea", "carl", "dora", "emil"):
            ask(ready, f"user add {name}")
            confirm(ready, name)
        yield ready


def sleeper(machine, uid):
    process = machine.sandbox.popen(["sh", "-c", "echo up; exec sleep 600"], user=uid, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    return process


def test_a_sweep_ends_what_is_over_and_nothing_else(machine):
    processes = {name: sleeper(machine, machine.uid_of(name)) for name in ("ann", "bea", "carl", "dora", "emil")}
    local = sleeper(machine, 1000)
    ask(machine, f"user expire bea {TODAY}")
    ask(machine, "user lock carl")
    ask(machine, "user remove dora")
    swept = ask(machine, "user sweep")
    assert swept["changed"]
    reasons = {user["name"]: user["reason"] for user in swept["ended"]}
    assert reasons == {"bea": "expired", "carl": "locked", "dora": "removed", "emil": "denied"}
    wait_until(lambda: all(processes[name].poll() is not None for name in reasons), "them to end")
    assert processes["ann"].poll() is None and local.poll() is None
    before = ctl.files(machine)
    again = ask(machine, "user sweep")
    assert not again["changed"] and again["ended"] == []
    assert ctl.touched(before, ctl.files(machine)) == []
    for process in (processes["ann"], local):
        process.kill()
    machine.sandbox.run("pkill -x sleep", check=False)


def test_lingering_of_somebody_who_is_shut_out_ends(machine):
    machine.sandbox.run("mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/{ann,bea}")
    assert [user["name"] for user in ask(machine, "user sweep")["ended"]] == ["bea"]
    assert machine.sandbox.succeeds("test -e /var/lib/systemd/linger/ann")
    assert not machine.sandbox.succeeds("test -e /var/lib/systemd/linger/bea")


def test_local_accounts_that_a_sweep_shuts_are_said():
    with ctl.unconfigured_provider(Machine, {**product.ID_TOKEN, "provisioning": "useradd"}) as machine:
        ask(machine, "user add uwe")
        uid = machine.uid_of("uwe")
        ask(machine, "user lock uwe")
        # As useradd writes it: it would refuse a name that resolves already.
        machine.sandbox.run(f"echo 'uwe:x:{uid}:{uid}::/home/uwe:/bin/bash' >>/etc/passwd"
                            f" && echo 'uwe:x:{uid}:' >>/etc/group && echo 'uwe:!:20000:0:99999:7:::' >>/etc/shadow")
        swept = ask(machine, "user sweep")
        assert swept["changed"] and swept["settled"] == ["uwe"]
        assert not any("no change" in line for line in swept["messages"])
        assert not ask(machine, "user sweep")["changed"]
        # The account is ours: of somebody who was removed too, what carries the name is theirs.
        process = sleeper(machine, uid)
        ask(machine, "user remove uwe")
        assert [user["name"] for user in ask(machine, "user sweep")["ended"]] == ["uwe"]
        assert process.wait(10) != 0
        machine.sandbox.run("mkdir -p /var/mail && touch /var/mail/uwe")
        assert ask(machine, "user remove uwe --purge")["purged"] == ["mail /var/mail/uwe"]


def test_the_units_are_installed_and_not_enabled(machine):
    for unit in ("oauth2-user-sweep.service", "oauth2-user-sweep.timer"):
        text = machine.sandbox.read(f"/usr/lib/systemd/system/{unit}")
        assert text == (UNITS / unit).read_text()
    assert not machine.sandbox.succeeds("find /etc/systemd -name 'oauth2-user-sweep*' | grep .")
    service = machine.sandbox.read("/usr/lib/systemd/system/oauth2-user-sweep.service")
    command = next(line for line in service.splitlines() if line.startswith("ExecStart=")).partition("=")[2]
    machine.sandbox.run(command)
