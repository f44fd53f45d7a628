"""oauth2ctl user lock and sweep: whom they shut out, and what of theirs they end."""

import pytest

from rig import ctl, product
from rig.ctl import ask, confirm, say
from rig.machine import Machine
from rig.patience import wait_until
from rig.processes import running, sleeper, stubborn


@pytest.fixture(scope="module")
def machine():
    with ctl.unconfigured_provider(Machine) as ready:
        ask(ready, "user add ada --group idp-staff")
        confirm(ready, "ada")
        ask(ready, "user add ben")
        yield ready


def test_nobody_is_locked_when_one_of_the_names_is_unknown(machine):
    ask(machine, "user add dan")
    ask(machine, "user lock dan nobody-of-that-name", 4)
    assert ask(machine, "user show dan")["user"]["state"] == "reserved"
    assert ask(machine, "user lock dan ben --reason 'lost their laptop'")["changed"]
    assert machine.store("select count(*) from event where kind = 'lock_reason' and detail = 'lost their laptop'") == "2"
    assert not ask(machine, "user lock dan ben --reason again")["changed"]
    assert machine.store("select count(*) from event where kind = 'lock_reason'") == "2"
    ask(machine, "user unlock dan")
    ask(machine, "user unlock ben")


def test_a_group_and_a_subject_can_be_locked(machine):
    ask(machine, "user add eva --group idp-staff")
    users = ask(machine, "user lock --all-of idp-staff")["users"]
    assert [user["name"] for user in users] == ["ada", "eva"] and all(user["changed"] for user in users)
    ask(machine, "user unlock ada")
    locked = ask(machine, "user lock --subject https://idp.test:8443 ada-sub")
    assert [user["name"] for user in locked["users"]] == ["ada"]
    ask(machine, "user lock --subject https://idp.test:8443 nobody-sub", 4)
    ask(machine, "user lock --all-of no-such-group", 4)
    for whom in ("", "--kill", "--reason nobody", "--kill --reason nobody"):
        assert machine.sandbox.run(f"oauth2ctl user lock {whom}", check=False).returncode == 2, whom
    ask(machine, "user unlock ada")
    ask(machine, "user unlock eva")


def test_kill_ends_processes_of_exactly_that_uid(machine):
    ask(machine, "user add finn")
    ask(machine, "user add gina")
    uid, other = machine.uid_of("finn"), machine.uid_of("gina")
    machine.sandbox.run("mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/finn")
    theirs = [sleeper(machine, uid), stubborn(machine, uid)]
    bystander = sleeper(machine, other)
    try:
        ended = ask(machine, "user lock finn --kill")["users"][0]["ended"]
        assert ended == {"processes": 2, "killed": 1, "linger": True, "at_jobs": []}
        wait_until(lambda: all(process.poll() is not None for process in theirs), "the processes to be gone")
        assert bystander.poll() is None
        assert not machine.sandbox.succeeds("test -e /var/lib/systemd/linger/finn")
        again = ask(machine, "user lock finn --kill")
        assert not again["changed"] and again["users"][0]["ended"]["processes"] == 0
    finally:
        bystander.kill()
        machine.sandbox.run(f"kill -9 $(ps -o pid= -u {other})", check=False)
        ask(machine, "user unlock finn")


def test_a_uid_that_is_somebody_elses_too_is_not_ended(machine):
    ask(machine, "user add hugo")
    uid = machine.uid_of("hugo")
    passwd = machine.sandbox.read("/etc/passwd")
    machine.sandbox.write("/etc/passwd", passwd + f"other:x:{uid}:{uid}::/home/other:/bin/sh\n")
    process = sleeper(machine, uid)
    try:
        assert "other" in say(machine, "user lock hugo --kill", 8)
        assert process.poll() is None
        assert "left alone" in say(machine, "user sweep")
        assert process.poll() is None
    finally:
        machine.sandbox.write("/etc/passwd", passwd)
        machine.sandbox.run(f"kill -9 $(ps -o pid= -u {uid})", check=False)


