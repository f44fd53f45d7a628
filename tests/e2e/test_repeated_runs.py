"""Twenty runs of every command, as Ansible would: the first changes, the others touch nothing."""

import pytest

from rig import ctl, product
from rig.ctl import ask, confirm
from rig.machine import Machine

RUNS = 20


@pytest.fixture(scope="module")
def machine():
    with ctl.unconfigured_provider(Machine) as ready:
        for name in ("ann", "bob", "carl", "dora", "emil", "finn", "gina", "hugo"):
            ask(ready, f"user add {name}")
        confirm(ready, "ann")
        ask(ready, "user lock bob")
        ready.sandbox.run("mkdir /srv/map")
        ready.store("insert into event(at, kind, login_name, actor, detail) values (1, 'old', '', '', '')")
        yield ready


@pytest.mark.parametrize("command", [
    "user add zoe --group idp-staff --expires 2099-01-01 --uid 4500 --subids",
    "user lock ann carl --reason test --kill",
    "user lock --all-of idp-staff",
    "user unlock bob",
    "user expire dora 2098-01-01",
    "user rename emil emilio",
    "user bind finn https://idp.test:8443 finn-sub",
    "user pin gina --uid 4501",
    "user remove hugo --purge",
    "group map g-1 developers --gid 4700",
    "group unmap developers",
    "ids export --output /srv/map/export.json",
    "ids import /srv/map/one.json",
    "audit prune --before 1980-01-01",
])
def test_the_first_run_changes_and_the_others_touch_nothing(machine, command):
    one = '{"format":"oauth2-ids-1","machine":"a","entries":[{"kind":"removed","name":"gone","uid":4998}]}'
    machine.sandbox.write("/srv/map/one.json", one)
    assert ask(machine, command)["changed"] is True
    files = ctl.files(machine)
    for _ in range(RUNS - 1):
        assert ask(machine, command)["changed"] is False
    assert ctl.touched(files, ctl.files(machine)) == []


@pytest.mark.parametrize("command", ["publish", "user sweep", "store migrate"])
def test_where_nothing_is_to_be_done_no_run_changes_anything(machine, command):
    ask(machine, command)
    files = ctl.files(machine)
    for _ in range(RUNS):
        assert ask(machine, command)["changed"] is False
    assert ctl.touched(files, ctl.files(machine)) == []


def test_an_account_of_useradd_is_shut_once():
    with ctl.unconfigured_provider(Machine, {**product.ID_TOKEN, "provisioning": "useradd"}) as machine:
        ask(machine, "user add uwe")
        uid = machine.uid_of("uwe")
        # As useradd writes it: it would refuse a name that resolves already.
        machine.sandbox.run(f"echo 'uwe:x:{uid}:{uid}::/home/uwe:/bin/bash' >>/etc/passwd"
                            f" && echo 'uwe:x:{uid}:' >>/etc/group && echo 'uwe:!:20000:0:99999:7:::' >>/etc/shadow"
                            " && oauth2ctl publish")
        for command in ("user lock uwe", "user sweep", "user remove uwe"):
            ask(machine, command)
            assert machine.sandbox.output("getent shadow uwe").split(":")[7] == "37"
            files = ctl.files(machine)
            for _ in range(RUNS - 1):
                assert ask(machine, command)["changed"] is False
            assert ctl.touched(files, ctl.files(machine)) == []


@pytest.mark.parametrize("command, file", [("store backup /srv/b.db", "/srv/b.db"), ("ids new-key /srv/k", "/srv/k")])
def test_what_never_overwrites_refuses_every_further_run(machine, command, file):
    assert ask(machine, command)["changed"] is True
    files = ctl.files(machine)
    for _ in range(RUNS - 1):
        assert ask(machine, command, 8)["changed"] is False
    assert ctl.touched(files, ctl.files(machine)) == []
    machine.sandbox.run(f"rm {file}")
