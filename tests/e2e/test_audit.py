"""oauth2ctl audit: the trail, its export and its pruning."""

import datetime
import json
import subprocess

import pytest

from rig import ctl
from rig.ctl import ask, say
from rig.machine import Machine


@pytest.fixture(scope="module")
def machine():
    with ctl.unconfigured_provider(Machine) as ready:
        ask(ready, "user add ann")
        ask(ready, "user add bob --subject https://idp.test:8443 'a=b|c\\d'")
        ask(ready, "user lock ann")
        ready.store("insert into event(at, kind, login_name, actor, detail) values (86400, 'locked', 'old', 'root', '')")
        yield ready


def test_the_log_is_filtered_by_time_person_and_kind(machine):
    kinds = lambda filters: [event["kind"] for event in ask(machine, f"audit log {filters}")["events"]]  # noqa: E731
    assert kinds("--user ann") == ["reserved", "locked"]
    assert kinds("--user ann --result locked") == ["locked"]
    assert kinds("--result locked") == ["locked", "locked"]
    assert kinds("--result locked --since 1h") == ["locked"]
    assert kinds("--since 2099-01-01") == []
    event = ask(machine, "audit log --user ann --result locked")["events"][0]
    at = datetime.datetime.fromisoformat(event["at"].replace("Z", "+00:00"))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - at).total_seconds()) < 600
    assert (event["actor"], event["user"], event["detail"]) == ("root", "ann", "reserved")
    assert "1970-01-02T00:00:00Z" in say(machine, "audit log")


def test_jsonl_is_one_object_a_line_and_cef_escapes(machine):
    lines = say(machine, "audit export --user bob").splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["reserved"]
    cef = say(machine, "audit export --user bob --format cef").strip()
    assert cef.startswith("CEF:0|oauth2-login|oauth2ctl|") and cef.count("|reserved|reserved|3|") == 1
    assert "duser=bob" in cef and r"subject\=https://idp.test:8443 a\=b|c\\d" in cef, cef


def test_follow_shows_what_happens_from_now_on(machine):
    process = machine.sandbox.popen(["oauth2ctl", "audit", "log", "--follow", "--user", "eve"],
                                    stdout=subprocess.PIPE, text=True)
    try:
        ask(machine, "user add eve")
        assert "reserved" in process.stdout.readline()
    finally:
        machine.sandbox.run("pkill -x oauth2ctl")
        process.wait()
    assert machine.sandbox.run("oauth2ctl --json audit log --follow", check=False).returncode == 2


def test_pruning_asks_and_leaves_an_event_that_says_so(machine):
    done = machine.sandbox.run("oauth2ctl audit prune --before 2000-01-01", check=False)
    assert done.returncode == 7 and machine.store("select count(*) from event where login_name = 'old'") == "1"
    assert ask(machine, "audit prune --before 2000-01-01")["deleted"] == 1
    assert machine.store("select count(*) from event where login_name = 'old'") == "0"
    assert ask(machine, "audit log --result audit_pruned")["events"][0]["detail"] == "before=946684800 deleted=1"
    before = ctl.files(machine)
    assert not ask(machine, "audit prune --before 2000-01-01")["changed"]
    assert ctl.touched(before, ctl.files(machine)) == []
