"""Fixtures, and the sandbox's log in every failure report."""

import pytest

from rig import namespaces
from rig.entra import EntraMachine
from rig.machine import Machine
from rig.sandbox import RELEASES


@pytest.fixture(scope="module", params=RELEASES)
def release(request):
    """Debian 12 with OpenSSH 9.2, Debian 13 with OpenSSH 10."""
    return request.param


@pytest.fixture(scope="module")
def machine(release):
    """A machine with the product set up, shared by the tests of a module."""
    with Machine(release) as ready:
        yield ready


@pytest.fixture(scope="module")
def shared_machine():
    """A machine of Microsoft Entra ID's people; each test's own `machine` takes back what the last one changed."""
    with EntraMachine("bookworm") as ready:
        yield ready


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup():
    Machine.post_mortem.clear()
    for machine in Machine.alive:
        machine.mark = len(machine.sandbox.log())
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    report = (yield).get_result()
    if report.failed:
        for name, log in Machine.post_mortem:
            report.sections.append((f"log of the {name} sandbox", log))
        for machine in Machine.alive:
            log = machine.sandbox.log()[getattr(machine, "mark", 0):][-12000:]
            report.sections.append((f"log of the {machine.sandbox.release} sandbox", log))
            if machine.provider:
                notes = machine.provider.log()[-2000:]
                report.sections.append(("end of the provider's log", notes))


def pytest_sessionstart():
    # Before any thread is started: a mount namespace belongs to the thread that made it.
    namespaces.workspace()


def pytest_sessionfinish(session):
    # Where workers share the tests, only who started them reports.
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.exitstatus == 0 and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    while Machine.alive:
        Machine.alive[-1].close()
    namespaces.leave_workspace()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    """A test that could not run has proved nothing."""
    for report in terminalreporter.stats.get("skipped", []):
        terminalreporter.write_line(f"NOT RUN: {report.nodeid}", red=True)
