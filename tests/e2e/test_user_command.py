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
    assert not ask(machine, "user remove mona --purge")["changed"]
    again = ask(machine, "user remove mona --archive /root", 4)
    assert "/home/mona" in again["error"]["message"] and not again["changed"], "there is nothing to archive"


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
        assert "olga is shut out" in say(machine, "user remove olga --archive /srv/small", 1)
        assert machine.sandbox.output("ls -A /srv/small") == ""
        assert machine.sandbox.read("/home/olga/deep/file") == "treasure\n"
        assert ask(machine, "user show olga")["user"]["state"] == "locked"
    finally:
        machine.sandbox.run("umount /srv/small")
    assert ask(machine, "user remove olga --archive /srv/small")["archive"], "said again, it goes on"


def test_what_is_mounted_while_the_archive_is_written_is_not_removed(machine):
    ask(machine, "user add paul")
    furnish(machine, "paul")
    machine.sandbox.run("mv /usr/bin/tar /usr/bin/tar.real")
    machine.sandbox.write("/usr/bin/tar", """#!/bin/sh
/usr/bin/tar.real "$@" && mount -t tmpfs none /home/paul/deep && touch /home/paul/deep/mounted
""", 0o755)
    try:
        answer = ask(machine, "user remove paul --archive /root", 1)
        assert answer["changed"] and "mounted" in answer["error"]["message"], answer
        assert machine.sandbox.succeeds("test -e /home/paul/deep/mounted")
        assert "paul/deep/file" in machine.sandbox.output(f"tar.real -tf {answer['archive']}")
    finally:
        machine.sandbox.run("mv /usr/bin/tar.real /usr/bin/tar; umount /home/paul/deep")
    machine.sandbox.run("mkdir /srv/again")
    assert ask(machine, "user remove paul --archive /srv/again")["archive"], "said again, it goes on"
    assert not machine.sandbox.succeeds("test -e /home/paul")


def test_a_purge_that_fails_on_its_way_says_that_something_was_changed(machine):
    ask(machine, "user add rosa")
    furnish(machine, "rosa")
    ask(machine, "user remove rosa")
    machine.sandbox.run("mv /usr/bin/gpasswd /usr/bin/gpasswd.real")
    try:
        answer = ask(machine, "user remove rosa --purge", 1)
        assert answer["changed"] and any("crontab" in line for line in answer["purged"])
        assert "gpasswd" in answer["error"]["message"]
    finally:
        machine.sandbox.run("mv /usr/bin/gpasswd.real /usr/bin/gpasswd")
    assert ask(machine, "user remove rosa --purge")["purged"] == ["a place in the group club of /etc/group"]


def local(machine, name, uid):
    """Somebody of /etc/passwd with everything that a purge looks for, and a process."""
    machine.sandbox.run(f"useradd -M -u {uid} {name}")
    furnish(machine, name)
    return running(machine, uid, "sh", "-c", "echo up; exec sleep 600")


def untouched(machine, name):
    for path in ("/var/spool/cron/crontabs", "/var/mail"):
        assert machine.sandbox.succeeds(f"test -e {path}/{name}")
    assert f",{name}" in machine.sandbox.output("getent group club")
    assert machine.sandbox.read(f"/home/{name}/deep/file") == "treasure\n"


@pytest.mark.parametrize("command", ["--purge", "--archive /root"])
def test_an_account_of_the_machine_is_left_alone_after_its_person_was_removed(machine, command):
    name, uid = ("quin", 3001) if command == "--purge" else ("ruth", 3002)
    process = local(machine, name, uid)
    try:
        # As a sign-in with the account that they had makes it.
        machine.store("insert into identity(login_name, uid, gid, gecos, home, shell, state, existing, created_at,"
                      " generation)"
                      f" values ('{name}', {uid}, {uid}, '', '/home/{name}', '/bin/bash', 'reserved', 1, 1, 1)")
        assert "not made by this package" in say(machine, f"user remove {name} {command}", 7)
        assert "--purge" not in say(machine, f"user remove {name}")
        assert "--purge" not in say(machine, f"user remove {name}"), "said again, of somebody who was removed"
        files = ctl.files(machine)
        assert name in say(machine, f"user remove {name} {command}", 7)
        assert f"{name} (uid {uid}) is left alone" in say(machine, "user sweep")
        assert ctl.touched(files, ctl.files(machine)) == []
        untouched(machine, name)
        assert process.poll() is None
    finally:
        process.kill()


def test_what_carries_a_name_that_somebody_has_now_is_theirs(machine):
    """The number of whoever was removed is still nobody's."""
    ask(machine, "user add sven")
    former = machine.uid_of("sven")
    ask(machine, "user remove sven")
    machine.sandbox.run("mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/sven")
    processes = {"now": local(machine, "sven", 3003), "then": sleeper(machine, former)}
    try:
        assert "3003" in say(machine, "user remove sven --purge", 7)
        swept = ask(machine, "user sweep")["ended"]
        assert [(user["name"], user["uid"]) for user in swept] == [("sven", former)]
        assert not swept[0]["ended"]["linger"]
        assert machine.sandbox.succeeds("test -e /var/lib/systemd/linger/sven")
        assert processes["then"].wait(10) != 0 and processes["now"].poll() is None
        untouched(machine, "sven")
    finally:
        processes["now"].kill()


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
