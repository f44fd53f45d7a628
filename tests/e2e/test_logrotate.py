"""The module's own log file, by the real logrotate."""

import re

import pytest

from rig import others, product
from rig.machine import Machine

LOG = "/var/log/pam_oauth2_device/login.log"
RULES = "/etc/logrotate.d/pam-oauth2"


@pytest.fixture(scope="module")
def machine():
    with Machine("bookworm", config=None, enabled=False, installed="packages") as ready:
        sandbox = ready.sandbox
        others.install(sandbox, "libpopt0", "logrotate")
        product.configure(sandbox, product.ID_TOKEN, ready.provider.ca)
        product.enable(sandbox)
        sandbox.run(f"sed -i 's,pam_oauth2_device.so,& logs={LOG},' /etc/pam.d/common-auth")
        yield ready


def turn(machine):
    machine.sandbox.run("logrotate --force /etc/logrotate.conf")


def test_a_login_that_waits_while_the_log_turns_loses_no_line(machine):
    sandbox, person = machine.sandbox, machine.person
    with person.ssh("ann", "true") as terminal:
        prompt = person.read_prompt(terminal)
        # So that something is there to be turned.
        person.first_login("bea", approve_as="mallory")
        turn(machine)
        person.approve(prompt, "ann")
        assert person.finish(terminal).status == 0
    assert person.login_again("ann").status == 0
    admitted = "result=admitted reason=(first_)?sign_in .*user=ann"
    assert re.search(admitted, sandbox.read(LOG + ".1")), "the line of the login that had begun before"
    assert re.search(admitted, sandbox.read(LOG)), "the line of the next one"
    assert "is not used" not in sandbox.log()


def test_files_of_every_age_are_roots_alone(machine):
    for _ in range(2):
        machine.person.first_login("carl", approve_as="mallory")
        turn(machine)
    names = machine.sandbox.output(f"stat -c '%n %a %U %G' {LOG}*").splitlines()
    assert {name.split(" ", 1)[1] for name in names} == {"600 root root"}
    assert {f"{LOG}", f"{LOG}.1", f"{LOG}.2.gz"} <= {name.split(" ", 1)[0] for name in names}
    assert machine.sandbox.output(f"zgrep -c user=ann {LOG}.*.gz | grep -vc ':0$'") != "0"


def test_without_the_argument_there_is_nothing_to_turn_and_nothing_is_said():
    with Machine("bookworm", config=None, enabled=False, installed="packages", provider=None) as machine:
        others.install(machine.sandbox, "libpopt0", "logrotate")
        done = machine.sandbox.run(f"logrotate --force {RULES}")
        assert done.stdout + done.stderr == ""
        assert machine.sandbox.output(f"ls -A {LOG.rsplit('/', 1)[0]}") == ""
