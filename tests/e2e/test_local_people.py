"""Local people and strangers on machines where the product is missing, broken or half set up."""

import pytest

from rig import local_people, product
from rig.machine import Machine


def _delete(name):
    return lambda sandbox: sandbox.path(name).unlink()


def _fill(name, text):
    """Replaced, as an editor does: truncating a mapped database in place is another matter."""

    def fill(sandbox):
        sandbox.write(name + ".new", text, 0o600 if "nss.db" not in name else 0o644)
        sandbox.path(name + ".new").rename(sandbox.path(name))

    return fill


def _without_state(sandbox):
    sandbox.run(["rm", "-r", product.STATE])


STATES = {
    "all is well": (True, None),
    "not configured": (None, None),
    "not enabled": (False, None),
    "the module file is missing": (True, _delete(product.MODULE)),
    "the account line is taken out": (True, product.remove_account_line),
    "the configuration is empty": (True, _fill(product.CONFIG, "")),
    "the configuration is broken": (True, _fill(product.CONFIG, '{"client_id": ')),
    "the configuration is missing": (True, _delete(product.CONFIG)),
    "the store is corrupt": (True, _fill(product.STORE, "no database at all " * 999)),
    "the published database is corrupt": (True, _fill(product.PUBLISHED, "no database " * 999)),
    "the published database is missing": (True, _delete(product.PUBLISHED)),
    "the state directory is missing": (True, _without_state),
}
# Each state for the older OpenSSH; those the issue names also for the newer one.
CASES = [(name, "bookworm") for name in STATES] + [(name, "trixie") for name in list(STATES)[:5]]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def machine(request):
    name, release = request.param
    enabled, change = STATES[name]
    config = None if enabled is None else product.ID_TOKEN
    with Machine(release, config=config, enabled=bool(enabled)) as ready:
        ready.state = name
        if enabled:
            _let_in(ready, "known")
        if change:
            change(ready.sandbox)
        yield ready


def test_every_local_way_in_works(machine):
    assert local_people.broken_ways_in(machine) == {}


def test_no_stranger_gets_in(machine):
    if machine.state == "all is well":
        assert machine.person.try_everything("stranger") == 0
        return
    assert machine.person.try_everything("stranger") == 255
    assert machine.person.key_login("stranger", product.ROOT_KEY).status == 255
    if machine.state != "the account line is taken out":
        assert machine.resolves("stranger") is None


def test_a_known_person_with_a_key_gets_in_only_past_the_account_line(machine):
    if machine.state in ("not configured", "not enabled"):
        assert machine.resolves("known") is None
        return
    ended = machine.person.key_login("known", product.ROOT_KEY, "id -un")
    works = "corrupt" not in machine.state and "missing" not in machine.state
    # The account phase reads the published database alone.
    if machine.state in ("the store is corrupt", "the configuration is missing"):
        works = True
    if machine.state == "the account line is taken out":
        works = False
    assert (ended.status == 0) == works, ended.screen


def _let_in(machine, name):
    ended = machine.person.first_login(name, command="mkdir -m 700 .ssh")
    assert ended.status == 0, ended.screen
    key = machine.sandbox.read(product.ROOT_KEY + ".pub")
    machine.sandbox.write(f"/home/{name}/.ssh/authorized_keys", key)
