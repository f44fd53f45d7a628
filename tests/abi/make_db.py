"""Writes a published database with Python's sqlite3: a second implementation of the format, so that the reader is not
tested against the publisher's own mistakes.

    make_db.py --passwd /etc/passwd --group /etc/group OUT     the people (uid >= 1000) and their groups
"""

import argparse
import dataclasses
import os
import pathlib
import sqlite3
import struct
from typing import Optional

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "shared/src/snapshot/schema.sql"
APPLICATION_ID = 0x4F415532
MASK = (1 << 64) - 1


@dataclasses.dataclass
class Person:
    name: str
    uid: int
    gid: int = 0
    gecos: str = ""
    home: str = ""
    shell: str = "/bin/sh"
    supplementary: list = dataclasses.field(default_factory=list)
    state: int = 1
    confirmed_day: Optional[int] = 20000
    expires_day: Optional[int] = None
    visible: int = 1
    private_group: int = 1

    def __post_init__(self):
        self.gid = self.gid or self.uid
        self.home = self.home or f"/home/{self.name}"


@dataclasses.dataclass
class Group:
    name: str
    gid: int
    members: list = dataclasses.field(default_factory=list)


def siphash(key: bytes, data: bytes) -> int:
    """SipHash-2-4, from the paper."""
    k0, k1 = struct.unpack("<QQ", key)
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573

    def rotate(x, n):
        return (x << n | x >> (64 - n)) & MASK

    def rounds(n):
        nonlocal v0, v1, v2, v3
        for _ in range(n):
            v0 = (v0 + v1) & MASK
            v1 = rotate(v1, 13) ^ v0
            v0 = rotate(v0, 32)
            v2 = (v2 + v3) & MASK
            v3 = rotate(v3, 16) ^ v2
            v0 = (v0 + v3) & MASK
            v3 = rotate(v3, 21) ^ v0
            v2 = (v2 + v1) & MASK
            v1 = rotate(v1, 17) ^ v2
            v2 = rotate(v2, 32)

    end = len(data) // 8 * 8
    last = int.from_bytes(data[end:], "little") | (len(data) & 0xFF) << 56
    for word in [*struct.unpack(f"<{end // 8}Q", data[:end]), last]:
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 0xFF
    rounds(4)
    return v0 ^ v1 ^ v2 ^ v3


def bucket(key: bytes, name: str) -> int:
    return siphash(key, name.encode()) >> 1 & ~3


def slot(taken: set, first: int) -> int:
    """The first free slot of a bucket of four."""
    free = next(s for s in range(first, first + 4) if s not in taken)
    taken.add(free)
    return free


def write(path, people=(), groups=(), removed=(), key=bytes(range(16)), max_age=None, user_version=1,
          application_id=APPLICATION_ID, mode=0o644):
    """Makes the file under another name and renames it. `removed`: names and uids."""
    beside = f"{path}.new"
    if os.path.exists(beside):
        os.unlink(beside)
    db = sqlite3.connect(beside, isolation_level=None)
    db.executescript(f"PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA application_id = {application_id};"
                     f"PRAGMA user_version = {user_version};")
    db.executescript(SCHEMA.read_text())
    db.execute("BEGIN")
    insert_people(db, sorted(people, key=lambda p: p.uid), key)
    insert_groups(db, sorted(groups, key=lambda g: g.gid), key)
    for who in removed:
        tag = b"n" + who.encode() if isinstance(who, str) else b"u" + struct.pack(">I", who)
        db.execute("INSERT INTO tombstone VALUES (?)", (siphash(key, tag) >> 1,))
    db.execute("INSERT INTO header VALUES (1, ?, ?, 1, ?, ?, ?, ?, 'sshd')",
               (key, bytes(16), bytes(32), len(people), len(groups), max_age))
    db.execute("COMMIT")
    db.execute("VACUUM")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    with open(beside, "r+b") as file:
        file.seek(18)
        file.write(b"\x03")
    os.chmod(beside, mode)
    os.rename(beside, path)


def insert_people(db, people, key):
    rows = []
    for p in people:
        gids = b"".join(struct.pack(">I", gid) for gid in p.supplementary)
        rows.append((p, gids))
        db.execute("INSERT INTO passwd VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                   (p.uid, p.name, p.gid, p.gecos, p.home, p.shell, p.state, p.confirmed_day, p.expires_day,
                    p.visible, p.private_group, gids))
    taken = set()
    for hashed, (p, gids) in sorted(((bucket(key, row[0].name), row) for row in rows), key=lambda pair: pair[0]):
        db.execute("INSERT INTO passwd_name VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                   (slot(taken, hashed), p.name, p.gid, p.gecos, p.home, p.shell, p.state, p.confirmed_day,
                    p.expires_day, p.visible, p.private_group, p.uid, gids))


def insert_groups(db, groups, key):
    taken = set()
    rows = [(g, b"".join(name.encode() + b"\0" for name in g.members)) for g in groups]
    for g, members in rows:
        db.execute("INSERT INTO grp VALUES (?,?,?,?)", (g.gid, g.name, len(g.members), members))
    for hashed, (g, members) in sorted(((bucket(key, row[0].name), row) for row in rows), key=lambda pair: pair[0]):
        db.execute("INSERT INTO grp_name VALUES (?,?,?,?,?)",
                   (slot(taken, hashed), g.name, g.gid, len(g.members), members))


def from_files(passwd, group):
    """The people of passwd(5) and the groups of group(5), those of the machine left out."""
    groups, of = [], {}
    for line in pathlib.Path(group).read_text().splitlines():
        name, _, gid, members = line.split(":")
        members = [m for m in members.split(",") if m]
        if int(gid) >= 1000 and int(gid) not in (65534, 65535):
            groups.append(Group(name, int(gid), members))
            for member in members:
                of.setdefault(member, []).append(int(gid))
    people = []
    for line in pathlib.Path(passwd).read_text().splitlines():
        name, _, uid, gid, gecos, home, shell = line.split(":")
        if int(uid) >= 1000 and int(uid) not in (65534, 65535):
            people.append(Person(name, int(uid), int(gid), gecos, home, shell, of.get(name, []), private_group=0))
    return people, groups


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passwd", default="/etc/passwd")
    parser.add_argument("--group", default="/etc/group")
    parser.add_argument("out")
    arguments = parser.parse_args()
    write(arguments.out, *from_files(arguments.passwd, arguments.group))
