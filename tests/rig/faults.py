"""Logins through pamtester, each with a configuration and a PAM service of its own, and what can go
wrong around them."""

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass

from . import authlog, product
from .browser import USER_AGENT, Control
from .patience import wait_until
from .terminal import Unexpected

CONTROL = "http://127.0.0.1:8444"
CELLS = f"{product.CONFIG_DIR}/cells"
LOG_FILE = "/var/log/oauth2-cells"
LONGEST = 60  # seconds until a login counts as hung for good

# Whatever our module answers ends the stack with that answer; only PAM_IGNORE lets pam_debug speak.
STACK = """\
auth [success=done ignore=ignore default=die] pam_oauth2_device.so config={config} logs={log} log_level=trace
auth required pam_debug.so auth=cred_expired
"""
CODES = {
    "successfully authenticated": 0,
    "Error in service module": 3,
    "System error": 4,
    "Authentication failure": 7,
    "Authentication service cannot retrieve authentication info": 9,
    "User credentials expired": 25,
}

# The labels of a name as they stand in a query (RFC 1035 §4.1.2).
SILENT_NAME = "silent.test"
_SILENT_LABELS = b"\x06silent\x04test"


class Doors(Control):
    """The provider's side doors; doors.mjs beside the provider says what they can do."""

    def open(self, port, **door):
        self._ask("POST", "/doors", {"port": port, **door})

    def arrivals(self):
        """{port: [ms]} of what the machine that signs people in sent to each door."""
        return {
            int(port): [visit["at_ms"] for visit in visits if visit.get("agent") != USER_AGENT]
            for port, visits in self._ask("GET", "/doors").items()
        }

    def secrets(self):
        """[{"member": "access_token", "value": …}] of all that was handed out."""
        return self._ask("GET", "/secrets")

    def change_next(self, path, **change):
        """The provider's own next answer under a path goes out changed."""
        self._add(change=path, count=1, **change)


class NameServer:
    """Knows no name at all, and for SILENT_NAME has not even that answer."""

    def __init__(self, sandbox):
        self._socket = sandbox.in_network(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        sandbox.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        # Wakes the thread, which the mere end of a descriptor would not.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _serve(self):
        with self._socket:
            while True:
                query, sender = self._socket.recvfrom(512)
                if not query:
                    return
                if _SILENT_LABELS not in query:
                    # An answer, recursion available, no such name; the question as it was.
                    reply = query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:]
                    self._socket.sendto(reply, sender)


@dataclass(frozen=True)
class Cell:
    """One login with one thing wrong."""

    name: str  # of the PAM service too
    config: dict
    port: int | None = None  # of its door
    discovery: dict | None = None  # how the discovery document of the healthy port goes out changed


@dataclass(frozen=True)
class Outcome:
    """How a cell ended, seen by the host, the person, the log and the clock."""

    code: int | None
    screen: str
    lines: list
    seconds: float
    after_enter: float | None  # None: nobody was asked for Enter

    @property
    def verdicts(self):
        return [line for line in self.lines if "result" in line.fields]


class Bench:
    """Runs cells side by side on one machine, all as one person who is known there."""

    def __init__(self, machine, name):
        self._machine = machine
        self._name = name
        self._doors = Doors(CONTROL)
        self._discovery = threading.Lock()

    def doors(self, question, *arguments, **named):
        """Calls a method of Doors in the sandbox's network."""
        return self._machine.sandbox.in_network(getattr(self._doors, question), *arguments, **named)

    def prepare(self, cell, door=None):
        """Writes the cell's files and opens its door."""
        config = f"{CELLS}/{cell.name}.json"
        text = json.dumps({**cell.config, "services": [cell.name]})
        self._machine.sandbox.write(config, text, 0o600)
        stack = STACK.format(config=config, log=LOG_FILE)
        self._machine.sandbox.write(f"/etc/pam.d/{cell.name}", stack)
        if door is not None:
            self.doors("open", cell.port, **door)

    def run(self, cell):
        """One login; the person approves where there is something to approve."""
        with self._alone_with_discovery(cell):
            begun = time.monotonic()
            terminal = self._machine.person.start(["pamtester", cell.name, self._name, "authenticate"])
            prompt = self._prompt(terminal)
        entered = None
        with terminal:
            if prompt:
                self._machine.person.approve(prompt, self._name)
                entered = time.monotonic()
                terminal.send_line()
            terminal.wait(LONGEST)
        ended = time.monotonic()
        return Outcome(
            code=next((code for text, code in CODES.items() if text in terminal.screen), None),
            screen=terminal.screen,
            lines=self._lines(cell),
            seconds=ended - begun,
            after_enter=entered and ended - entered,
        )

    @contextlib.contextmanager
    def _alone_with_discovery(self, cell):
        """The document is one for all: while it is changed for one cell, no other may ask for it."""
        if cell.config.get("issuer") != self._machine.provider.issuer:
            yield
            return
        with self._discovery:
            if cell.discovery:
                self.doors("change_next", "^/.well-known/", **cell.discovery)
            yield

    def _prompt(self, terminal):
        try:
            return self._machine.person.read_prompt(terminal, gate=False)
        except Unexpected:
            return None

    def _lines(self, cell):
        """Of the log, once the verdict is among them; syslog may lag behind the end of a login."""
        def read():
            return [line for line in authlog.lines(self._machine.sandbox.log()) if line.service == cell.name]

        with contextlib.suppress(AssertionError):
            wait_until(lambda: any("result" in line.fields for line in read()), "a verdict", 3)
        return read()
