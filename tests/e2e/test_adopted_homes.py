"""Home directories that are there before their person: adopt_homes."""

import hashlib
import hmac

import pytest

from rig import product
from rig.machine import Machine

KEY_FILE = f"{product.CONFIG_DIR}/id-key"
KEY = b"sixteen secret bytes, and some more"
UIDS = 1879048192, 2130706431  # the default range, both included


def _uid(name):
    first, last = UIDS
    digest = hmac.new(KEY, name.encode(), hashlib.sha256).digest()
    return first + int.from_bytes(digest[:8], "big") % (last - first + 1)


@pytest.fixture(scope="module")
def machine(release):
    config = {**product.ID_TOKEN, "id_key_file": KEY_FILE, "adopt_homes": True}
    with Machine(release, config=config, enabled=False) as ready:
        ready.sandbox.write(KEY_FILE, KEY.decode(), 0o600)
        product.enable(ready.sandbox)
        yield ready


def _home(machine, name, owner):
    machine.sandbox.run(f"mkdir -m 700 /home/{name} && echo kept > /home/{name}/letter"
                        f" && chown -R {owner}:{owner} /home/{name}")


def test_a_home_of_the_derived_uid_is_the_persons_own(machine):
    _home(machine, "ann", _uid("ann"))
    ended = machine.person.first_login("ann", command="id -u; cat letter")
    assert ended.status == 0, ended.screen
    assert ended.output.split() == [str(_uid("ann")), "kept"]


@pytest.mark.parametrize("owner", ["root", 1000, _uid("ann")], ids=["root", "a-local-user", "another-person"])
def test_a_home_of_anybody_else_is_not(machine, owner):
    name = f"bob{owner}"
    _home(machine, name, owner)
    watch = machine.watch()
    assert machine.person.knock(name).status == 255
    watch.one_verdict("refused", "home_exists")
    watch.assert_no_network()


def test_a_home_in_a_place_where_others_make_directories_is_not(machine):
    _home(machine, "eve", _uid("eve"))
    machine.sandbox.run("chmod o+w /home")
    try:
        watch = machine.watch()
        assert machine.person.knock("eve").status == 255
        watch.one_verdict("refused", "home_exists")
        watch.assert_no_network()
        assert machine.store("select count(*) from identity where login_name = 'eve'") == "0"
    finally:
        machine.sandbox.run("chmod o-w /home")


def test_without_a_key_the_configuration_is_refused():
    with Machine("bookworm", config=None) as bare:
        product.configure(bare.sandbox, {**product.ID_TOKEN, "adopt_homes": True})
        ended = bare.sandbox.run("oauth2ctl config validate", check=False)
        assert ended.returncode == 1 and "id_key_file" in ended.stderr
