"""Whom allowed_groups refuses at their own sign-in loses keys, cron and su with it, until they are admitted again."""

import pytest

from rig import product
from rig.machine import Machine

STAFF = "3f1c-staff"
CONFIG = {**product.ID_TOKEN, "allowed_groups": [STAFF]}


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release, config=CONFIG) as ready:
        ready.provider.people({"ann": {"groups": [STAFF], "sub": "subject-of-ann"}})
        assert ready.person.first_login("ann", command="mkdir -m 700 .ssh").status == 0
        key = ready.sandbox.read(product.ROOT_KEY + ".pub")
        ready.sandbox.write("/home/ann/.ssh/authorized_keys", key)
        yield ready


def comes_in(machine):
    """Key, cron and su, and whether they agree."""
    answers = {
        "key": machine.person.key_login("ann", product.ROOT_KEY).status == 0,
        "cron": machine.sandbox.succeeds("pamtester cron ann acct_mgmt"),
        "su": machine.sandbox.succeeds("su ann -c true"),
    }
    assert len({*answers.values()}) == 1, answers
    return answers["key"]


@pytest.mark.parametrize("left", [["77-lab"], []], ids=["another group", "no group"])
def test_a_group_that_is_taken_away_takes_the_keys_along_and_gives_them_back(machine, left):
    assert comes_in(machine)
    machine.provider.people({"ann": {"groups": left, "sub": "subject-of-ann"}})
    assert comes_in(machine), "nothing is known of it before a sign-in"
    watch = machine.watch()
    assert machine.person.login_again("ann").status == 255
    refused = watch.one_verdict("refused", "not_allowed", "no_groups")
    watch.wait_for(r"ann: keys, cron and su are refused too.* id=" + refused.fields["id"])
    assert not comes_in(machine)
    watch.wait_for(r"sshd:account\): result=refused reason=not_allowed .*oauth2ctl user show ann")
    assert "admitted" in machine.sandbox.output("oauth2ctl user show ann")
    assert "denied" in machine.sandbox.output("oauth2ctl user list")
    said = machine.sandbox.output("oauth2ctl user unlock ann")
    assert "not locked" in said and "allowed_groups" in said
    assert not comes_in(machine), "an unlock gives no group"
    machine.provider.people({"ann": {"groups": [STAFF], "sub": "subject-of-ann"}})
    assert machine.person.login_again("ann").status == 0
    assert comes_in(machine)
    kinds = machine.store("select kind from event where login_name = 'ann' order by id desc limit 2")
    assert [kind for kind in kinds.split() if kind != "group_added"][:1] == ["reinstated"]


def test_nobody_else_can_take_the_keys_away(machine):
    machine.provider.people({"mallory": {"groups": []}, "ann": {"groups": [], "sub": "somebody-else"}})
    watch = machine.watch()
    assert machine.person.login_again("ann", approve_as="mallory").status == 255
    watch.one_verdict("refused", "wrong_person")
    # Another subject under the same name, as a provider that hands names on would have it.
    assert machine.person.login_again("ann").status == 255
    assert comes_in(machine)
    machine.provider.people({"ann": {"groups": [STAFF], "sub": "subject-of-ann"}})
    assert machine.person.login_again("ann").status == 0


def test_without_the_rule_it_shuts_out_nobody(machine):
    machine.provider.people({"ann": {"groups": [], "sub": "subject-of-ann"}})
    assert machine.person.login_again("ann").status == 255
    assert not comes_in(machine)
    product.configure(machine.sandbox, product.ID_TOKEN, machine.provider.ca)
    machine.sandbox.run("oauth2ctl publish")
    assert comes_in(machine)
    product.configure(machine.sandbox, CONFIG, machine.provider.ca)
    machine.sandbox.run("oauth2ctl publish")
    assert not comes_in(machine)
