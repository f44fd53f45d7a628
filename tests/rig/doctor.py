"""Asks `oauth2ctl doctor`, breaks a machine in one place, and mends it by doctor's own word."""

import json
import re
from dataclasses import dataclass, field

from . import product
from .machine import Machine

ID_KEY = f"{product.CONFIG_DIR}/id.key"
CONFIG = {**product.ID_TOKEN, "id_key_file": ID_KEY, "http_timeout": 2}

# What doctor says on a healthy machine of the rig besides "ok": there is no secret but the key, no SELinux, no AppArmor, no FIPS mode.
QUIET = {"M1": "not_applicable", "M2": "not_applicable", "M3": "not_applicable"}


def healthy(release="bookworm", config=CONFIG, people=True, **options):
    """A machine on which doctor finds nothing. A person is known unless sshd is to be asked about strangers."""
    machine = Machine(release, config=config, enabled=False, **options)
    machine.sandbox.write(ID_KEY, "0123456789abcdef0123456789abcdef\n", 0o600)
    product.enable(machine.sandbox)
    if people:
        machine.sandbox.run("oauth2ctl user add ann")
    return machine


class Report:
    """One run: `checks` by id, and the exit status."""

    def __init__(self, done):
        self.status = done.returncode
        self.answer = json.loads(done.stdout)
        self.checks = {check["id"]: check for check in self.answer["checks"]}

    def states(self):
        return {name: check["state"] for name, check in self.checks.items()}

    def troubles(self):
        """Checks that are neither ok nor, on every machine of the rig, about nothing."""
        return {name: state for name, state in self.states().items()
                if state != "ok" and QUIET.get(name) != state}


def ask(sandbox, *options):
    return Report(sandbox.run(["oauth2ctl", "--json", "doctor", *options], check=False))


@dataclass
class Break:
    """One thing that is wrong. `also`: what follows for other checks. `silences`: others cannot be asked then.

    `mends`: the remedy is run as it stands (what only a machine with systemd has, taken out) and doctor is content again;
    otherwise `undo` takes the break back. `undo` also ends what a remedy leaves.
    """

    name: str
    check: str
    spoil: str
    state: str
    saw: str
    remedy: str
    mends: bool = False
    undo: str = "true"
    also: dict = field(default_factory=dict)
    silences: bool = False

    def prove(self, sandbox, before):
        sandbox.run(self.spoil)
        try:
            self._judge(ask(sandbox), before)
            if self.mends:
                remedy = self._remedy
                sandbox.run(re.sub(r" && systemctl.*| +# .*", "", remedy))
                mended = ask(sandbox)
                assert mended.troubles() == before.troubles(), (remedy, mended.checks[self.check])
        finally:
            sandbox.run(self.undo)
        if not self.mends or self.undo != "true":
            assert not unsettled(sandbox, before)

    def _judge(self, report, before):
        found = report.checks[self.check]
        self._remedy = found["remedy"]
        assert found["state"] == self.state, found
        assert self.saw in found["saw"], found
        assert self.remedy in found["remedy"], found
        assert found["consequence"].endswith("."), found
        expected = {**before.states(), self.check: self.state, **self.also}
        changed = {
            name: (state, report.checks[name]["saw"]) for name, state in report.states().items()
            if state != expected[name] and not (self.silences and state == "not_asked")
        }
        assert not changed, changed
        worst = set(report.states().values())
        assert report.status == (1 if "fault" in worst else 3)


def unsettled(sandbox, before):
    """What a test left behind."""
    now = ask(sandbox)
    return {name: now.checks[name] for name, state in now.states().items() if state != before.states()[name]}
