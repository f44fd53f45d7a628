"""A real ssh, scp or sftp in the sandbox, on a terminal, with a person who can approve a code."""

import re
import time
from dataclasses import dataclass

from . import texts
from .sandbox import ENVIRONMENT, KNOWN_HOSTS
from .terminal import Terminal

KEYBOARD = ("-o", "PreferredAuthentications=keyboard-interactive", "-o", "PubkeyAuthentication=no")
PASSWORD = ("-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no")
KEY = ("-o", "PreferredAuthentications=publickey", "-o", "BatchMode=yes")
COMMON = (
    "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes",
    "-o", "NumberOfPasswordPrompts=1", "-o", "IdentitiesOnly=yes",
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

    code = texts.CODE  # what a code of the provider looks like

    def __init__(self, sandbox, provider=None, show=None):
        self._sandbox = sandbox
        self._show = show
        self._provider = provider

    # Starting a client

    def ssh(self, name, command=None, how=KEYBOARD):
        port = ("-p", str(self._sandbox.sshd_port))
        argv = ["ssh", *COMMON, *port, *how, "-l", name, HOST]
        return self.start([*argv, *([command] if command else [])])

    def ssh_of_the_host(self, name):
        """The ssh of the machine that runs the tests, in the sandbox's network.

        For names that must reach sshd: OpenSSH 9.6 and later turn some of them away in the client,
        on the command line more of them than in a configuration file.
        """
        config = self._sandbox.directory / "ssh_config"
        config.write_text(f'User "{name}"\n' if "\n" not in name else "")
        argv = [
            "nsenter", "--target", str(self._sandbox.pid), "--net", "--", "ssh",
            "-o", f"GlobalKnownHostsFile={self._sandbox.path(KNOWN_HOSTS)}",
            *COMMON, *KEYBOARD, "-F", config, "-p", str(self._sandbox.sshd_port),
            *(["-l", name] if "\n" in name else []), HOST, "true",
        ]
        return Terminal(argv, ENVIRONMENT)

    def start(self, argv):
        return Terminal(self._sandbox.inside(*argv), ENVIRONMENT, self._show)

    # Steps of a device login

    def read_prompt(self, terminal, gate=True):
        """Answers the first Enter (asked of names never confirmed) and reads URL and code."""
        if gate:
            terminal.expect(texts.PRESS_ENTER)
            terminal.send_line()
        start = len(terminal.screen)
        terminal.expect(texts.PRESS_ENTER, timeout=30)
        text = terminal.screen[start:]
        return Prompt(_find(texts.URL, text), _find(self.code, text), text)

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

    def finish_or_password(self, terminal):
        """Like `finish`, where a module that cannot answer leaves the person to pam_unix; the time
        is that until pam_unix asks, which pauses after a wrong password."""
        begun = time.monotonic()
        terminal.send_line()
        asked = terminal.shows(f"{texts.PASSWORD}|{texts.PERMISSION_DENIED}", timeout=60)
        seconds = time.monotonic() - begun
        if asked and re.fullmatch(texts.PASSWORD, asked.group()):
            terminal.send_line()
        return Ended(terminal.wait(), "", terminal.screen, seconds)

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

    def knock(self, name, answer="", how=KEYBOARD, client=None):
        """A login that is to be refused without our prompt: answers whatever password is asked."""
        with client(name) if client else self.ssh(name, "true", how) as terminal:
            return self._answer_password(terminal, answer)

    def try_everything(self, name):
        """Does whatever the prompts ask for, approval included; returns ssh's exit status."""
        approved = set()
        with self.ssh(name, "true") as terminal:
            while terminal.shows(f"{texts.PRESS_ENTER}|{texts.PASSWORD}"):
                for code in {*re.findall(self.code, terminal.screen)} - approved:
                    url = _find(texts.URL, terminal.screen)
                    self._provider.browser.approve(url, code, name)
                    approved.add(code)
                terminal.send_line()
            return terminal.wait()


def _find(pattern, text):
    match = re.search(pattern, text)
    assert match, f"no {pattern!r} in the prompt:\n{text}"
    return match.group()
