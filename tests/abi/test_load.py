"""Ten thousand publications against eight threads and eight processes that look up all the time (load.c)."""

import re

import make_db
from drivers import drive
from make_db import Group, Person
from module import DATABASE

TOKEN = "g" * 10  # load.c writes the number of the publication over it
PUBLICATIONS = 10_000


def templates():
    ann = Person("ann", 5000, gecos=TOKEN, home=f"/{TOKEN}", shell=f"/{TOKEN}")
    odd = Person("odd", 5001, gecos=TOKEN)
    group = Group("crowd", 9000, [f"m{n:03}-{TOKEN}" for n in range(400)])
    for name, people in (("even", [ann]), ("odd", [ann, odd])):
        make_db.write(f"{DATABASE}.{name}", people, [group])
        yield f"{DATABASE}.{name}"


def test_no_answer_is_wrong_torn_or_stale_while_it_is_published_ten_thousand_times(publish):
    report = drive("load", *templates(), PUBLICATIONS)
    print(report)
    publications, questions, seen = map(int, re.findall(r"\d+", report))
    assert publications == PUBLICATIONS and questions > 50 * PUBLICATIONS and seen > 100
