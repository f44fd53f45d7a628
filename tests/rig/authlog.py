"""Reads the product's lines out of a sandbox's syslog."""

import re
import shlex
from dataclasses import dataclass

_OURS = re.compile(r"pam_oauth2_device\((?P<service>[^:)]+):(?P<phase>[a-z_]+)\): (?P<rest>.*)")


@dataclass(frozen=True)
class Line:
    service: str
    phase: str
    fields: dict
    text: str

    @property
    def verdict(self):
        return self.fields.get("result"), self.fields.get("reason")


def lines(text):
    """All lines of the module in a piece of log."""
    found = []
    for line in text.splitlines():
        match = _OURS.search(line)
        if match:
            found.append(Line(match["service"], match["phase"], _fields(match["rest"]), line))
    return found


def verdicts(text, phase="auth"):
    """The lines that say how a login ended."""
    return [line for line in lines(text) if line.phase == phase and "result" in line.fields]


def _fields(rest):
    try:
        words = shlex.split(rest)
    except ValueError:
        words = rest.split()
    return dict(word.split("=", 1) for word in words if "=" in word)
