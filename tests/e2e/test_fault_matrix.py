"""Every endpoint of the provider times everything that can go wrong with it: what the host, the person and
the log are told, when, and what is left behind."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import faults
import pytest
from faults import ADMITTED, DEADLINE, ENDPOINTS, FAULTS, HTTP_TIMEOUT, NUMBERS, PASSING, RETRY_AFTER

from rig import product, table
from rig.entra import ANN, EntraMachine
from rig.faults import LOG_FILE, Bench, NameServer, Outcome
from rig.machine import Machine

SIDE_BY_SIDE = 12
SLACK = 4  # seconds that a busy machine may be late
POLL = 1  # seconds before the first poll
PIECE = 16  # characters of a secret that are too many in a log
TRIALS = faults.trials()
FAILING = [trial for trial in TRIALS if trial.end is not ADMITTED]
PASSED = [trial for trial in TRIALS if trial.end is ADMITTED]
THROUGH_SSH = [
    "discovery-no-such-name", "device-other-host", "token-hangs", "introspection-500", "keys-truncated",
    "graph-502-page",
]


@dataclass(frozen=True)
class Site:
    """A machine with a provider, somebody who is known there, and the trials that are made with them."""

    machine: Machine
    name: str
    bench: Bench
    trials: list


@dataclass(frozen=True)
class Matrix:
    outcomes: dict[str, Outcome]
    left_behind: list[str]  # by those that failed
    arrivals: dict[int, list[int]]


@pytest.fixture(scope="module")
def sites():
    with Machine("bookworm", config=product.INTROSPECTION) as plain, \
            EntraMachine("bookworm", config=faults.ENTRA) as graph:
        graph.provider.people(faults.ENTRA_PEOPLE)
        graph.provider.settings(**faults.ENTRA_SETTINGS)
        made = [
            _site(plain, "ann", [trial for trial in TRIALS if trial.column != "graph"]),
            _site(graph, ANN, [trial for trial in TRIALS if trial.column == "graph"]),
        ]
        name_servers = [NameServer(site.machine.sandbox) for site in made]
        yield made
        for name_server in name_servers:
            name_server.close()


def _site(machine, name, trials):
    assert machine.person.first_login(name).status == 0
    bench = Bench(machine, name)
    for trial in trials:
        bench.prepare(trial.cell, trial.door)
    return Site(machine, name, bench, trials)


@pytest.fixture(scope="module")
def matrix(sites, request):
    """All trials; first those that fail, between two looks at the machines' files."""
    traces = [site.machine.traces() for site in sites]
    outcomes = _run(sites, FAILING)
    left_behind = [_left_behind(trace) for trace in traces]
    outcomes |= _run(sites, PASSED)
    arrivals = {port: times for site in sites for port, times in site.bench.doors("arrivals").items()}
    yield Matrix(outcomes, left_behind, arrivals)
    _show(request, outcomes)


def _run(sites, chosen):
    tasks = [(site.bench, trial) for site in sites for trial in site.trials if trial in chosen]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        outcomes = pool.map(lambda task: task[0].run(task[1].cell), tasks)
        return {trial.name: outcome for (_, trial), outcome in zip(tasks, outcomes, strict=True)}


def _left_behind(traces):
    try:
        traces.assert_none()
    except AssertionError as found:
        return str(found)
    return ""


def _each(trials):
    return pytest.mark.parametrize("trial", trials, ids=lambda trial: trial.name)


@_each(TRIALS)
def test_the_host_the_log_and_the_person_are_told(matrix, trial):
    outcome = matrix.outcomes[trial.name]
    assert outcome.code == trial.end.code, outcome
    assert [line.verdict for line in outcome.verdicts] == [(trial.end.result, trial.end.reason)], outcome
    assert trial.end.sentence in outcome.screen


@_each([trial for trial in FAILING if trial.column in ENDPOINTS])
def test_the_log_names_the_endpoint_that_failed(matrix, trial):
    verdict = matrix.outcomes[trial.name].verdicts[0]
    assert f" detail={ENDPOINTS[trial.column].name}: " in verdict.text