def test_at_jobs_are_removed_by_their_owner(machine):
    ask(machine, "user add ines")
    machine.sandbox.write("/usr/bin/atq", """#!/bin/sh
for job in $(seq 1000 1999); do printf "$job\\tTue Nov 24 12:00:00 2026 a annabelle\\n"; done
[ -e /srv/atrm ] || printf '3\\tTue Nov 24 12:00:00 2026 a ines\\n4\\tTue Nov 24 12:00:00 2026 a root\\n'
""", 0o755)
    machine.sandbox.write("/usr/bin/atrm", "#!/bin/sh\necho $* >/srv/atrm\n", 0o755)
    try:
        assert ask(machine, "user lock ines --kill")["users"][0]["ended"]["at_jobs"] == ["3"]
        assert machine.sandbox.read("/srv/atrm") == "3\n"
    finally:
        machine.sandbox.run("rm -f /usr/bin/atq /usr/bin/atrm /srv/atrm")


def test_what_fails_for_one_ends_everything_else_all_the_same(machine):
    names = ("kaja", "kari")
    for name in names:
        ask(machine, f"user add {name}")
    processes = [sleeper(machine, machine.uid_of(name)) for name in names]
    machine.sandbox.run("mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/{kaja,kari}")
    machine.sandbox.write("/usr/bin/atq", "#!/bin/sh\nexit 3\n", 0o755)
    config = machine.sandbox.read(product.CONFIG)
    machine.sandbox.write(product.CONFIG, "{", 0o600)
    try:
        answer = ask(machine, "user lock kaja kari --kill", 1)
        assert [user["state"] for user in answer["users"]] == ["reserved", "reserved"], "that has failed"
        assert [user["ended"]["processes"] for user in answer["users"]] == [1, 1]
        assert all(user["ended"]["linger"] for user in answer["users"])
        assert all(process.wait(10) != 0 for process in processes)
    finally:
        machine.sandbox.run("rm /usr/bin/atq")
        machine.sandbox.write(product.CONFIG, config, 0o600)


def test_a_process_that_forks_all_the_time_ends(machine):
    ask(machine, "user add lars")
    forker = "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\n" \
             "while True:\n    if os.fork(): os._exit(0)\n    os.setsid()"
    running(machine, machine.uid_of("lars"), "python3", "-c", forker)
    assert ask(machine, "user lock lars --kill")["users"][0]["ended"]["killed"] >= 0
    assert not machine.sandbox.succeeds(f"pgrep -u {machine.uid_of('lars')}")


def test_logind_is_asked_where_it_runs(machine):
    ask(machine, "user add jens")
    machine.sandbox.run("mkdir -p /run/systemd/system /var/lib/systemd/linger && touch /var/lib/systemd/linger/jens")
    machine.sandbox.write("/usr/bin/loginctl", "#!/bin/sh\necho $* >>/srv/loginctl\n", 0o755)
    uid = machine.uid_of("jens")
    process = sleeper(machine, uid)
    try:
        ask(machine, "user lock jens --kill")
        assert process.wait(10) != 0, "what logind does not end is ended all the same"
        assert machine.sandbox.read("/srv/loginctl") == f"terminate-user {uid}\ndisable-linger -- jens\n"
        assert not machine.sandbox.succeeds("test -e /var/lib/systemd/linger/jens")
    finally:
        machine.sandbox.run("rm -rf /usr/bin/loginctl /srv/loginctl /run/systemd/system")


def test_a_session_over_ssh_ends_with_the_lock():
    with Machine("bookworm") as ready:
        assert ready.person.first_login("ann", command="mkdir -m 700 .ssh").status == 0
        ready.sandbox.write("/home/ann/.ssh/authorized_keys", ready.sandbox.read(product.ROOT_KEY + ".pub"))
        with ready.person.ssh("ann", how=("-tt", "-i", product.ROOT_KEY)) as terminal:
            terminal.expect(r"\$ ")
            ended = ask(ready, "user lock ann --kill")["users"][0]["ended"]
            assert ended["processes"] >= 2, ended
            assert terminal.wait(20) != 0
        for service in ("sshd", "cron", "su"):
            assert not ready.sandbox.succeeds(f"pamtester {service} ann acct_mgmt"), service
