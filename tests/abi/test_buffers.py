"""Buffers of every size from nothing up, for every entry point: ERANGE exactly where the answer finds no room, and the
same answer afterwards."""

import pytest

from make_db import Group, Person
from module import NOTFOUND, SUCCESS, TRYAGAIN, UNTOUCHED

ERANGE = 34
GIDS = [2130706500 + n for n in range(500)]
ANN = Person("ann@example.com", 1879050000, gecos="Ann Ö.", supplementary=GIDS)
CROWD = Group("crowd", 2130706432, [f"person{n}@example.com" for n in range(250)])
ANN_LINE = (ANN.name, "x", ANN.uid, ANN.uid, ANN.gecos, ANN.home, ANN.shell)
CROWD_LINE = (CROWD.name, "x", CROWD.gid, CROWD.members)
PRIVATE_LINE = (ANN.name, "x", ANN.uid, [])


@pytest.fixture(autouse=True)
def published(publish):
    publish([ANN], [CROWD])


def first(of, ask):
    def from_the_start(module, size, shift):
        module.rewind()
        answer = ask(module, size, shift)
        # What found no room is still the next one.
        assert answer[0] == SUCCESS or ask(module, 1 << 14, 0) == (SUCCESS, UNTOUCHED, of)
        return answer
    return from_the_start


def second(of, ask):
    def after_the_first(module, size, shift):
        module.rewind()
        assert ask(module, 1 << 14, 0)[0] == SUCCESS
        answer = ask(module, size, shift)
        assert answer[0] == SUCCESS or ask(module, 1 << 14, 0) == (SUCCESS, UNTOUCHED, of)
        assert ask(module, 1 << 14, 0)[0] == NOTFOUND
        return answer
    return after_the_first


ENTRY_POINTS = {
    "getpwnam_r": (ANN_LINE, lambda m, size, shift: m.getpwnam(ANN.name, size, shift)),
    "getpwuid_r": (ANN_LINE, lambda m, size, shift: m.getpwuid(ANN.uid, size, shift)),
    "getpwent_r": (ANN_LINE, first(ANN_LINE, lambda m, size, shift: m.getpwent(size, shift))),
    "getgrnam_r": (CROWD_LINE, lambda m, size, shift: m.getgrnam(CROWD.name, size, shift)),
    "getgrgid_r": (CROWD_LINE, lambda m, size, shift: m.getgrgid(CROWD.gid, size, shift)),
    "getgrent_r": (CROWD_LINE, first(CROWD_LINE, lambda m, size, shift: m.getgrent(size, shift))),
    "getgrnam_r of a private group": (PRIVATE_LINE, lambda m, size, shift: m.getgrnam(ANN.name, size, shift)),
    "getgrgid_r of a private group": (PRIVATE_LINE, lambda m, size, shift: m.getgrgid(ANN.uid, size, shift)),
    "getgrent_r of a private group": (PRIVATE_LINE, second(PRIVATE_LINE, lambda m, size, shift: m.getgrent(size, shift))),
}


def needed(line):
    texts = [field for field in line if isinstance(field, str)]
    members = line[-1] if isinstance(line[-1], list) else None
    size = sum(len(text.encode()) + 1 for text in texts)
    return size if members is None else size + 8 * (len(members) + 1) + sum(len(name) + 1 for name in members)


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_every_size_is_enough_or_too_small(module, entry_point):
    line, ask = ENTRY_POINTS[entry_point]
    least = needed(line)
    for shift in (0, 1, 7) if least > 1000 else range(8):
        enough = []
        for size in range(least + 16):
            answer = ask(module, size, shift)
            assert answer in ((SUCCESS, UNTOUCHED, line), (TRYAGAIN, ERANGE, None)), (size, shift)
            if answer[0] == SUCCESS:
                enough.append(size)
        # From one size on, all; pointers may need up to seven bytes before them.
        assert enough == list(range(enough[0], least + 16)), shift
        assert least <= enough[0] <= least + (7 if isinstance(line[-1], list) else 0), shift


@pytest.mark.parametrize("size", range(1, 40))
def test_an_array_of_any_size_grows_as_far_as_it_must(module, size):
    status, code, gids, length = module.initgroups(ANN.name, size=size)
    assert (status, code, gids) == (SUCCESS, UNTOUCHED, [7, *GIDS])
    assert length >= len(gids)


@pytest.mark.parametrize("size", [500, 501, 502])
def test_an_array_that_is_large_enough_stays_as_it_is(module, size):
    status, _, gids, length = module.initgroups(ANN.name, size=size)
    assert (status, gids) == (SUCCESS, [7, *GIDS])
    # One that is full to the last entry may grow: nobody has said yet that it was the last.
    assert (length == size) == (size >= 502) or size == 501


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 9, 250, 499, 500, 501, 502, 10000])
def test_the_limit_of_the_host_is_kept_to(module, limit):
    for size in (1, 8, min(limit, 600)):
        if size <= limit:
            status, code, gids, length = module.initgroups(ANN.name, size=size, limit=limit)
            assert (status, code, gids) == (SUCCESS, UNTOUCHED, [7, *GIDS][:limit]) and length <= max(limit, size)
