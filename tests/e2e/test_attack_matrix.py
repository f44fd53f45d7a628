"""The attack matrix: a provider whose tokens, keys and answers are forged signs nobody in."""

import json
import ssl
import urllib.request
from dataclasses import dataclass

import pytest
from attacks import ADMITTED, ID_TOKEN, KNOWN, MISSING, SYSTEM_USER, VICTIM, header
from attacks_on_answers import ASKED_FOR, INTROSPECTION, NAMES

from rig import product, traces
from rig.browser import HttpsHandler
from rig.forge import Trials, by_ssh, forge, outcome_of, start_trial, trial
from rig.machine import Machine
from rig.table import render

# How a login begins. Those that wait for their approval have done so; it says nothing about a row.
ASKING = ("/.well-known/openid-configuration", "/device/auth")
# Exit statuses of `oauth2ctl login`; a provider that talks nonsense is an administrator's matter.
REFUSED = 7
NOT_OURS = 1
STATUS_OF = {"provider_answer": 1}
BY_SSH = (
    "alg none, no signature", "HS256 by the public key in pem", "the name changed after signing",
    "aud is another client", "says root",
)
FLOOD = 5
DETAIL_SHOWN = 60


@dataclass(frozen=True)
class Bench:
    machine: Machine
    trials: Trials

    def alone(self):
        """The machine, with no login under way."""
        self.trials.give_up()
        return self.machine


def bench(config):
    with Machine("bookworm", config=config) as ready:
        ready.sandbox.run(f"useradd --system --uid 999 --non-unique --no-create-home {SYSTEM_USER}")
        forge(ready.provider, {})
        assert trial(ready, KNOWN, KNOWN).reason == ADMITTED
        made = Bench(ready, Trials(ready, VICTIM))
        yield made
        # Waits for the last login to end, and fails if one does not.
        made.alone().traces()


@pytest.fixture(scope="module")
def by_id_token():
    yield from bench(product.ID_TOKEN)


@pytest.fixture(scope="module")
def by_introspection():
    yield from bench(product.INTROSPECTION)


@pytest.fixture(scope="module")
def table(request):
    """Every row and what became of it, shown at the end whether or not output is captured."""
    rows = [("attack", "rule", "verdict", "detail")]
    yield rows
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    with capture.global_and_fixture_disabled():
        reporter.write_line("\n" + render(rows))


def cells(row, rule, outcome):
    verdict = outcome.reason if outcome.reason == row.expect else f"{outcome.reason}, NOT {row.expect}"
    return row.name, rule, verdict, outcome.detail[:DETAIL_SHOWN]


def lie(machine, row):
    """Makes the provider say what a row says; returns who approves."""
    approver = row.approver or row.person
    says = row.says(row.person) if callable(row.says) else row.says
    people = {} if says is MISSING else {approver: {"preferred_username": says}}
    machine.provider.people(people)
    forge(machine.provider, row.forge, row.name)
    return approver


def check(bench, row, table, proof):
    """A row through `oauth2ctl login`: the verdict, what it asked the provider for, what it left behind."""
    machine = bench.machine
    watch, before = machine.watch(), traces.files(machine.sandbox)
    approver = lie(machine, row)
    if row.person == VICTIM:
        outcome = bench.trials.attempt(approver)
    else:
        outcome = trial(machine, row.person, approver, gate=row.person != KNOWN)
    table.append(cells(row, row.rule, outcome))
    assert outcome.reason == row.expect, outcome.screen
    assert row.detail in outcome.detail
    assert [path for path in watch.requests() if path not in ASKING] == ["/token", *proof]
    if row.expect == ADMITTED:
        assert outcome.status == 0
        assert machine.resolves(row.person)
    else:
        assert outcome.status == STATUS_OF.get(row.expect, REFUSED)
        # Store, published file, /etc, /home.
        assert traces.difference(before, traces.files(machine.sandbox)) == []
        assert_nobody_new(machine, row.person)


def assert_nobody_new(machine, person):
    assert person == KNOWN or machine.resolves(person) is None


