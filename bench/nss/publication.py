"""What it takes to publish one new person: from the lock of the publication to the last sync of its directory."""

import os
import re
import shutil
import sqlite3
import subprocess
import time

from rig import product
from rig.sandbox import ENVIRONMENT

import users

ROUNDS = 9


def measure(world):
    """({service: {round: milliseconds}}, MiB of the file). `copy` is a plain copy of a file of that size, with fsync."""
    published = world.state / "nss.db"
    rounds = {"oauth2": {}, "copy": {}}
    _publish(world, "first0")
    for n in range(ROUNDS):
        rounds["oauth2"][n] = _publish(world, f"new{n}")
        rounds["copy"][n] = _copy(published)
    return rounds, published.stat().st_size / 2**20


def _publish(world, name):
    """A sign-in has recorded somebody; any command of oauth2ctl publishes what is recorded and not published yet."""
    _record(world, name)
    log = world.directory / "calls"
    argv = world.inside("oauth2ctl", "user", "add", name)
    # Few calls of the process are of these kinds, so that being watched costs it nothing that could be measured.
    subprocess.run(["strace", "-f", "-qq", "--seccomp-bpf", "-ttt", "-e", "trace=flock,fsync", "-o", log, "--", *argv],
                   env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    times = {call: float(stamp) for stamp, call in re.findall(r"(?m)^\d+ +([\d.]+) (flock|fsync)\(", log.read_text())}
    if not world.succeeds(f"getent -s oauth2 passwd {name}"):
        raise AssertionError(f"{name} was not published")
    return (times["fsync"] - times["flock"]) * 1000


def _record(world, name):
    """What the first sign-in of somebody with five groups writes to the store (Store::record)."""
    store = sqlite3.connect(world.state / "private" / "store.db", isolation_level=None)
    uid, = users.derive([name], users.UID_RANGE)
    store.execute("BEGIN IMMEDIATE")
    (generation,), = store.execute("UPDATE meta SET generation = generation + 1 RETURNING generation").fetchall()
    identity = store.execute(
        "INSERT INTO identity(login_name, issuer, subject, uid, gid, home, shell, state, confirmed_day, created_at,"
        " generation) VALUES (?1, ?2, ?1, ?3, ?3, '/home/' || ?1, '/bin/bash', 'confirmed', 20000, 0, ?4)",
        (name, users.ISSUER, uid, generation)).lastrowid
    for group in list(world.users.groups)[:users.GROUPS_OF_EACH]:
        store.execute("INSERT INTO membership VALUES (?, ?)", (identity, f"id-{group}"))
        store.execute("UPDATE idp_group SET generation = ? WHERE provider_id = ?", (generation, f"id-{group}"))
    store.execute("COMMIT")
    store.close()


def _copy(published):
    target = published.with_name("copy")
    begun = time.monotonic()
    shutil.copyfile(published, target)
    with open(target, "rb+") as copy:
        os.fsync(copy.fileno())
    spent = time.monotonic() - begun
    target.unlink()
    return spent * 1000
