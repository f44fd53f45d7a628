"""sshd's limits on people who are still signing in: what setup proposes, and whom sshd drops with and without it."""

import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from rig import product
from rig.doctor import ask
from rig.setup import ANSWERS, SetupMachine

# What the rig sets for its own tests is sshd's own again.
DISTRIBUTION = {"LoginGraceTime": None, "MaxStartups": None, "PerSourcePenalties": None}
REPLACED = "/var/lib/pam_oauth2_device/private/undo/replaced"
DROP_IN = "/etc/ssh/sshd_config.d/20-oauth2.conf"
DOZEN = [f"person{number:02}" for number in range(12)]


@pytest.fixture
def machine(release):
    with SetupMachine(release, sshd=DISTRIBUTION) as ready:
        yield ready


def effective(machine, keyword):
    lines = machine.sandbox.output("sshd -T -C user=root,host=h,addr=192.0.2.1").splitlines()
    return dict(line.split(" ", 1) for line in lines).get(keyword.lower())


def greeted(machine, number):
    """How many of so many connections at the same time hear from sshd at all."""
    with ExitStack() as open_ones:
        def connect():
            connection = open_ones.enter_context(socket.create_connection(("127.0.0.1", machine.sandbox.sshd_port)))
            connection.settimeout(30)
            return connection

        connections = [machine.sandbox.in_network(connect) for _ in range(number)]
        return sum(connection.recv(4) == b"SSH-" for connection in connections)


def fail_at_once(machine, number=12):
    """So many people of one address who do not get in, at the same moment."""
    with ThreadPoolExecutor(number) as crowd:
        return list(crowd.map(lambda _: machine.person.password_login("localu", "wrong").status, range(number)))


def test_twelve_people_of_one_address_sign_in_at_once_after_the_proposal(machine):
    machine.set_up()
    machine.reload_sshd()
    with ExitStack() as sessions, ThreadPoolExecutor(len(DOZEN)) as crowd:
        terminals = [sessions.enter_context(machine.person.ssh(name, "id -un")) for name in DOZEN]
        # All of them are there before the first of them is done.
        prompts = list(crowd.map(machine.person.read_prompt, terminals))
        for name, prompt in zip(DOZEN, prompts, strict=True):
            machine.person.approve(prompt, name)
        ended = list(crowd.map(lambda terminal: machine.person.finish(terminal, 120), terminals))
    assert [(one.status, one.output.strip()) for one in ended] == [(0, name) for name in DOZEN]
    report = ask(machine.sandbox)
    assert {report.checks[name]["state"] for name in ("S4", "S5", "S6")} == {"ok"}, report.checks
    assert json.loads(machine.sandbox.read(product.CONFIG))["login_grace"] == 300
    assert effective(machine, "LoginGraceTime") == "300"


def test_a_dozen_who_fail_shut_nobody_out_after_the_proposal(machine):
    machine.set_up()
    machine.reload_sshd()
    assert 0 not in fail_at_once(machine)
    assert machine.person.first_login("ann").status == 0


def test_thirty_connections_of_one_address_are_heard_after_the_proposal(machine):
    machine.set_up()
    machine.reload_sshd()
    assert greeted(machine, 31) == 30


def test_without_the_proposal_sshd_drops_people(machine):
    machine.set_up("--sshd-limits no")
    machine.reload_sshd()
    assert greeted(machine, 60) < 60
    report = ask(machine.sandbox)
    assert report.checks["S5"]["state"] == "warning"
    if effective(machine, "PerSourcePenalties") is not None:
        assert report.checks["S6"]["state"] == "warning"
        fail_at_once(machine)
        assert greeted(machine, 1) == 0


def test_ten_from_one_address_are_fewer_than_a_dozen(machine):
    """Why setup proposes more than ten for PerSourceMaxStartups."""
    machine.sandbox.run("sed -i '1i PerSourceMaxStartups 10' /etc/ssh/sshd_config")
    machine.set_up()
    machine.reload_sshd()
    assert greeted(machine, 12) == 10


def test_the_proposal_is_shown_and_holds_what_this_sshd_knows(machine):
    shown = machine.set_up("--dry-run").stdout
    for line in ("+ LoginGraceTime 300", "+ MaxStartups 100:30:200", "+ PerSourceMaxStartups 30"):
        assert line in shown, shown
    knows = effective(machine, "PerSourcePenalties") is not None
    assert knows == (machine.sandbox.release != "bookworm")
    assert ("+ PerSourcePenalties authfail:1s grace-exceeded:1s" in shown) == knows
    machine.set_up()
    assert machine.set_up_json()["changed"] is False
    # It goes with the drop-in, and enable sshd by itself leaves it as it is.
    text = machine.sandbox.read(DROP_IN)
    machine.ctl("enable sshd")
    assert machine.sandbox.read(DROP_IN) == text
    machine.ctl("disable sshd")
    assert not machine.sandbox.path(DROP_IN).exists()
    assert effective(machine, "MaxStartups") == "10:30:100"


