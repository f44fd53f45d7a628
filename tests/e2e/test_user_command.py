"""oauth2ctl user: what it answers to programs, and what it ends, keeps and deletes."""

import datetime
import subprocess

import pytest

from rig import ctl, product
from rig.ctl import ask, confirm, say
from rig.machine import Machine
from rig.patience import wait_until

TODAY = datetime.datetime.now(datetime.timezone.utc).date()
TOMORROW = TODAY + datetime.timedelta(days=1)
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


@pytest.fixture(scope="module")
def machine():
    with ctl.unconfigured_provider(Machine) as ready:
        yield ready


def running(machine, uid, *argv):
    """A process of somebody, once it runs."""
    process = machine.sandbox.popen(argv, user=uid, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    return process


def stubborn(machine, uid):
    return running(machine, uid, "python3", "-c", STUBBORN)


def sleeper(machine, uid):
    return running(machine, uid, "sh", "-c", "echo up; exec sleep 600")


# List and show

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


# Lock

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
    assert machine.sandbox.run("oauth2ctl user lock", check=False).returncode == 2
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


def test_logind_is_asked_where_it_runs(machine):
    ask(machine, "user add jens")
    machine.sandbox.run("mkdir -p /run/systemd/system /var/lib/systemd/linger && touch /var/lib/systemd/linger/jens")
    machine.sandbox.write("/usr/bin/loginctl", "#!/bin/sh\necho $* >>/srv/loginctl\n", 0o755)
    uid = machine.uid_of("jens")
    process = sleeper(machine, uid)
    try:
        ask(machine, "user lock jens --kill")
        assert process.wait(10) != 0, "what logind does not end is ended all the same"
        assert machine.sandbox.read("/srv/loginctl") == f"disable-linger -- jens\nterminate-user {uid}\n"
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


# Subordinate ids

def test_subordinate_ids_are_given_once_and_overlap_nobody(machine):
    machine.sandbox.write("/etc/subuid", "localu:100000:65536\n")
    machine.sandbox.write("/etc/subgid", "localu:100000:65536\n")
    assert ask(machine, "user add jana --subids")["changed"]
    for file in ("/etc/subuid", "/etc/subgid"):
        assert machine.sandbox.read(file) == "localu:100000:65536\njana:165536:65536\n"
    assert not ask(machine, "user add jana --subids")["changed"]
    ask(machine, "user add kim")
    assert ask(machine, "user add kim --subids")["changed"], "also for somebody who is known"
    assert "kim:231072:65536" in machine.sandbox.read("/etc/subuid")


# Removal

def furnish(machine, name):
    uid = machine.uid_of(name)
    machine.sandbox.run(
        f"mkdir -p /home/{name}/deep /var/spool/cron/crontabs /var/mail && echo treasure >/home/{name}/deep/file"
        f" && ln -s /srv/precious /home/{name}/link && mkdir -p /srv/precious && touch /srv/precious/kept"
        f" && chown -Rh {uid}:{uid} /home/{name} && echo '@daily true' >/var/spool/cron/crontabs/{name}"
        f" && echo mail >/var/mail/{name} && groupadd -f club && gpasswd -a root club >/dev/null"
        f" && sed -i 's/^\\(club:.*\\)$/\\1,{name}/' /etc/group")
    return uid


def test_a_removal_keeps_everything_and_says_what(machine):
    ask(machine, "user add lena --subids")
    furnish(machine, "lena")
    answer = ask(machine, "user remove lena")
    assert answer["changed"]
    left = answer["left"]
    assert left["home"] == "/home/lena" and left["crontabs"] == ["/var/spool/cron/crontabs/lena"]
    assert left["mail"] == ["/var/mail/lena"] and left["groups"] == ["club"] and len(left["subordinate_ids"]) == 2
    assert "crontab" in say(machine, "user remove lena"), "said again, it still lists them"


def test_a_purge_deletes_all_but_the_home_directory(machine):
    ask(machine, "user remove lena --purge")
    for path in ("/var/spool/cron/crontabs/lena", "/var/mail/lena"):
        assert not machine.sandbox.succeeds(f"test -e {path}")
    assert "lena" not in machine.sandbox.read("/etc/group") + machine.sandbox.read("/etc/subuid")
    assert machine.sandbox.read("/home/lena/deep/file") == "treasure\n"
    assert "jana" in machine.sandbox.read("/etc/subuid")
    assert not ask(machine, "user remove lena --purge")["changed"]


def test_a_purge_asks_first(machine):
    ask(machine, "user add mona")
    furnish(machine, "mona")
    done = machine.sandbox.run("oauth2ctl user remove mona --purge", check=False)
    assert done.returncode == 7 and "--yes" in done.stderr
    assert ask(machine, "user show mona")["user"]["state"] == "reserved", "nothing was done"


def test_an_archived_home_directory_is_in_the_file_and_nowhere_else(machine):
    uid = machine.uid_of("mona")
    process = sleeper(machine, uid)
    answer = ask(machine, "user remove mona --purge --archive /root")
    assert process.wait(10) != 0
    archive = answer["archive"]
    assert machine.sandbox.output(f"stat -c '%a %U' {archive}") == "600 root"
    listing = machine.sandbox.output(f"tar -tvf {archive}")
    assert "mona/deep/file" in listing and "mona/link -> /srv/precious" in listing
    assert not machine.sandbox.succeeds("test -e /home/mona")
    assert machine.sandbox.succeeds("test -e /srv/precious/kept"), "a link is not followed"
    assert machine.sandbox.output(f"tar -xOf {archive} mona/deep/file") == "treasure"
    assert not ask(machine, "user remove mona --purge --archive /root")["changed"]


@pytest.mark.parametrize("spoil, says", [
    ("mv /home/{0} /home/{0}.real && ln -s /home/{0}.real /home/{0}", "not archived"),
    ("chown 0 /home/{0}", "not archived"),
    ("mount -t tmpfs none /home/{0}/deep", "mounted"),
])
def test_a_home_directory_that_is_not_wholly_theirs_is_left_alone(machine, spoil, says):
    ask(machine, "user add nora")
    uid = furnish(machine, "nora")
    try:
        machine.sandbox.run(spoil.format("nora"))
        assert says in say(machine, "user remove nora --archive /root", 8)
        assert ask(machine, "user show nora")["user"]["state"] == "reserved", "nothing was done"
    finally:
        machine.sandbox.run("umount /home/nora/deep", check=False)
        machine.sandbox.run("rm -rf /home/nora /home/nora.real")
        assert uid


def test_a_full_disk_keeps_the_home_directory_and_leaves_no_half_archive(machine):
    ask(machine, "user add olga")
    furnish(machine, "olga")
    machine.sandbox.run("dd if=/dev/zero of=/home/olga/big bs=1k count=64 2>/dev/null")
    machine.sandbox.run("mkdir /srv/small && mount -t tmpfs -o size=16k none /srv/small")
    try:
        assert "olga is locked" in say(machine, "user remove olga --archive /srv/small", 1)
        assert machine.sandbox.output("ls -A /srv/small") == ""
        assert machine.sandbox.read("/home/olga/deep/file") == "treasure\n"
        assert ask(machine, "user show olga")["user"]["state"] == "locked"
    finally:
        machine.sandbox.run("umount /srv/small")
    assert ask(machine, "user remove olga --archive /srv/small")["archive"], "said again, it goes on"


# Without a daemon

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
