"""Writes the published databases that the program is run on, good and broken, and prints their names."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "abi"))
import make_db  # noqa: E402
from make_db import Group, Person  # noqa: E402


def files(directory, broken):
    """Two good ones, and `broken` with a byte changed or a page in another's place."""
    people = [Person("ann", 1879050000, gecos="Ann Ö.", supplementary=[2130706500, 27]),
              *(Person(f"p{n}", 5000 + n, supplementary=[9000] * (1500 if n == 2 else 3)) for n in range(20))]
    groups = [Group("g", 9000, [f"p{n}" for n in range(20)]), Group("crowd", 9001, [f"m{n}" for n in range(600)])]
    make_db.write(f"{directory}/whole", people, groups, removed=["x", 7000])
    make_db.write(f"{directory}/empty", [])
    yield f"{directory}/whole"
    yield f"{directory}/empty"
    whole = pathlib.Path(directory, "whole").read_bytes()
    for n in range(broken):
        copy = bytearray(whole)
        at = 4096 + 3 + n * (len(whole) - 4096) // broken
        copy[at] ^= 0xFF
        if n % 3 == 0:
            page = at // 4096 * 4096
            copy[page:page + 4096] = whole[4096:8192]
        pathlib.Path(directory, f"broken{n}").write_bytes(copy)
        yield f"{directory}/broken{n}"


if __name__ == "__main__":
    print(*files(sys.argv[1], int(sys.argv[2])))
