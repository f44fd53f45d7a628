"""The few namespace calls Python 3.11 has no words for, and where the rig keeps its files."""

import ctypes
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)
_workspace = None


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def workspace():
    """A tmpfs that only this process and its children see; it is gone when they are.

    Overlays made in it need no cleaning up, cannot leak into the machine's mount table, and their
    files can be read and written by plain paths from the tests.
    """
    global _workspace
    if _workspace is None:
        _check(_libc.unshare(CLONE_NEWNS), "unshare")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        place = tempfile.mkdtemp(prefix="rig-")
        options = ["-t", "tmpfs", "-o", "mode=0755,size=4g"]
        subprocess.run(["mount", *options, "rig", place], check=True)
        _workspace = Path(place)
    return _workspace


def cgroups():
    """The part of the unified control group hierarchy that the tests run in, as a path of their own."""
    place = workspace() / "cgroup"
    if not place.exists():
        place.mkdir()
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", place], check=True)
    own = next((line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), "0::/")
    return place / own.removeprefix("0::/")


def leave_workspace():
    """Removes the empty mount point that `workspace` left on the machine's /tmp."""
    global _workspace
    if _workspace is not None:
        subprocess.run(["umount", "--lazy", str(_workspace)], check=False)
        _workspace.rmdir()
        _workspace = None


def in_network_of(pid, workers=4):
    """An executor whose threads open their sockets in the network namespace of process `pid`.

    setns(2) moves one thread, so the rest of the test process stays where it is.
    """

    def enter():
        descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.setns(descriptor, CLONE_NEWNET), "setns")
        finally:
            os.close(descriptor)

    return ThreadPoolExecutor(max_workers=workers, initializer=enter)
