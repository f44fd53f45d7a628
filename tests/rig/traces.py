"""What a login leaves behind: files and processes of a sandbox, before and after."""

import os
import stat

from .patience import wait_until

# Written by sshd, login records and the syslog receiver for every connection, ours or not.
_NOISE = ("var/log",)
# The counters of `limits` are the one thing that any login writes; their file has a test of its own.
_RUN = ("find /run /dev/shm -not -name utmp -not -path '/run/sudo*' "
        "-not -path /run/pam_oauth2_device -not -path /run/pam_oauth2_device/limits "
        r"-printf '%p %m %U %s %T@\n' | LC_ALL=C sort")


def files(sandbox):
    """Everything a process could have changed, as {path: what would change}."""
    seen = {"/run": sandbox.output(_RUN)}
    for directory, names, others in os.walk(sandbox.upper):
        for name in [*names, *others]:
            path = os.path.join(directory, name)
            short = os.path.relpath(path, sandbox.upper)
            if not short.startswith(_NOISE):
                seen[short] = _state(path)
    return seen


def _state(path):
    info = os.lstat(path)
    kind = stat.S_IFMT(info.st_mode)
    # A directory's size and time follow from its entries, but a file made and unlinked shows there.
    return kind, info.st_mode, info.st_uid, info.st_gid, info.st_size, info.st_ino, info.st_mtime_ns


def difference(before, after):
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))


class Traces:
    """Remembers a sandbox's state and compares it with a later one.

    `idle` is what runs when nobody is connected: the children of an earlier test may still be
    going, and must not be taken for what was there before.
    """

    def __init__(self, sandbox, idle):
        self._sandbox = sandbox
        wait_until(
            lambda: sandbox.processes() == idle,
            lambda: f"earlier connections to end; running: {sandbox.processes()}",
        )
        self._files = files(sandbox)
        self._processes = sandbox.processes()

    def assert_none(self, timeout=10):
        wait_until(
            lambda: self._sandbox.processes() == self._processes,
            lambda: f"the processes to be {self._processes} again, now {self._sandbox.processes()}",
            timeout,
        )
        changed = difference(self._files, files(self._sandbox))
        assert not changed, f"changed or left behind: {changed}"
