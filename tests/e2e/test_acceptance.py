"""What docs/acceptance.md asks of an installed machine and no other test shows."""

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rig import local_people, others, product
from rig.machine import Machine
from rig.patience import wait_until
from rig.sandbox import Sandbox
from rig.ssh_client import PASSWORD

TESTS = Path(__file__).resolve().parent
TABLE = product.REPOSITORY / "docs/acceptance.md"
SERVICES = ("sshd", "login", "cron", "atd", "su", "sudo", "systemd-user")
SCANNED = [f"scanned{number:03}" for number in range(100)]


def test_every_test_of_the_table_exists():
    rows = re.findall(r"(?m)^\| (\d+) \|.*$", TABLE.read_text())
    assert rows == [str(number) for number in range(1, 31)]
    named = re.findall(r"`(test_\w+)::(test_\w+)`", TABLE.read_text())
    assert len(named) > 30
    for file, test in named:
        assert f"def {test}(" in (TESTS / f"{file}.py").read_text(), f"{file}::{test}"


@pytest.fixture(scope="module")
def machine():
    """As the packages leave it, with atd; nobody has configured anything."""
    with Machine("bookworm", config=None, enabled=False, installed="packages") as ready:
        others.install(ready.sandbox, "at")
        ready.sandbox.write("/etc/pam.d/systemd-user", local_people.SYSTEMD_USER)
        yield ready


@pytest.fixture
def atd(machine):
    """atd, which looks at a job as soon as it is handed in."""
    daemon = machine.sandbox.popen(["atd", "-f"])
    wait_until(lambda: machine.sandbox.succeeds("test -s /run/atd.pid"), "atd")
    yield
    daemon.kill()
    daemon.wait()
    machine.sandbox.run("pkill -x atd", check=False)


def hand_in(machine, name):
    return machine.sandbox.run(f"su {name} -c 'echo \"id -un > /tmp/at-{name}\" | at now'", check=False)


def has_run(machine, name):
    return machine.sandbox.succeeds(f"grep -qx {name} /tmp/at-{name}")


def test_at_runs_the_jobs_of_local_people_before_anything_is_configured(machine, atd):
    for name in ("root", "localu"):
        assert hand_in(machine, name).returncode == 0
    for name in ("root", "localu"):
        wait_until(lambda: has_run(machine, name), f"the job of {name}")


@pytest.fixture(scope="module")
def configured(machine):
    product.configure(machine.sandbox, product.ID_TOKEN, machine.provider.ca)
    product.enable(machine.sandbox)
    assert machine.person.first_login("ann").status == 0
    return machine


def answers(machine, name):
    """{service: what its account phase says of somebody}."""
    return {service: machine.sandbox.succeeds(["pamtester", service, name, "acct_mgmt"]) for service in SERVICES}


def test_every_service_lets_a_person_in_and_a_locked_one_not(configured):
    everywhere, nowhere = dict.fromkeys(SERVICES, True), dict.fromkeys(SERVICES, False)
    assert [answers(configured, name) for name in ("ann", "localu", "root")] == [everywhere] * 3
    configured.sandbox.run("oauth2ctl user lock ann")
    try:
        assert [answers(configured, name) for name in ("ann", "localu", "root")] == [nowhere, everywhere, everywhere]
    finally:
        configured.sandbox.run("oauth2ctl user unlock ann")


def test_a_job_that_was_handed_in_before_a_lock_does_not_run(configured):
    sandbox = configured.sandbox
    for name in ("ann", "localu"):
        assert hand_in(configured, name).returncode == 0
    sandbox.run("oauth2ctl user lock ann")
    watch = configured.watch()
    daemon = sandbox.popen(["atd", "-f"])
    try:
        wait_until(lambda: has_run(configured, "localu"), "the job of localu")
        watch.wait_for("reason=locked .*user=ann service=atd")
        assert not has_run(configured, "ann")
    finally:
        daemon.kill()
        daemon.wait()
        sandbox.run("pkill -x atd", check=False)
        sandbox.run("oauth2ctl user unlock ann")


def test_a_scanner_with_a_hundred_names_costs_the_provider_nothing(configured):
    watch = configured.watch()
    knock = lambda name: configured.person.knock(name, "guessed-Secret-1", how=PASSWORD).status  # noqa: E731
    with ThreadPoolExecutor(12) as crowd:
        assert set(crowd.map(knock, SCANNED)) == {255}
    watch.assert_no_network()
    assert {line.fields["user"] for line in watch.verdicts()} == set(SCANNED)
    assert {line.verdict for line in watch.verdicts()} == {("unavailable", "no_prompt")}
    assert configured.store("select count(*) from identity where login_name like 'scanned%'") == "0"


# A container

ASK = """import pwd, sys
for line in sys.stdin:
    try: print(pwd.getpwnam(line.strip()).pw_shell, flush=True)
    except KeyError: print("-", flush=True)
"""


class Container(Sandbox):
    """A system that has the name service's package, and one directory of another machine, read-only."""

    def __init__(self, release, layers, directory):
        self._directory = directory
        super().__init__(release, layers)

    def _start(self, own_network):
        place = self.path(product.STATE)
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", "-o", "ro", self._directory, place], check=True)
        super()._start(own_network)


@pytest.fixture(scope="module")
def container(configured):
    bare = Sandbox("trixie")
    [nss] = [deb for deb in product.packages() if "libnss" in deb.name]
    product.install_packages(bare, [nss])
    with Container("trixie", [bare.freeze()], configured.sandbox.path(product.STATE)) as ready:
        assert not ready.succeeds("command -v oauth2ctl || ls /usr/lib/*/security/pam_oauth2*")
        yield ready


def test_a_process_in_a_container_sees_a_publication_within_a_second(configured, container):
    assert not container.succeeds(f"touch {product.PUBLISHED}"), "the directory is there for reading alone"
    asking = container.popen(["python3", "-c", ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def shell(name):
        asking.stdin.write(name + "\n")
        asking.stdin.flush()
        return asking.stdout.readline().strip()

    def within_a_second(name, wanted):
        published = time.monotonic()
        wait_until(lambda: shell(name) == wanted, f"{wanted} of {name}")
        assert time.monotonic() - published < 1.5

    assert (shell("ann"), shell("dora")) == ("/bin/bash", "-")
    configured.sandbox.run("oauth2ctl user add dora")
    within_a_second("dora", "/bin/bash")
    configured.sandbox.run("oauth2ctl user lock ann")
    within_a_second("ann", "/nonexistent/oauth2-locked")
    configured.sandbox.run("oauth2ctl user unlock ann")
    within_a_second("ann", "/bin/bash")
    asking.stdin.close()
    assert asking.wait() == 0
