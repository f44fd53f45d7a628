"""oauth2ctl user: what it answers to programs, and what bites without a daemon."""

import datetime

import pytest

from rig import ctl
from rig.ctl import ask, confirm, say
from rig.machine import Machine

TODAY = datetime.datetime.now(datetime.timezone.utc).date()
TOMORROW = TODAY + datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def machine():
    with ctl.unconfigured_provider(Machine) as ready:
        yield ready


def test_list_and_show_are_typed(machine):
    ask(machine, "user add ada --expires 2099-01-31 --group idp-staff")
    confirm(machine, "ada")
    user = ask(machine, "user show ada")["user"]
    assert user == {
        "name": "ada", "uid": machine.uid_of("ada"), "gid": machine.uid_of("ada"), "gecos": "", "home": "/home/ada",
        "shell": "/bin/bash", "state": "confirmed", "effective_state": "confirmed", "last_sign_in": str(TODAY),
        "expires": "2099-01-31", "issuer": "https://idp.test:8443", "subject": "ada-sub", "groups": ["idp-staff"],
        "local_groups": [], "revoked": False, "existing_account": False,
    }
    assert ask(machine, "user add ben")["user"]["uid"] == machine.uid_of("ben")
    users = ask(machine, "user list")["users"]
    assert [user["name"] for user in users] == ["ada", "ben"] and users[0] == user
    assert users[1]["last_sign_in"] is None and users[1]["subject"] is None and users[1]["groups"] == []
    assert ask(machine, "user list")["changed"] is False


def test_list_knows_states_and_groups(machine):
    ask(machine, "user add cora")
    ask(machine, "user lock cora")
    names = lambda filters: [user["name"] for user in ask(machine, f"user list {filters}")["users"]]  # noqa: E731
    assert names("--state locked") == ["cora"]
    assert names("--state confirmed") == ["ada"]
    assert names("--group idp-staff") == ["ada"]
    assert names("--group idp-staff --state locked") == []
    assert "cora" not in say(machine, "user list --state reserved")
    assert say(machine, "user list --state locked").splitlines()[1].split()[:1] == ["cora"]


def test_show_of_nobody_is_exit_code_4_in_json_too(machine):
    assert ask(machine, "user show nobody-of-that-name", 4)["error"]["kind"] == "not_found"


def test_an_expiry_bites_at_the_account_phase_of_its_day_with_nothing_running(machine):
    ask(machine, f"user add otto --expires {TOMORROW}")
    confirm(machine, "otto")
    shifted = ctl.shifted_clock(machine)
    before = ctl.files(machine)
    for service in ("sshd", "cron", "su"):
        assert machine.sandbox.succeeds(shifted(0, f"pamtester {service} otto acct_mgmt")), service
        assert not machine.sandbox.succeeds(shifted(86_400, f"pamtester {service} otto acct_mgmt")), service
    assert ctl.touched(before, ctl.files(machine)) == []
    assert "expired" in machine.sandbox.output(shifted(86_400, "oauth2ctl user show otto"))


def test_a_revoked_group_is_gone_at_the_next_lookup(machine):
    ask(machine, "group map contractors contractors")
    ask(machine, "user add pia --group contractors")
    assert "contractors" in machine.sandbox.output("id -Gn pia")
    ask(machine, "group unmap contractors")
    assert "contractors" not in machine.sandbox.output("id -Gn pia")


def test_every_no_of_a_command_is_an_object_too(machine):
    answer = ask(machine, "user add sudo", 7)
    assert answer["error"]["kind"] == "refused" and answer["error"]["code"] == 7 and not answer["changed"]
