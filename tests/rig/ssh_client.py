"""A real ssh, scp or sftp in the sandbox, on a terminal, with a person who can approve a code."""

import re
import time
from dataclasses import dataclass

from . import texts
from .sandbox import ENVIRONMENT
from .terminal import Terminal

KEYBOARD = ("-o", "PreferredAuthentications=keyboard-interactive", "-o", "PubkeyAuthentication=no")
PASSWORD = ("-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no")
KEY = ("-o", "PreferredAuthentications=publickey", "-o", "BatchMode=yes")
COMMON = (
    "-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
    "-o", "LogLevel=ERROR", "-o", "NumberOfPasswordPrompts=1", "-o", "IdentitiesOnly=yes",
)
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Prompt:
    """What the second prompt shows."""

    url: str
    code: str
    text: str


@dataclass(frozen=True)
class Ended:
    """A finished connection; `seconds` from the last Enter to the end, where there was one."""

    status: int
    output: str
    screen: str
    seconds: float = 0.0


class Person:
    """Connects to the sandbox's sshd and answers what it asks."""

    def __init__(self, sandbox, provider=None):
        self._sandbox = sandbox
        self._provider = provider

    # Starting a client

    def ssh(self, name, command=None, how=KEYBOARD, more=()):
        port = ("-p", str(self._sandbox.sshd_port))
        argv = ["ssh", *COMMON, *port, *how, *more, "-l", name, HOST]
        return self.start([*argv, *([command] if command else [])])

    def start(self, argv):
        return Terminal(self._sandbox.inside(*argv), env=ENVIRONMENT)

    # Steps of a device login

    def read_prompt(self, terminal, gate=True):
        """Answers the first Enter (asked of names never confirmed) and reads URL and code."""
        if gate:
            terminal.expect(texts.PRESS_ENTER)
            terminal.send_line()
        start = len(terminal.screen)
        terminal.expect(texts.PRESS_ENTER, timeout=30)
        text = terminal.screen[start:]
        return Prompt(_find(texts.URL, text), _find(texts.CODE, text), text)

    def approve(self, prompt, approve_as):
        self._provider.browser.approve(prompt.url, prompt.code, approve_as)

    def finish(self, terminal, timeout=30):
        """Presses the second Enter and waits for the end of the connection."""
        begun = time.monotonic()
        start = len(terminal.screen)
        terminal.send_line()
        status = terminal.wait(timeout)
        # The terminal echoes the Enter.
        output = terminal.screen[start:].removeprefix("\n")
        return Ended(status, output, terminal.screen, time.monotonic() - begun)

    # Whole logins

    def first_login(self, name, approve_as=None, command="true", **options):
        return self._login(name, approve_as, command, gate=True, **options)

    def login_again(self, name, approve_as=None, command="true", **options):
        return self._login(name, approve_as, command, gate=False, **options)

    def _login(self, name, approve_as, command, gate, **options):
        with self.ssh(name, command, **options) as terminal:
            prompt = self.read_prompt(terminal, gate)
            self.approve(prompt, approve_as or name)
            return self.finish(terminal)

    def password_login(self, name, password, command="true", how=PASSWORD):
        """A local person's login by password, with either of sshd's two methods."""
        with self.ssh(name, command, how=how) as terminal:
            return self._answer_password(terminal, password)

    def _answer_password(self, terminal, password):
        if terminal.shows(texts.PASSWORD):
            terminal.send_line(password)
        status = terminal.wait()
        return Ended(status, terminal.rest().removeprefix("\n"), terminal.screen)

    def key_login(self, name, key, command="true"):
        with self.ssh(name, command, how=(*KEY, "-i", key)) as terminal:
            status = terminal.wait()
            return Ended(status, terminal.screen, terminal.screen)

    def knock(self, name, answer="", how=KEYBOARD, more=()):
        """A login that is to be refused without our prompt: answers whatever password is asked."""
        with self.ssh(name, "true", how=how, more=more) as terminal:
            return self._answer_password(terminal, answer)


def _find(pattern, text):
    match = re.search(pattern, text)
    assert match, f"no {pattern!r} in the prompt:\n{text}"
    return match.group()
