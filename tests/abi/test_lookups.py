import os
import subprocess

import pytest

from make_db import Group, Person
from module import DATABASE, NOTFOUND, PATH, SUCCESS, TRYAGAIN, UNTOUCHED

ENOENT, ERANGE = 2, 34

ANN = Person("ann@example.com", 1879050000, supplementary=[2130706500, 27], gecos="Ann Ö.")
BOB = Person("bob", 1879060000, gid=1879050000, private_group=0, shell="")
EVE = Person("eve", 5000, visible=0, supplementary=[2130706500])
STAFF = Group("staff-idp", 2130706500, ["ann@example.com", "eve"])
EMPTY = Group("nobody-yet", 2130706501)
CROWD = Group("crowd", 2130706502, [f"person{n}@example.com" for n in range(2000)])

ANN_LINE = ("ann@example.com", "x", 1879050000, 1879050000, "Ann Ö.", "/home/ann@example.com", "/bin/sh")


@pytest.fixture(autouse=True)
def published(publish):
    publish([ANN, BOB, EVE], [STAFF, EMPTY, CROWD])


def test_a_person_is_found_by_name_and_by_uid(module):
    assert module.getpwnam(ANN.name) == (SUCCESS, UNTOUCHED, ANN_LINE)
    assert module.getpwuid(ANN.uid) == (SUCCESS, UNTOUCHED, ANN_LINE)
    assert module.getpwnam("bob")[2] == ("bob", "x", 1879060000, 1879050000, "", "/home/bob", "")


@pytest.mark.parametrize("name", ["carl", "Ann@example.com", "ann@example.co", "", "pam_unix_non_existent:", "a" * 70000,
                                  b"\xff\xfe", "ann\n", "-x", "0"])
def test_a_name_that_nobody_has_is_absent(module, name):
    assert module.getpwnam(name) == (NOTFOUND, ENOENT, None)
    assert module.getgrnam(name) == (NOTFOUND, ENOENT, None)
    assert module.initgroups(name) == (NOTFOUND, ENOENT, [7], 4)


@pytest.mark.parametrize("number", [0, 1, 999, 1879050001, 2**31, 2**32 - 1])
def test_a_number_that_nobody_has_is_absent(module, number):
    assert module.getpwuid(number) == (NOTFOUND, ENOENT, None)
    assert module.getgrgid(number) == (NOTFOUND, ENOENT, None)


def test_an_account_of_etc_passwd_shows_its_memberships_only(module):
    assert module.getpwnam("eve")[0] == NOTFOUND
    assert module.getpwuid(5000)[0] == NOTFOUND
    assert module.getgrnam("eve")[0] == NOTFOUND
    assert module.getgrgid(5000)[0] == NOTFOUND
    assert module.initgroups("eve", skip=5000)[2] == [7, 2130706500]


def test_a_group_is_found_by_name_and_by_gid(module):
    for group in (STAFF, EMPTY, CROWD):
        line = (group.name, "x", group.gid, group.members)
        assert module.getgrnam(group.name) == (SUCCESS, UNTOUCHED, line)
        assert module.getgrgid(group.gid) == (SUCCESS, UNTOUCHED, line)


def test_a_private_group_has_the_name_and_number_of_its_person_and_no_members(module):
    line = (ANN.name, "x", ANN.uid, [])
    assert module.getgrnam(ANN.name) == (SUCCESS, UNTOUCHED, line)
    assert module.getgrgid(ANN.uid) == (SUCCESS, UNTOUCHED, line)
    assert module.getgrnam("bob")[0] == NOTFOUND
    assert module.getgrgid(BOB.uid)[0] == NOTFOUND


@pytest.mark.parametrize("shift", range(8))
def test_a_buffer_of_any_size_is_enough_or_too_small(module, shift):
    needed = sum(len(str(field).encode()) + 1 for field in ANN_LINE if isinstance(field, str))
    for size in range(needed + 3):
        answer = module.getpwnam(ANN.name, size, shift)
        assert answer == ((SUCCESS, UNTOUCHED, ANN_LINE) if size >= needed else (TRYAGAIN, ERANGE, None)), size
    for group in (STAFF, EMPTY):
        answers = [module.getgrgid(group.gid, size, shift) for size in range(200)]
        sizes = [size for size, answer in enumerate(answers) if answer[0] == SUCCESS]
        pointers = 8 * (len(group.members) + 1) + len(group.name) + 1 + 2 + sum(len(m) + 1 for m in group.members)
        assert sizes == list(range(sizes[0], 200)) and pointers <= sizes[0] <= pointers + 7
        assert all(answer[:2] == (TRYAGAIN, ERANGE) for answer in answers[:sizes[0]])


def test_a_large_group_needs_a_large_buffer_and_nothing_else(module):
    needed = 8 * 2001 + sum(len(name) + 1 for name in CROWD.members) + len("crowd") + 1 + 2
    for size in (0, 1, 8, 16007, 16016, needed - 1):
        assert module.getgrnam("crowd", size) == (TRYAGAIN, ERANGE, None)
    assert module.getgrnam("crowd", needed + 7)[2][3] == CROWD.members


