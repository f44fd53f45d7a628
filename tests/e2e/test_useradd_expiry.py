"""The expiry of accounts that useradd made: ours, an administrator's, and both."""

import datetime
import itertools
import json

import pytest
from ids import derived_uid

from rig import product
from rig.patience import wait_until
from rig.useradd import CONFIG, UseraddMachine

EPOCH = datetime.date(1970, 1, 1)
TODAY = datetime.datetime.now(datetime.timezone.utc).date()
OWN = TODAY + datetime.timedelta(days=1000)  # an administrator's own day
SHUT = "37"  # the day of whoever is shut by us: nobody writes it by hand
NUMBERS = itertools.count(1)


def days(date):
    return str((date - EPOCH).days)


@pytest.fixture(scope="module")
def machine(release):
    with UseraddMachine(release) as ready:
        yield ready


@pytest.fixture
def person(machine):
    """Somebody new with a key, for whom an administrator has set a day of expiry."""
    name = f"person{next(NUMBERS)}"
    machine.give_key(name)
    assert machine.person.first_login(name).status == 0
    machine.sandbox.run(f"chage -E {OWN} {name}")
    assert machine.key_opens(name)
    return name


def test_a_lock_is_also_the_accounts_own_expiry_and_gives_an_administrators_day_back(machine, person):
    machine.ctl(f"user lock {person}")
    assert machine.expiry(person) == SHUT
    assert not machine.key_opens(person)
    machine.ctl(f"user unlock {person}")
    assert machine.expiry(person) == days(OWN)
    assert machine.key_opens(person)


@pytest.mark.parametrize("by_hand", ["usermod -e 1", "chage -E 0", "chage -E 1970-01-02"])
def test_an_administrators_own_word_that_the_account_is_shut_outlives_ours(machine, person, by_hand):
    machine.ctl(f"user lock {person}")
    machine.sandbox.run(f"{by_hand} {person}")
    own = machine.expiry(person)
    machine.ctl("publish")
    assert machine.expiry(person) == own
    machine.ctl(f"user unlock {person}")
    assert machine.expiry(person) == own
    assert not machine.key_opens(person)


def test_whoever_reads_the_day_of_ours_finds_that_it_is_over(machine, person):
    """pam_unix alone, as where our own line is missing; chage(1) prints it as a day that has been."""
    machine.ctl(f"user lock {person}")
    sandbox = machine.sandbox
    assert "Account expires\t\t\t\t\t\t: Feb 07, 1970" in sandbox.output(f"LC_ALL=C chage -l {person}")
    sandbox.write("/etc/pam.d/shadow-alone", "account required pam_unix.so\n")
    assert not sandbox.succeeds(["pamtester", "shadow-alone", person, "acct_mgmt"])
    stack = sandbox.read("/etc/pam.d/common-account")
    product.remove_account_line(sandbox)
    try:
        assert not machine.key_opens(person)
    finally:
        sandbox.write("/etc/pam.d/common-account", stack)
    machine.ctl(f"user unlock {person}")
    assert sandbox.succeeds(["pamtester", "shadow-alone", person, "acct_mgmt"])


def test_a_day_to_come_reaches_the_account_and_the_earlier_one_wins(machine, person):
    sooner, later = OWN - datetime.timedelta(days=1), OWN + datetime.timedelta(days=1)
    for date, stands in [(sooner, sooner), (later, OWN), (TODAY, TODAY), ("never", OWN)]:
        machine.ctl(f"user expire {person} {date}")
        assert machine.expiry(person) == days(stands), date
        assert machine.key_opens(person) == (stands != TODAY), date


def test_somebody_who_was_removed_comes_back_to_their_account_and_keys_wait_for_the_sign_in(machine, person):
    line = machine.passwd_line(person)
    machine.ctl(f"user remove {person}")
    assert machine.expiry(person) == SHUT
    assert machine.person.try_everything(person) == 255
    # Whatever was done about it since: nobody comes in before they have signed in.
    machine.sandbox.run(f"chage -E -1 {person}")
    assert "again" in machine.ctl(f"user add {person}")
    assert not machine.key_opens(person)
    ended = machine.person.first_login(person, command="id -u")
    assert (ended.status, ended.output.strip()) == (0, str(derived_uid(person))), ended.screen
    assert machine.passwd_line(person) == line
    assert (machine.expiry(person), machine.key_opens(person)) == ("", True)


def test_somebody_who_was_removed_is_bound_again_and_nobody_else_to_their_account(machine, person):
    issuer, subject = machine.store(
        f"select issuer, subject from identity where login_name = '{person}'").split("|")
    machine.ctl(f"user remove {person}")
    other = machine.sandbox.run(f"oauth2ctl user bind {person} {issuer} somebody-else", check=False)
    assert other.returncode == 8, other.stderr
    machine.ctl(f"user bind {person} {issuer} {subject}")
    assert not machine.key_opens(person)
    assert machine.person.first_login(person).status == 0
    assert (machine.expiry(person), machine.key_opens(person)) == (days(OWN), True)


