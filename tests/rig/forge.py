"""Logins against a provider that lies, and what the product says of them."""

import json
import re
import time
from collections import deque
from dataclasses import dataclass

from . import texts
from .patience import wait_until

_REFUSED = re.compile(r"oauth2ctl: refused \((?P<reason>\w+)\): (?P<detail>.*)")
_ADMITTED = "login recorded|signs in (?:for the first time|again)"


@dataclass(frozen=True)
class Outcome:
    """`reason` is "admitted" for a login that went through; `screen` what the person read."""

    status: int
    reason: str
    detail: str
    screen: str


def forge(provider, plan, name=""):
    """From now on the provider answers by a plan; forge.mjs beside it says what one may hold."""
    partial = provider.state / "forge.new"
    partial.write_text(json.dumps({"name": name, **plan}))
    partial.rename(provider.state / "forge.json")


def trial(machine, name, approve_as, gate=True):
    """`oauth2ctl login --record`, which is the login sshd makes, on a terminal."""
    with start_trial(machine, name) as terminal:
        prompt = machine.person.read_prompt(terminal, gate)
        machine.person.approve(prompt, approve_as)
        ended = machine.person.finish(terminal)
    return outcome_of(ended)


class Trials:
    """Trials of one name that nobody has signed in as. A few of them always wait for their approval, so
    that the provider's interval passes while others are under way."""

    AHEAD = 2
    FRESH = 30  # seconds; an older one would meet its deadline, or the age limit of its token

    def __init__(self, machine, name):
        self._machine = machine
        self._name = name
        self._waiting = deque()

    def attempt(self, approve_as):
        person = self._machine.person
        with self._oldest() as terminal:
            person.approve(person.read_prompt(terminal, gate=False), approve_as)
            return outcome_of(person.finish(terminal))

    def give_up(self):
        """Ends those that wait."""
        while self._waiting:
            self._waiting.popleft()[1].close()

    def _oldest(self):
        while self._waiting and self._waiting[0][0] < time.monotonic() - self.FRESH:
            self._waiting.popleft()[1].close()
        while len(self._waiting) <= self.AHEAD:
            self._start()
        return self._waiting.popleft()[1]

    def _start(self):
        # Or every later row would wait in vain for the prompt that a stranger is shown.
        assert self._machine.resolves(self._name) is None, f"an earlier attack has let {self._name} in"
        terminal = start_trial(self._machine, self._name)
        self._waiting.append((time.monotonic(), terminal))
        terminal.expect(texts.PRESS_ENTER)
        terminal.send_line()


def start_trial(machine, name):
    return machine.person.start(["oauth2ctl", "login", "--record", "--", name])


def outcome_of(ended):
    refused = _REFUSED.search(ended.output)
    if refused:
        return Outcome(ended.status, refused["reason"], refused["detail"], ended.screen)
    reason = "admitted" if re.search(_ADMITTED, ended.output) else "?"
    return Outcome(ended.status, reason, ended.output.strip().split("\n")[0], ended.screen)


def by_ssh(machine, watch, name, approve_as):
    """The same through sshd, read from the log line."""
    ended = machine.person.first_login(name, approve_as)
    wait_until(watch.verdicts, lambda: f"a log line with a result; the log:\n{watch.log()}")
    (line,) = watch.verdicts()
    result, reason = line.verdict
    detail = line.text.partition(" detail=")[2]
    return Outcome(ended.status, "admitted" if result == "admitted" else reason, detail, ended.screen)
