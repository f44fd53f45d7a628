"""One set of made-up people in the form that every name service reads: truth, libnss-cache, extrausers, and our store.

N people of five groups each, groups of some 250 members, and one person, `heavy`, in 500 groups. Ids are derived
from names as the product derives them (DESIGN calls it the first eight bytes of a hash), so that they lie as far apart
as real ones do.
"""

import hashlib
import json
import random
import sqlite3

ISSUER = "https://idp.test:8443"
UID_RANGE = (1879048192, 2130706431)
GID_RANGE = (2130706432, 2147352574)
GROUPS_OF_EACH = 5
MEMBERS = 250
MOST_GROUPS = 2000
HEAVY = "heavy"
HEAVY_GROUPS = 500
PEOPLE_GROUP = "oauth2-users"
PEOPLE_GID = 2147352575


class UserSet:
    """People as (name, uid, gecos, home, shell); groups as {name: (gid, members)}."""

    def __init__(self, count):
        self.count = count
        groups = min(MOST_GROUPS, max(20, count * GROUPS_OF_EACH // MEMBERS))
        names = [("anna", "bo", "christopher.", "d", "eve-")[n % 5] + f"{n:07}" for n in range(count)] + [HEAVY]
        uids = derive(names, UID_RANGE)
        self.people = [(name, uid, f"Person Number {n}", f"/home/{name}", "/bin/bash")
                       for n, (name, uid) in enumerate(zip(names, uids))]
        group_names = [f"group{n:05}" for n in range(groups)] + [f"team-{n:03}" for n in range(HEAVY_GROUPS)]
        gids = derive(group_names, GID_RANGE)
        self.groups = {name: (gid, []) for name, gid in zip(group_names, gids)}
        self.memberships = [(n, group_names[group]) for n in range(count) for group in _groups_of(n, groups)]
        self.memberships += [(count, name) for name in group_names[groups:]]
        for person, group in self.memberships:
            self.groups[group][1].append(names[person])

    def passwd_lines(self):
        return [f"{name}:x:{uid}:{uid}:{gecos}:{home}:{shell}\n" for name, uid, gecos, home, shell in self.people]

    def group_lines(self):
        return [f"{name}:x:{gid}:{','.join(members)}\n" for name, (gid, members) in self.groups.items()]

    def groups_of(self, name):
        return {group: gid for group, (gid, members) in self.groups.items() if name in members}


def derive(names, limits):
    """A number for each name; where two meet, the next free one."""
    first, last = limits
    taken, numbers = set(), []
    for name in names:
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % (last - first + 1) + first
        while number in taken:
            number = first + (number + 1 - first) % (last - first + 1)
        taken.add(number)
        numbers.append(number)
    return numbers


def _groups_of(person, groups):
    step = 1 + person // groups
    return sorted({(person * 7 + k * 13 * step) % groups for k in range(1, GROUPS_OF_EACH + 1)})


# What files, extrausers and libnss-cache read

def write_files(users, directory):
    passwd, group = users.passwd_lines(), users.group_lines()
    # One person stands first in the file: what `files` needs for them is the least it ever needs.
    (directory / "passwd").write_text("".join(passwd) + "root:x:0:0:root:/root:/bin/bash\n")
    (directory / "group").write_text("".join(group) + "root:x:0:\n")
    extrausers = directory / "extrausers"
    extrausers.mkdir()
    (extrausers / "passwd").write_text("".join(passwd))
    (extrausers / "group").write_text("".join(group))
    (extrausers / "shadow").touch()
    _write_cache(directory / "passwd.cache", passwd, "ixuid")
    _write_cache(directory / "group.cache", group, "ixgid")


def _write_cache(path, lines, number_index):
    """The text, and for each key an index of lines of one length: key NUL offset NUL padding (libnss-cache, nss_cache.c)."""
    path.write_text("".join(lines))
    offsets, end = [], 0
    for line in lines:
        offsets.append(end)
        end += len(line)
    fields = [line.split(":", 3) for line in lines]
    _write_index(path.with_name(path.name + ".ixname"), [field[0] for field in fields], offsets)
    _write_index(path.with_name(f"{path.name}.{number_index}"), [field[2] for field in fields], offsets)


def _write_index(path, keys, offsets):
    rows = sorted((key.encode(), str(offset).encode()) for key, offset in zip(keys, offsets))
    longest = max(len(key) + len(offset) for key, offset in rows)
    path.write_bytes(b"".join(
        key + b"\0" + offset + b"\0" * (1 + longest - len(key) - len(offset)) + b"\n" for key, offset in rows))


# What is asked for, with the right answers

def write_keys(users, directory, people):
    """Keys in the order of asking: people all over the set, absent names among theirs, and groups of about `MEMBERS`."""
    draw = random.Random(1)
    asked = draw.sample(users.people[:-1], people)
    _lines(directory / "keys.people", (f"{p[0]}:x:{p[1]}:{p[1]}:{p[2]}:{p[3]}:{p[4]}" for p in asked))
    _lines(directory / "keys.absent", (p[0] + draw.choice("xyz_") for p in draw.sample(users.people, people)))
    typical = [group for group, (_, members) in users.groups.items() if len(members) >= 0.9 * MEMBERS] or list(users.groups)
    groups = draw.sample(typical, min(20, len(typical)))
    _lines(directory / "keys.groups", (f"{g}:x:{users.groups[g][0]}:{','.join(users.groups[g][1])}" for g in groups))
    some = {person[0] for person in asked[:100]}
    of = {name: [] for name in (*some, HEAVY)}
    for gid, members in users.groups.values():
        for name in some.intersection(members):
            of[name].append(gid)
        if members == [HEAVY]:
            of[HEAVY].append(gid)
    _lines(directory / "keys.groups-of", (f"{name}:{','.join(map(str, of[name]))}" for name in sorted(some)))
    _lines(directory / "keys.heavy", [f"{HEAVY}:{','.join(map(str, of[HEAVY]))}"])
    _lines(directory / "keys.everybody", [f"{PEOPLE_GROUP}:{PEOPLE_GID}"])


def _lines(path, lines):
    path.write_text("".join(line + "\n" for line in lines))


# Our store, as that many first logins would have left it

def configuration(users):
    return json.dumps({
        "client_id": "linux-login", "issuer": ISSUER, "scope": "openid profile groups", "provisioning": "store",
        "first_login": [], "group_map": {f"id-{name}": name for name in users.groups},
    })


def fill_store(users, path):
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA synchronous = OFF")
    store.execute("BEGIN")
    store.executemany(
        "INSERT INTO idp_group VALUES (?, ?, ?, 1)",
        ((f"id-{name}", name, gid) for name, (gid, _) in users.groups.items()))
    store.executemany(
        "INSERT INTO identity(id, login_name, issuer, subject, uid, gid, gecos, home, shell, state, confirmed_day,"
        " created_at, generation) VALUES (?1, ?2, ?3, ?2, ?4, ?4, ?5, ?6, ?7, 'confirmed', 20000, 0, 1)",
        ((n + 1, name, ISSUER, uid, gecos, home, shell)
         for n, (name, uid, gecos, home, shell) in enumerate(users.people)))
    store.executemany(
        "INSERT INTO membership VALUES (?, ?)", ((person + 1, f"id-{group}") for person, group in users.memberships))
    store.execute("COMMIT")
    store.close()
