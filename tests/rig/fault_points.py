"""Programs that are killed at one of their system calls, and what they leave behind.

strace(1) of the machine that runs the tests delivers SIGKILL at the entry of the n-th call of a kind, so that the call
itself is not made any more. The product holds nothing that knows of it.
"""

import re
import shutil
import signal
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .patience import wait_until
from .sandbox import ENVIRONMENT, Sandbox
from .terminal import Terminal

# Calls by which a program changes files.
WRITING = (
    "execve", "openat", "pwrite64", "write", "writev", "fsync", "fdatasync", "ftruncate", "fallocate", "copy_file_range",
    "sendfile", "rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "symlink", "symlinkat",
    "mkdir", "mkdirat", "fchmod", "fchmodat", "chmod", "fchown", "fchownat", "chown", "utimensat",
)
# With a locale, nsenter(1) itself would open more files than the program that it starts.
_ENVIRONMENT = {**ENVIRONMENT, "LANG": "C"}
_CALL = re.compile(r"^(?P<pid>\d+) +(?P<call>[a-z0-9_]+)\((?P<text>.*)$")
# Terminals, sockets and the like; what fails changes nothing.
_NO_CHANGE = re.compile(r"^\d+<(socket|pipe|anon_inode|/dev/|TCP|UDP|UNIX)|/dev/|/proc/| = -1 E|unfinished")


# Commands of the system by which the product changes accounts.
TOOLS = ("groupadd", "useradd")
FAULT_OF_A_TOOL = "/etc/fault-of-a-tool"
_STRACE = "/opt/strace"
# Stands in for a tool. A login that is killed takes its tool along, and a tool that is killed here its login.
_IN_PLACE_OF_A_TOOL = """#!/bin/sh
tool=/usr/sbin/{tool}.itself
read -r killed call number < {fault} && [ "$killed" = {tool} ] || exec "$tool" "$@"
{strace}/ld.so --library-path {strace} {strace}/strace -qq -o /dev/null \\
    -e trace="$call" -e inject="$call:signal=KILL:when=$number" -- "$tool" "$@"
status=$?
[ $status -lt 128 ] || kill -9 $PPID
exit $status
"""
# Exit statuses of what was killed, with and without a shell between.
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)


@dataclass(frozen=True)
class FaultPoint:
    """The `number`-th call of a kind that a process makes; that of a tool counts from its own beginning."""

    call: str
    number: int
    text: str = ""  # what it did where nobody was killed
    tool: str = ""  # one of TOOLS, or the program itself

    def __str__(self):
        return f"{self.tool} {self.call} {self.number} ({self.text[:60]})"


def strace(log, fault=None):
    """The beginning of a command line: what follows is recorded whole, or killed at a fault point."""
    traced = [fault.call] if fault else WRITING
    injection = ["-e", f"inject={fault.call}:signal=KILL:when={fault.number}"] if fault else []
    options = ["-f", "-y", "-qq", "-s", "40", "-o", log, "-e", f"trace={','.join(traced)}", *injection]
    return ["strace", *map(str, options)]


def bring_strace(sandbox):
    """Puts strace and its libraries into a sandbox."""
    strace_itself = shutil.which("strace")
    libraries = subprocess.run(["ldd", strace_itself], stdout=subprocess.PIPE, text=True, check=True).stdout
    target = sandbox.path(_STRACE)
    target.mkdir()
    for library in re.findall(r"(/\S+)", libraries):
        name = "ld.so" if Path(library).name.startswith("ld-linux") else Path(library).name
        shutil.copy(library, target / name)
    shutil.copy(strace_itself, target / "strace")


def make_tools_killable(sandbox):
    """From now on a fault of a tool that stands in FAULT_OF_A_TOOL kills it, and the program that has called it."""
    bring_strace(sandbox)
    for tool in TOOLS:
        sandbox.run(["mv", f"/usr/sbin/{tool}", f"/usr/sbin/{tool}.itself"])
        text = _IN_PLACE_OF_A_TOOL.format(tool=tool, fault=FAULT_OF_A_TOOL, strace=_STRACE)
        sandbox.write(f"/usr/sbin/{tool}", text, 0o755)