def test_a_proposal_that_was_declined_is_not_made_again(machine):
    machine.set_up("--sshd-limits no")
    assert effective(machine, "MaxStartups") == "10:30:100"
    assert "login_grace" not in json.loads(machine.sandbox.read(product.CONFIG))
    assert machine.set_up_json()["changed"] is False
    assert machine.set_up_json("--sshd-limits yes")["changed"] is True
    assert effective(machine, "MaxStartups") == "100:30:200"
    assert machine.set_up_json()["changed"] is False


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_what_somebody_writes_into_our_drop_in_stays_until_it_goes_and_is_kept_then(machine, answer):
    machine.set_up(f"--sshd-limits {answer}")
    ours = machine.sandbox.read(DROP_IN)
    edited = re.sub("(?m)^MaxStartups .*", "MaxStartups 500:30:600", ours)
    edited = edited.replace("\n", "\n# Ask the network team first.\n", 1) + "    X11Forwarding no\n"
    machine.sandbox.write(DROP_IN, edited, 0o644)
    for command in ("publish", "enable sshd", "publish"):
        machine.ctl(command)
        assert machine.sandbox.read(DROP_IN) == edited, command
    # The group of the people is ours, also there.
    config = json.loads(machine.sandbox.read(product.CONFIG))
    machine.sandbox.write(product.CONFIG, json.dumps({**config, "people_group": "folk"}), 0o600)
    machine.ctl("publish")
    renamed = re.sub(r"(?m)^Match Group .*", "Match Group folk", edited)
    assert renamed != edited and machine.sandbox.read(DROP_IN) == renamed
    assert not machine.sandbox.path(REPLACED).exists()
    done = machine.ctl("disable sshd")
    assert not machine.sandbox.path(DROP_IN).exists()
    kept = machine.sandbox.output(f"ls {REPLACED}/*")
    assert kept in done.stderr and machine.sandbox.read(kept) == renamed


def test_a_single_value_that_somebody_changed_in_our_drop_in_is_kept_when_it_goes(machine):
    machine.set_up()
    theirs = machine.sandbox.read(DROP_IN).replace("MaxStartups 100:30:200", "MaxStartups 500:30:600")
    machine.sandbox.write(DROP_IN, theirs, 0o644)
    machine.set_up()
    assert "MaxStartups 100:30:200" in machine.sandbox.read(DROP_IN)
    assert machine.sandbox.read(machine.sandbox.output(f"ls {REPLACED}/*")) == theirs
    # What stood there before ours is not ours.
    machine.ctl("disable sshd")
    assert not machine.sandbox.path(DROP_IN).exists()


def test_what_had_the_name_of_our_drop_in_comes_back_also_after_an_edit(machine):
    machine.sandbox.run("mkdir -p /etc/ssh/sshd_config.d")
    machine.sandbox.write(DROP_IN, "# before\n", 0o644)
    machine.set_up()
    machine.sandbox.run(f"echo '    X11Forwarding no' >> {DROP_IN}")
    machine.ctl("publish")
    machine.ctl("disable sshd")
    assert machine.sandbox.read(DROP_IN) == "# before\n"


def test_what_somebody_has_set_stays_and_is_named_with_its_line(machine):
    # As Debian has it.
    machine.sandbox.run("sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config")
    machine.sandbox.write("/etc/ssh/sshd_config.d/10-hard.conf", "# by the rules\nMaxStartups 10:30:60\n")
    machine.sandbox.run("echo 'LoginGraceTime 60' >> /etc/ssh/sshd_config")
    done = machine.set_up()
    assert "10-hard.conf line 2" in done.stderr, done.stderr
    text = machine.sandbox.read(DROP_IN)
    assert "MaxStartups 100" not in text and "LoginGraceTime" not in text
    assert effective(machine, "MaxStartups") == "10:30:60" and effective(machine, "LoginGraceTime") == "60"
    # And what is waited for follows.
    assert json.loads(machine.sandbox.read(product.CONFIG))["login_grace"] == 60


def test_where_drop_ins_are_read_for_some_people_only_nothing_general_is_written(machine):
    machine.sandbox.run("printf 'Match User nobody\\nInclude /etc/ssh/sshd_config.d/*.conf\\n' >> /etc/ssh/sshd_config")
    machine.ctl(ANSWERS + " --non-interactive", check=False)
    assert machine.sandbox.succeeds("sshd -t")
    assert "MaxStartups" not in (machine.sandbox.read(DROP_IN) if machine.sandbox.path(DROP_IN).exists() else "")
