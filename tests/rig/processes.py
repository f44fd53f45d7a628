"""Processes of somebody inside of a sandbox."""

import subprocess

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


def running(machine, uid, *argv):
    """A process under a uid, once it runs: it says so in a line."""
    process = machine.sandbox.popen(argv, user=uid, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    return process


def sleeper(machine, uid):
    return running(machine, uid, "sh", "-c", "echo up; exec sleep 600")


def stubborn(machine, uid):
    """One that SIGTERM does not end."""
    return running(machine, uid, "python3", "-c", STUBBORN)
