"""Programs that are killed while they change the machine, and what must hold afterwards."""

import re
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from rig import product, texts
from rig.fault_points import KILLED, fault_points, rows_of_copy
from rig.ssh_client import Person, Prompt

EARLIER = ["ann", "bob", "carla", "dirk"]
STORE_ROWS = (
    "SELECT login_name, issuer, subject, uid, gid, home, shell, state, existing FROM identity",
    "SELECT i.login_name, m.provider_id FROM membership m JOIN identity i ON i.id = m.identity",
    "SELECT login_name, uid FROM tombstone",
)
PUBLISHED_ROWS = (
    "SELECT name, uid, gid, home, shell, state, hex(supplementary) FROM passwd",
    "SELECT name, uid, gid, home, shell, state, hex(supplementary) FROM passwd_name",
    "SELECT name, gid, hex(members) FROM grp",
    "SELECT count(*) FROM tombstone",
)
ASK = "getent passwd {names}; getent group {names} oauth2-users; id -G {first}; id -G {last}"


def sign_in(place, provider, name, terminal=None, at_the_code=None):
    """A whole login that is recorded, on a terminal; its exit status."""
    person = Person(place, provider)
    with terminal or person.start(["oauth2ctl", "login", name, "--record"]) as terminal:
        if not terminal.shows(texts.PRESS_ENTER):
            return terminal.wait()
        if not re.search(texts.CODE, terminal.screen):
            # A name that was not confirmed yet.
            terminal.send_line()
            terminal.expect(texts.PRESS_ENTER, timeout=30)
        url, code = (re.search(word, terminal.screen).group() for word in (texts.URL, texts.CODE))
        person.approve(Prompt(url, code, ""), name)
        if at_the_code:
            at_the_code()
        return person.finish(terminal).status


class Command:
    """A command of the administrator's."""

    def __init__(self, *argv):
        self.argv = ["oauth2ctl", *argv]

    def __str__(self):
        return " ".join(self.argv)

    def run(self, place):
        return place.run(self.argv, check=False).returncode

    def traced(self, place, fault=None):
        return place.traced(self.argv, fault)


class Login:
    """A first login, from the first Enter on."""

    def __init__(self, provider, name):
        self.provider, self.name = provider, name

    def __str__(self):
        return f"a first login of {self.name}"

    def run(self, place):
        return sign_in(place, self.provider, self.name)

    def traced(self, place, fault=None):
        terminal, log = place.traced_terminal(["oauth2ctl", "login", self.name, "--record"], fault)
        return sign_in(place, self.provider, self.name, terminal), log


def store_rows(place):
    return rows_of_copy(place.path(product.STORE), place.directory / "copy", STORE_ROWS)


def published_rows(place):
    return rows_of_copy(place.path(product.PUBLISHED), place.directory / "copy", PUBLISHED_ROWS)


def answers(place, people=EARLIER):
    """What every process on the machine is told of them."""
    names = " ".join(people)
    return place.output(ASK.format(names=names, first=people[0], last=people[-1]), user=1000)


class Crash:
    """What must hold after a step was never made, wherever it was. `people` are those whom it does not concern."""

    def __init__(self, place, step, people):
        self.step, self.people = step, people
        self.answers = answers(place, self.people)
        self.old = [store_rows(place), published_rows(place)]
        status, log = step.traced(place)
        assert status == 0
        self.new = [store_rows(place), published_rows(place)]
        self.faults = fault_points(log)
        assert any(fault.call == "rename" for fault in self.faults), "nothing was published"

    def at(self, place, fault):
        """Kills it there, looks, and does it again."""
        place.restore()
        status = self.kill(place, fault)
        assert status in KILLED, f"{fault} was not reached: status {status}"
        self.afterwards(place, fault)

    def kill(self, place, fault):
        return self.step.traced(place, fault)[0]

    def again(self, place):
        return self.step.run(place)

    def afterwards(self, place, where):
        store = store_rows(place)
        assert store in (self.old[0], self.new[0]), f"a change by halves in the store, {where}"
        published = published_rows(place)
        assert published in (self.old[1], self.new[1]), f"a change by halves is published, {where}"
        # Nobody is published whom the store does not have.
        assert published == self.old[1] or store == self.new[0], where
        assert answers(place, self.people) == self.answers, where
        assert self.again(place) == 0, f"the next one fails, {where}"
        assert [store_rows(place), published_rows(place)] == self.new, where
        assert left_over(place) == [], where
        assert answers(place, self.people) == self.answers, where


def left_over(place):
    """Files that nobody will use any more. SQLite's journal of a change that had not come far is the next change's."""
    known = {"nss.db", "private", "store.db", "store.db-journal", "publish.lock", "first-login", "useradd.lock"}
    names = place.output(["find", product.STATE, "-mindepth", "1", "-printf", "%f\n"]).splitlines()
    return [name for name in names if name not in known]


def in_all_places(places, function, items):
    """Calls function(place, item) for every item, as many at once as there are places."""
    free = SimpleQueue()
    for place in places:
        free.put(place)

    def one(item):
        place = free.get()
        try:
            return function(place, item)
        finally:
            free.put(place)

    with ThreadPoolExecutor(len(places)) as crowd:
        return list(crowd.map(one, items))


def kill_at_every_step(places, step, people=EARLIER, kind=Crash):
    places[0].restore()
    crash = kind(places[0], step, people)
    in_all_places(places, crash.at, crash.faults)
    print(f"{step}: {len(crash.faults)} steps")
    return crash