@_each(FAILING)
def test_a_failure_comes_in_time(matrix, trial):
    outcome = matrix.outcomes[trial.name]
    if trial.waits:
        assert outcome.seconds <= DEADLINE + HTTP_TIMEOUT + SLACK
    elif outcome.after_enter is not None:
        assert outcome.after_enter <= POLL + SLACK
    else:
        assert outcome.seconds <= HTTP_TIMEOUT + SLACK


@_each([trial for trial in TRIALS if trial.door])
def test_what_can_pass_is_tried_again_and_nothing_else(matrix, trial):
    times = matrix.arrivals[trial.cell.port]
    if trial.waits or trial.row in PASSING:
        assert len(times) > 1, times
    else:
        assert len(times) == 1, times
    if "429" in trial.row:
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        assert all(gap >= RETRY_AFTER * 1000 for gap in gaps), times


def test_what_fails_leaves_nothing_behind(matrix):
    assert matrix.left_behind == ["", ""]


def test_no_redirect_is_followed(sites, matrix):
    assert len(matrix.outcomes) == len(TRIALS)
    assert [site.machine.provider.control.requests("/redirected") for site in sites] == [0, 0]


@pytest.mark.parametrize("name", THROUGH_SSH)
def test_the_same_through_ssh(sites, matrix, name):
    site, trial = next((site, trial) for site in sites for trial in site.trials if trial.name == name)
    machine, person = site.machine, site.machine.person
    machine.sandbox.write(product.CONFIG, json.dumps(trial.cell.config), 0o600)
    watch, traces = machine.watch(), machine.traces()
    if trial.cell.discovery:
        site.bench.doors("change_next", ENDPOINTS["discovery"].pattern, **trial.cell.discovery)
    with person.ssh(site.name, "true") as terminal:
        if ENDPOINTS[trial.column].late:
            person.approve(person.read_prompt(terminal, gate=False), site.name)
        ended = person.finish_or_password(terminal)
    assert ended.status == 255
    assert trial.end.sentence in ended.screen
    assert ended.seconds <= DEADLINE + HTTP_TIMEOUT + SLACK
    traces.assert_none()
    watch.one_verdict(trial.end.result, trial.end.reason)


def test_no_secret_is_in_the_log_or_on_the_screen(sites, matrix):
    sandboxes = [site.machine.sandbox for site in sites]
    logs = [text for sandbox in sandboxes for text in (sandbox.log(), sandbox.read(LOG_FILE))]
    assert all("next try in" in log for log in logs), "the lines of log_level=trace are missing"
    seen = [*logs, *(outcome.screen for outcome in matrix.outcomes.values())]
    secrets = [_client_secrets(faults.DISCOVERED), _client_secrets(faults.ENTRA)]
    for site in sites:
        given = site.bench.doors("secrets")
        assert {secret["member"] for secret in given} >= {"device_code", "access_token", "id_token"}
        secrets.append({part[:PIECE] for secret in given for part in secret["value"].split(".")})
    assert [piece for piece in set().union(*secrets) if any(piece in text for text in seen)] == []


def _client_secrets(config):
    """The secret as it stands in a form and in a header."""
    identity, secret = config["client_id"], config["client_secret"]
    return {secret, base64.b64encode(f"{identity}:{secret}".encode()).decode()}


def _show(request, outcomes):
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n\nPAM code and reason; ! is not as expected\n")
        print(table.render(_grid("fault \\ endpoint", ENDPOINTS, [*FAULTS, *PASSING], outcomes)) + "\n")
        values = list(dict.fromkeys(trial.row for trial in TRIALS if trial.column in NUMBERS))
        print(table.render(_grid("value \\ member", NUMBERS, values, outcomes)))


def _grid(corner, columns, rows, outcomes):
    trials = {(trial.row, trial.column): trial for trial in TRIALS}
    cells = [[_word(trials.get((row, column)), outcomes) for column in columns] for row in rows]
    return [[corner, *columns], *([row, *line] for row, line in zip(rows, cells, strict=True))]


def _word(trial, outcomes):
    if trial is None:
        return ""
    outcome = outcomes[trial.name]
    told = [(outcome.code, *line.verdict) for line in outcome.verdicts]
    wrong = told != [(trial.end.code, trial.end.result, trial.end.reason)]
    reasons = ",".join(reason for _, _, reason in told).replace("provider_", "")
    return f"{outcome.code} {reasons}{' !' if wrong else ''}"