def test_an_account_that_has_another_uid_than_who_was_removed_is_somebody_elses(machine, person):
    machine.ctl(f"user remove {person}")
    machine.sandbox.run(f"userdel {person} && useradd -M {person}")
    issuer = machine.provider.issuer
    for command in (f"add {person}", f"bind {person} {issuer} s"):
        ended = machine.sandbox.run(f"oauth2ctl user {command}", check=False)
        assert ended.returncode == 8 and "somebody else's" in ended.stderr, ended
    assert machine.expiry(person) == ""


def test_whom_allowed_users_names_no_more_is_shut_where_nobody_asks_us_too(machine, person):
    sandbox = machine.sandbox
    stack = sandbox.read("/etc/pam.d/common-account")
    product.remove_account_line(sandbox)
    try:
        assert machine.key_opens(person)
        _publish(machine, allowed_users=["somebody-else"])
        assert machine.expiry(person) == SHUT
        assert not machine.key_opens(person)
        _publish(machine, allowed_users=["somebody-else", person])
        assert machine.expiry(person) == days(OWN)
        assert machine.key_opens(person)
    finally:
        sandbox.write("/etc/pam.d/common-account", stack)
        _publish(machine)


def _publish(machine, **changes):
    machine.sandbox.write(product.CONFIG, json.dumps({**CONFIG, **changes}), 0o600)
    machine.ctl("publish")


def test_cron_runs_the_jobs_of_a_confirmed_person_and_not_of_a_locked_one(machine, person):
    assert _jobs(machine, [person, "localu", "root"]) == {person, "localu", "root"}
    machine.ctl(f"user lock {person}")
    assert _jobs(machine, ["localu", "root"], locked=[person]) == {"localu", "root"}
    machine.ctl(f"user unlock {person}")


def _jobs(machine, runs, locked=()):
    """Starts cron(8), which deals with @reboot jobs at once; returns whose have run."""
    sandbox, people = machine.sandbox, [*runs, *locked]
    sandbox.run("rm -rf /srv/jobs /run/crond.reboot /run/crond.pid && mkdir -m 1777 /srv/jobs")
    for name in people:
        sandbox.run(f"echo '@reboot id -un > /srv/jobs/{name}' | crontab -u {name} -")
    # The shell makes the file before id(1) writes to it.
    has_run = lambda name: sandbox.succeeds(f"test -s /srv/jobs/{name}")  # noqa: E731
    watch = machine.watch()
    cron = sandbox.popen(["cron", "-f"])
    try:
        for name in runs:
            wait_until(lambda: has_run(name), f"the job of {name}")
        for name in locked:
            watch.wait_for(rf"reason=locked .*user={name} service=cron")
        return {name for name in people if has_run(name) and sandbox.read(f"/srv/jobs/{name}") == name + "\n"}
    finally:
        cron.kill()
        cron.wait()
        sandbox.run("pkill -x cron", check=False)
        for name in people:
            sandbox.run(["crontab", "-u", name, "-r"], check=False)


# As the package `at` of Debian has it.
ATD = """auth required pam_env.so
@include common-auth
@include common-account
session required pam_loginuid.so
@include common-session-noninteractive
session required pam_limits.so
"""


def test_at_asks_the_same_questions_as_cron(machine, person):
    machine.sandbox.write("/etc/pam.d/atd", ATD)
    may = lambda name: machine.sandbox.succeeds(["pamtester", "atd", name, "acct_mgmt"])  # noqa: E731
    assert [may(name) for name in (person, "localu", "root")] == [True, True, True]
    machine.ctl(f"user lock {person}")
    assert [may(name) for name in (person, "localu", "root")] == [False, True, True]
    machine.ctl(f"user unlock {person}")
    assert may(person)


def test_whom_the_providers_groups_shut_out_is_shut_until_they_are_admitted_again(release):
    with UseraddMachine(release, allowed_groups=["3f1c-staff"]) as machine:
        machine.give_key("ann")
        for groups, status, day in [(["3f1c-staff"], 0, ""), ([], 255, SHUT), (["3f1c-staff"], 0, "")]:
            machine.provider.people({"ann": {"groups": groups, "sub": "subject-of-ann"}})
            login = machine.person.login_again if machine.resolves("ann") else machine.person.first_login
            assert login("ann").status == status
            assert machine.expiry("ann") == day
            assert machine.key_opens("ann") == (status == 0)
