"""oauth2ctl as a program calls it, and what it leaves on the disk."""

import json
import subprocess
import tempfile
from pathlib import Path

from . import product
from .namespaces import workspace

# Everything that a command could write to.
PLACES = "/etc /var/lib/pam_oauth2_device /home /var/spool /var/mail /root /srv"


def ask(machine, command, code=0, **options):
    """The JSON object of a command; the exit code is checked."""
    done = machine.sandbox.run(f"oauth2ctl --json --yes {command}", check=False, **options)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    answer = json.loads(done.stdout)
    assert isinstance(answer["changed"], bool)
    assert ("error" in answer) == (code != 0), answer
    return answer


def say(machine, command, code=0, **options):
    """What a command says to a person."""
    done = machine.sandbox.run(f"oauth2ctl --yes {command}", check=False, **options)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def files(machine):
    """Inode, time of change, size and mode of every file that a command could touch."""
    lines = machine.sandbox.output(f"find {PLACES} -type f -printf '%p %i %T@ %C@ %s %m\\n' 2>/dev/null | sort")
    return dict(line.split(" ", 1) for line in lines.splitlines())


def touched(before, after):
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def confirm(machine, name, subject=None):
    """Makes somebody who has signed in out of somebody who is reserved."""
    machine.store(
        f"update identity set state = 'confirmed', issuer = 'https://idp.test:8443', subject = '{subject or name}-sub',"
        f" confirmed_day = strftime('%s', 'now') / 86400 where login_name = '{name}'")
    machine.sandbox.run("oauth2ctl publish")


def unconfigured_provider(machine_type, config=product.ID_TOKEN, **options):
    """A machine with a store and no provider: what an administrator does needs none."""
    ready = machine_type("bookworm", config={key: value for key, value in config.items() if key != "ca_file"},
                         enabled=False, provider=None, **options)
    ready.sandbox.run("oauth2ctl store migrate && oauth2ctl publish")
    return ready


SHIFTED_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += atol(getenv("SHIFT"));
    return done;
}
"""


def shifted_clock(machine):
    """A library in the sandbox that moves the wall clock of one program by $SHIFT seconds."""
    directory = Path(tempfile.mkdtemp(dir=workspace()))
    (directory / "clock.c").write_text(SHIFTED_CLOCK)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", directory / "clock.so", directory / "clock.c", "-ldl"], check=True)
    machine.sandbox.path("/srv/clock.so").write_bytes((directory / "clock.so").read_bytes())
    return lambda seconds, command: f"LD_PRELOAD=/srv/clock.so SHIFT={seconds} {command}"
