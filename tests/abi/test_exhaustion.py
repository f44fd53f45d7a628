"""A process that has no memory or no descriptors left, for a moment (hunger.c)."""

import make_db
from drivers import drive
from make_db import Group, Person
from module import DATABASE


def test_without_memory_or_descriptors_every_call_has_a_documented_end_and_works_again_afterwards(publish):
    ann = Person("ann", 5000, supplementary=range(9000, 49000))
    staff = Group("staff", 9000, ["ann"])
    make_db.write(f"{DATABASE}.old", [ann], [staff])
    make_db.write(f"{DATABASE}.new", [ann, Person("bob", 5001)], [staff])
    assert drive("hunger", f"{DATABASE}.old", f"{DATABASE}.new", options=["-rdynamic"]) == "done\n"
