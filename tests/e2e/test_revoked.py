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


def test_whom_an_administrator_has_bound_to_an_account_of_the_machine_loses_its_keys_at_the_first_refusal():
    with Machine("bookworm", config={**CONFIG, "local_users": "allow"}, enabled=False) as machine:
        sandbox, key = machine.sandbox, machine.sandbox.read(product.ROOT_KEY + ".pub")
        sandbox.run("pam-auth-update --package --disable oauth2 --enable oauth2-local")
        product.enable(sandbox)
        sandbox.run("useradd -m -s /bin/bash pat && install -d -o pat -m 700 /home/pat/.ssh")
        sandbox.write("/home/pat/.ssh/authorized_keys", key)
        sandbox.run(f"oauth2ctl user bind pat {machine.provider.issuer} subject-of-pat")
        opens = lambda: machine.person.key_login("pat", product.ROOT_KEY).status == 0  # noqa: E731
        assert opens(), "until the first sign-in nothing is known"
        machine.provider.people({"pat": {"groups": ["77-lab"], "sub": "subject-of-pat"}})
        watch = machine.watch()
        assert machine.person.first_login("pat").status == 255
        watch.one_verdict("refused", "not_allowed")
        assert not opens()
        assert not sandbox.succeeds("pamtester cron pat acct_mgmt") and not sandbox.succeeds("su pat -c true")
        assert "reserved" in sandbox.output("oauth2ctl user show pat")
        machine.provider.people({"pat": {"groups": [STAFF], "sub": "subject-of-pat"}})
        assert machine.person.first_login("pat").status == 0
        assert opens()


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
