"""A hundred logins of the same person, whom the machine has never seen, at the same moment."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from crash import sign_in
from ids import derived_uid

from rig.machine import Machine

LOGINS = 100
THROUGH_SSHD = 20


@pytest.fixture(scope="module")
def machine():
    with Machine("bookworm") as ready:
        yield ready


def one_row(machine, name):
    uid = str(derived_uid(name))
    for table in (machine.store("select login_name, uid, state from identity"),
                  machine.published("select name, uid, 'confirmed' from passwd where state = 1")):
        assert [row for row in table.splitlines() if row.startswith(f"{name}|")] == [f"{name}|{uid}|confirmed"]
    first = f"select count(*) from event where kind = 'first_sign_in' and login_name = '{name}'"
    assert machine.store(first) == "1"
    assert machine.store("select count(*) from tombstone") == "0"
    assert machine.store("pragma integrity_check") == machine.published("pragma integrity_check") == "ok"
    assert machine.uid_of(name) == int(uid)


def test_100_concurrent_logins_of_the_same_new_person_make_one_row(machine):
    def log_in(_):
        return sign_in(machine.sandbox, machine.provider, "zoe")

    with ThreadPoolExecutor(LOGINS) as crowd:
        assert list(crowd.map(log_in, range(LOGINS))) == [0] * LOGINS
    one_row(machine, "zoe")


def test_concurrent_logins_of_the_same_new_person_through_sshd_make_one_row(machine):
    def connect(_):
        terminal = machine.person.ssh("yara", "id -u")
        return terminal, machine.person.read_prompt(terminal)

    def finish(waiting):
        terminal, prompt = waiting
        with terminal:
            machine.person.approve(prompt, "yara")
            ended = machine.person.finish(terminal, timeout=90)
        return ended.status, ended.output.strip()

    # Nobody is known before all of them have a code.
    with ThreadPoolExecutor(THROUGH_SSHD) as crowd:
        waiting = list(crowd.map(connect, range(THROUGH_SSHD)))
        ended = list(crowd.map(finish, waiting))
    assert ended == [(0, str(derived_uid("yara")))] * THROUGH_SSHD
    one_row(machine, "yara")