def test_an_enumeration_names_everybody_once_in_the_order_of_ids(module):
    assert [line[0] for line in module.people()] == [ANN.name, "bob"]
    assert [line[0] for line in module.groups()] == [STAFF.name, EMPTY.name, "crowd", ANN.name]


def test_an_enumeration_does_not_lose_the_entry_that_found_no_room(module):
    module.rewind()
    assert module.getpwent(3) == (TRYAGAIN, ERANGE, None)
    assert module.getpwent(3) == (TRYAGAIN, ERANGE, None)
    assert module.getpwent()[2] == ANN_LINE
    assert module.getgrent(3) == (TRYAGAIN, ERANGE, None)
    assert module.getgrent()[2][0] == STAFF.name
    module.getpwnam("bob")
    module.getgrgid(1)
    assert module.getpwent()[2][0] == "bob"
    assert [module.getgrent()[2][0] for _ in range(3)] == [EMPTY.name, "crowd", ANN.name]
    assert module.getpwent() == module.getpwent() == module.getgrent() == (NOTFOUND, ENOENT, None)


def test_initgroups_grows_the_array_and_never_shrinks_it(module):
    assert module.initgroups(ANN.name, skip=ANN.gid) == (SUCCESS, UNTOUCHED, [7, 2130706500, 27], 4)
    assert module.initgroups(ANN.name, skip=27) == (SUCCESS, UNTOUCHED, [7, 2130706500], 4)
    assert module.initgroups(ANN.name, size=64)[3] == 64
    assert module.initgroups(ANN.name, size=1)[2:] == ([7, 2130706500, 27], 16)
    assert module.initgroups("bob") == (SUCCESS, UNTOUCHED, [7], 4)


def test_initgroups_stops_at_the_limit(module):
    assert module.initgroups(ANN.name, size=1, limit=2) == (SUCCESS, UNTOUCHED, [7, 2130706500], 2)
    assert module.initgroups(ANN.name, size=1, limit=1) == (SUCCESS, UNTOUCHED, [7], 1)


@pytest.mark.parametrize("count", [1, 900, 1015, 1016, 1017, 1100, 2047, 5000])
def test_memberships_of_any_number_are_all_entered(module, publish, count):
    gids = [2130707000 + 3 * n for n in range(count)]
    publish([Person("many", 1879050000, supplementary=gids)])
    assert module.initgroups("many", before=(), size=1)[2] == gids
    assert module.getpwnam("many")[2][0] == "many"


@pytest.fixture
def libc(tmp_path):
    """A directory in which libc finds the module by its SONAME."""
    os.symlink(PATH, tmp_path / "libnss_oauth2.so.2")

    def run(*command):
        environment = {"LD_LIBRARY_PATH": str(tmp_path), "PATH": os.environ["PATH"]}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return run


def test_getent_finds_what_the_module_finds(libc):
    assert libc("getent", "-s", "oauth2", "passwd", ANN.name).stdout == \
        "ann@example.com:x:1879050000:1879050000:Ann Ö.:/home/ann@example.com:/bin/sh\n"
    assert libc("getent", "-s", "oauth2", "group", str(STAFF.gid)).stdout == \
        "staff-idp:x:2130706500:ann@example.com,eve\n"
    assert libc("getent", "-s", "oauth2", "group", "crowd").stdout.count(",") == 1999
    assert libc("getent", "-s", "oauth2", "passwd", "carl").returncode == 2


def test_getent_enumerates(libc):
    assert [line.split(":")[0] for line in libc("getent", "-s", "oauth2", "passwd").stdout.splitlines()] == \
        [ANN.name, "bob"]
    assert len(libc("getent", "-s", "oauth2", "group").stdout.splitlines()) == 4


def test_getent_initgroups_lists_the_memberships(libc):
    assert libc("getent", "-s", "oauth2", "initgroups", ANN.name).stdout.split() == [ANN.name, "2130706500", "27"]


def test_the_module_brings_nothing_but_itself():
    names = subprocess.run(["nm", "-D", "--defined-only", PATH], capture_output=True, text=True, check=True).stdout
    assert all(line.split()[-1].startswith("_nss_oauth2_") for line in names.splitlines())
    assert len(names.splitlines()) == 11
    dynamic = subprocess.run(["readelf", "-d", PATH], capture_output=True, text=True, check=True).stdout
    needed = [line.split("[")[1].rstrip("]") for line in dynamic.splitlines() if "(NEEDED)" in line]
    assert set(needed) <= {"libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
    assert "[libnss_oauth2.so.2]" in dynamic and "NODELETE" in dynamic and "NOW" in dynamic
    content = open(PATH, "rb").read()
    assert b"sqlite3_" not in content and b"rustls" not in content


def test_nothing_stays_open(module):
    before = os.listdir("/proc/self/fd")
    module.getpwnam(ANN.name)
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert DATABASE in open("/proc/self/maps").read()