class Attached:
    """strace on a process that runs already, and not on its children; its calls are counted from now on."""

    def __init__(self, pid, log, fault):
        argv = [option for option in strace(log, fault) if option not in ("-qq", "-f")]
        self._log = Path(log)
        self._process = subprocess.Popen(
            [*argv, "-p", str(pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        line = self._process.stderr.readline()
        assert "attached" in line, line

    def has_killed(self):
        """Waits for the end of the process; was it the fault point's?"""
        self._process.communicate(timeout=60)
        return "killed by SIGKILL" in self._log.read_text()


def host_pid(sandbox, title):
    """The one process of a sandbox or place whose command line matches, by its number on the machine of the tests."""
    space = Path(f"/proc/{sandbox.pid}/ns/mnt").readlink()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if re.search(title, words) and (process / "ns/mnt").readlink() == space:
                found.append(int(process.name))
        except OSError:
            continue  # it has ended meanwhile
    assert len(found) == 1, f"{title}: {found}"
    return found[0]


def fault_points(log):
    """Where a recorded program changed a file, as fault points of its process."""
    numbers, tools, found = {}, {}, []
    for line in Path(log).read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if not match:
            continue
        pid, call, text = match.group("pid", "call", "text")
        if call == "execve":
            tool = Path(text.split('"')[1]).name.removesuffix(".itself")
            if tool in TOOLS:
                tools[pid] = tool
                numbers = {key: number for key, number in numbers.items() if key[0] != pid}
            continue
        number = numbers[pid, call] = numbers.get((pid, call), 0) + 1
        if not _NO_CHANGE.search(text) and (call != "openat" or re.search("O_CREAT|O_TRUNC", text)):
            found.append(FaultPoint(call, number, text, tools.get(pid, "")))
    return found


class Place(Sandbox):
    """The same machine with directories of its own: several can be killed in at once, and put back as they were.

    `base` is the sandbox; `directories` are copied when the place is made.
    """

    def __init__(self, base, name, directories):
        self.release, self.root, self._executor = base.release, base.root, None
        self.directory = base.directory / f"place-{name}"
        self.directory.mkdir()
        self._base = base
        self._directories = {path: f"/srv/place-{name}{path}" for path in directories}
        for path, own in self._directories.items():
            base.run(["mkdir", "-p", str(Path(own).parent)])
            base.run(["cp", "-a", path, own])
        mounts = [f"mount --bind {own} {path}" for path, own in self._directories.items()]
        self._holder = base.popen(
            ["unshare", "--mount", "sh", "-c", " && ".join([*mounts, "echo ready", "exec cat"])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout.readline() == "ready\n"
        # nsenter waits for the one child that it has put into the sandbox.
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self.pid = int(wait_until(lambda: children.read_text().split(), "a process in the sandbox")[0])

    def stop(self):
        self._holder.stdin.close()
        self._holder.wait()
        self._holder.stdout.close()

    def path(self, name):
        for path, own in self._directories.items():
            if str(name).startswith(path):
                name = own + str(name)[len(path):]
                break
        return self.root / str(name).lstrip("/")

    def save(self):
        """Notes what `restore` brings back."""
        for path in self._directories:
            saved = self.directory / "saved" / path.lstrip("/")
            shutil.rmtree(saved, ignore_errors=True)
            saved.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", self.path(path), saved], check=True)

    def restore(self):
        for path in self._directories:
            saved, now = self.directory / "saved" / path.lstrip("/"), self.path(path)
            # The directory itself is mounted.
            subprocess.run(["find", now, "-mindepth", "1", "-delete"], check=True)
            subprocess.run(["cp", "-a", f"{saved}/.", now], check=True)

    def traced(self, argv, fault=None):
        """Runs to the end, or to the fault point; returns the status and the log of the calls."""
        log = self.directory / "calls"
        done = subprocess.run(
            [*strace(log, fault), *self.inside(*argv)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=_ENVIRONMENT, timeout=60)
        return done.returncode, log

    def traced_alone(self, argv, fault=None):
        """The same of the program itself: what it starts is not traced, so that its calls take no number from the program's.

        The sandbox must have strace.
        """
        calls = f"{_STRACE}/calls"
        options = [option for option in strace(calls, fault)[1:] if option != "-f"]
        within = [f"{_STRACE}/ld.so", "--library-path", _STRACE, f"{_STRACE}/strace", *options, "--"]
        done = subprocess.run(
            self.inside(*within, *argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=_ENVIRONMENT, timeout=60)
        log = self.directory / "calls"
        # Of one process strace does not write the number.
        log.write_text(re.sub("(?m)^(?=.)", "1 ", self.path(calls).read_text(errors="replace")))
        return done.returncode, log

    def traced_terminal(self, argv, fault=None):
        """The same on a terminal."""
        log = self.directory / "calls"
        return Terminal([*strace(log, fault), *self.inside(*argv)], _ENVIRONMENT), log


def rows_of_copy(database, directory, queries):
    """What SQLite finds in a copy of a database, its journal included; the file itself is left as it is.

    Raises where it is not sound.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for file in (database, database.with_name(database.name + "-journal")):
        if file.exists():
            shutil.copyfile(file, directory / file.name)
    connection = sqlite3.connect(directory / database.name)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return [sorted(connection.execute(query).fetchall()) for query in queries]
    finally:
        connection.close()
