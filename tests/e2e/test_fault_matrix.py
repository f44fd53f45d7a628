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
]


@dataclass(frozen=True)
class Matrix:
    outcomes: dict[str, Outcome]
    left_behind: str  # by those that failed
    arrivals: dict[int, list[int]]


@pytest.fixture(scope="module")
def machine():
    with Machine("bookworm", config=product.INTROSPECTION) as ready:
        assert ready.person.first_login("ann").status == 0
        name_server = NameServer(ready.sandbox)
        yield ready
        name_server.close()


@pytest.fixture(scope="module")
def bench(machine):
    return Bench(machine, "ann")


@pytest.fixture(scope="module")
def matrix(machine, bench, request):
    """All cells; first those that fail, between two looks at the machine's files."""
    for trial in TRIALS:
        bench.prepare(trial.cell, trial.door)
    traces = machine.traces()
    outcomes = _run(bench, FAILING)
    left_behind = _left_behind(traces)
    outcomes |= _run(bench, PASSED)
    yield Matrix(outcomes, left_behind, bench.doors("arrivals"))
    _show(request, outcomes)


def _run(bench, trials):
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        outcomes = pool.map(lambda trial: bench.run(trial.cell), trials)
        return {trial.name: outcome for trial, outcome in zip(trials, outcomes, strict=True)}


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
    assert matrix.left_behind == ""


def test_no_redirect_is_followed(machine, matrix):
    assert len(matrix.outcomes) == len(TRIALS)
    assert machine.provider.control.requests("/redirected") == 0


@pytest.mark.parametrize("name", THROUGH_SSH)
def test_the_same_through_ssh(machine, bench, matrix, name):
    trial = next(trial for trial in TRIALS if trial.name == name)
    machine.sandbox.write(product.CONFIG, json.dumps(trial.cell.config), 0o600)
    watch, traces = machine.watch(), machine.traces()
    if trial.cell.discovery:
        bench.doors("change_next", ENDPOINTS["discovery"].pattern, **trial.cell.discovery)
    with machine.person.ssh("ann", "true") as terminal:
        if ENDPOINTS[trial.column].late:
            machine.person.approve(machine.person.read_prompt(terminal, gate=False), "ann")
        ended = machine.person.finish_or_password(terminal)
    assert ended.status == 255
    assert trial.end.sentence in ended.screen
    assert ended.seconds <= DEADLINE + HTTP_TIMEOUT + SLACK
    traces.assert_none()
    watch.one_verdict(trial.end.result, trial.end.reason)


def test_no_secret_is_in_the_log_or_on_the_screen(machine, bench, matrix):
    logs = [machine.sandbox.log(), machine.sandbox.read(LOG_FILE)]
    assert all("next try in" in log for log in logs), "the lines of log_level=trace are missing"
    seen = [*logs, *(outcome.screen for outcome in matrix.outcomes.values())]
    secrets = bench.doors("secrets")
    assert {secret["member"] for secret in secrets} >= {"device_code", "access_token", "id_token"}
    pieces = {part[:PIECE] for secret in secrets for part in secret["value"].split(".")}
    client = (product.INTROSPECTION["client_id"], product.INTROSPECTION["client_secret"])
    pieces |= {client[1], base64.b64encode(":".join(client).encode()).decode()}
    assert [piece for piece in pieces for text in seen if piece in text] == []


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