def named(rows):
    return pytest.mark.parametrize("row", rows, ids=[row.name for row in rows])


@named(ID_TOKEN)
def test_a_forged_id_token_signs_nobody_in(by_id_token, table, row):
    check(by_id_token, row, table, ["/jwks"] * row.key_sets + ["/me"] * row.userinfo)


@named(NAMES)
def test_a_name_that_the_provider_makes_up_signs_nobody_in(by_id_token, table, row):
    check(by_id_token, row, table, ["/jwks"] + ["/me"] * row.userinfo)


@named(INTROSPECTION)
def test_a_forged_introspection_answer_signs_nobody_in(by_introspection, table, row):
    check(by_introspection, row, table, ["/token/introspection"])


@pytest.mark.parametrize("name", ASKED_FOR.values(), ids=ASKED_FOR.keys())
def test_a_name_that_nobody_may_ask_for_never_reaches_the_provider(by_id_token, name):
    machine = by_id_token.alone()
    watch, before = machine.watch(), machine.traces()
    done = machine.sandbox.run(["oauth2ctl", "login", "--record", "--", name], check=False)
    assert done.returncode in (NOT_OURS, REFUSED), done.stderr
    assert done.stderr.startswith("oauth2ctl: "), done.stderr
    watch.assert_no_network()
    before.assert_none()


@named([row for row in ID_TOKEN + NAMES if row.name in BY_SSH])
def test_the_same_through_sshd(by_id_token, table, row):
    machine = by_id_token.alone()
    watch, before = machine.watch(), machine.traces()
    outcome = by_ssh(machine, watch, row.person, lie(machine, row))
    table.append(cells(row, f"{row.rule} (ssh)", outcome))
    assert (outcome.status, outcome.reason) == (255, row.expect), outcome.screen
    assert row.detail in outcome.detail
    before.assert_none()
    assert_nobody_new(machine, row.person)


def test_a_flood_of_unknown_kids_costs_two_key_sets_each(by_id_token):
    machine = by_id_token.alone()
    watch, before = machine.watch(), machine.traces()
    forge(machine.provider, header(kid="nobody"), "flood")
    waiting = [start_trial(machine, VICTIM) for _ in range(FLOOD)]
    for terminal in waiting:
        machine.person.approve(machine.person.read_prompt(terminal), VICTIM)
    outcomes = [outcome_of(machine.person.finish(terminal)) for terminal in waiting]
    assert [outcome.reason for outcome in outcomes] == ["bad_token"] * FLOOD, outcomes
    assert watch.requests().count("/jwks") == 2 * FLOOD
    before.assert_none()
    assert_nobody_new(machine, VICTIM)


def test_a_login_that_goes_through_leaves_the_traces_that_are_looked_for(by_id_token):
    machine = by_id_token.alone()
    forge(machine.provider, {})
    before = traces.files(machine.sandbox)
    assert trial(machine, "traced", "traced").reason == ADMITTED
    changed = traces.difference(before, traces.files(machine.sandbox))
    assert {product.STORE.lstrip("/"), product.PUBLISHED.lstrip("/")} <= set(changed)


def test_the_address_that_lures_answers_with_the_attackers_key(by_id_token):
    machine = by_id_token.machine
    answer = machine.sandbox.in_network(_fetch, f"{machine.provider.issuer}/attacker/keys", machine.provider.ca)
    assert [key["kid"] for key in answer["keys"]] == ["attacker"]


def _fetch(url, ca_file):
    tls = HttpsHandler(ssl.create_default_context(cafile=ca_file), {"idp.test": "127.0.0.1"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({}), tls).open(url) as response:
        return json.load(response)


def test_every_rule_is_in_the_list_of_rules():
    text = (product.REPOSITORY / "docs/validation.md").read_text()
    rules = {row.rule for row in [*ID_TOKEN, *INTROSPECTION, *NAMES]} - {"control"}
    assert {rule for rule in rules if f"| {rule} |" not in text} == set()
