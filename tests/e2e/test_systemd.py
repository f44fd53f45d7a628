"""What systemd has a hand in, on a machine that it has booted: timers, sshd's reload, sessions, units, its name service."""

import datetime
import json

import pytest

from rig import doctor, product
from rig.booted import BootedMachine
from rig.patience import wait_until
from rig.setup import JOURNAL
from rig.ssh_client import KEY, KEYBOARD

TODAY = datetime.datetime.now(datetime.timezone.utc).date()
TIMER = "oauth2ctl-setup-roll-back.timer"
SWEEP = "oauth2-user-sweep.service"


@pytest.fixture
def plain():
    """Setup has not been run."""
    with BootedMachine("bookworm") as ready:
        yield ready


@pytest.fixture(scope="module")
def machine(release):
    with BootedMachine(release) as ready:
        ready.set_up()
        yield ready


def is_unfinished(machine):
    return machine.sandbox.path(JOURNAL).exists()


def timers(machine):
    return machine.systemctl("list-timers --all --no-legend")


def wait_for_the_end_of_the_timer(machine):
    wait_until(lambda: TIMER not in timers(machine), "the timer to be gone", timeout=60)
    service = TIMER.replace("timer", "service")
    wait_until(lambda: machine.systemctl(f"is-active {service}", check=False) == "inactive", "the roll back", timeout=30)


def uid_of(machine, name):
    return machine.sandbox.output(["id", "-u", name])


def sessions(machine):
    """Names with a session, as logind knows them."""
    return [line.split()[2] for line in machine.sandbox.output("loginctl list-sessions --no-legend").splitlines()]


def active(machine, unit):
    return machine.systemctl(f"is-active {unit}", check=False) == "active"


def sign_in(machine, name):
    """A session that stays open."""
    terminal = machine.person.ssh(name, how=(*KEYBOARD, "-tt"))
    machine.person.approve(machine.person.read_prompt(terminal), name)
    terminal.send_line()
    terminal.expect(r"\$ ")
    return terminal


# Setup


def test_systemds_timer_rolls_back_what_nobody_confirms_byte_for_byte(plain):
    before = plain.files()
    plain.set_up("--confirm 10s")
    assert TIMER in timers(plain)
    assert plain.sandbox.read("/etc/nsswitch.conf").count("oauth2") == 2
    wait_until(lambda: not is_unfinished(plain), "the roll back", timeout=60)
    wait_for_the_end_of_the_timer(plain)
    plain.assert_untouched(before)
    assert "ssh.service reads its configuration again" in plain.sandbox.log()
    assert plain.systemctl("--failed --no-legend") == ""


def test_a_new_login_is_a_confirmation_and_the_timer_changes_nothing(plain):
    plain.set_up("--confirm 20s")
    assert plain.person.first_login("ann").status == 0
    assert is_unfinished(plain) and TIMER in timers(plain)
    wait_for_the_end_of_the_timer(plain)
    assert not is_unfinished(plain)
    assert "new login" in plain.sandbox.log()
    assert plain.person.login_again("ann").status == 0


def test_a_confirmation_stops_the_timer(plain):
    plain.set_up("--confirm 5m")
    assert TIMER in timers(plain)
    plain.ctl("setup confirm")
    assert TIMER not in timers(plain)
    assert plain.person.first_login("ann").status == 0


def test_setup_makes_the_running_sshd_read_the_drop_in_and_an_open_session_goes_on(plain):
    process = plain.systemctl("show --property=MainPID ssh.service")
    assert plain.person.try_everything("ann") == 255
    with plain.person.ssh("root", how=(*KEY, "-i", product.ROOT_KEY, "-tt")) as terminal:
        terminal.expect("# ")
        assert "ssh.service reads its configuration again" in plain.set_up().stdout
        assert plain.person.first_login("ann").status == 0
        terminal.send_line("echo still-$((40 + 2))")
        terminal.expect("still-42")
    assert plain.systemctl("show --property=MainPID ssh.service") == process


def test_doctor_is_content_with_a_machine_that_systemd_runs(machine):
    # The configuration has neither a secret nor an id key, which is a fleet's to make.
    assert doctor.ask(machine.sandbox).troubles() == {"C4": "not_applicable", "C5": "warning"}


# Sessions


def test_a_strangers_first_login_is_a_session_of_logind_with_a_systemd_of_their_own(machine):
    with sign_in(machine, "ann") as terminal:
        uid = uid_of(machine, "ann")
        assert "ann" in sessions(machine)
        assert active(machine, f"user@{uid}.service")
        terminal.send_line("echo $XDG_RUNTIME_DIR $(systemctl --user is-active default.target)")
        terminal.expect(f"/run/user/{uid} active")
        terminal.send_line("exit")
        assert terminal.wait() == 0


def test_a_lock_ends_the_session_and_their_systemd_which_does_not_start_again(machine):
    with sign_in(machine, "lara") as terminal:
        uid = uid_of(machine, "lara")
        machine.sandbox.run("loginctl enable-linger lara")
        watch = machine.watch()
        machine.ctl("user lock lara --kill --yes")
        assert terminal.wait() != 0
        watch.wait_for(r"Stopping session-\S+\.scope - Session \S+ of User lara")
    wait_until(lambda: "lara" not in sessions(machine), "the session to end")
    wait_until(lambda: not active(machine, f"user@{uid}.service"), "their systemd to end")
    assert not machine.sandbox.succeeds("test -e /var/lib/systemd/linger/lara")
    assert not machine.sandbox.succeeds(f"pgrep -u {uid}")
    watch = machine.watch()
    assert not machine.sandbox.succeeds(f"systemctl start user@{uid}.service")
    watch.wait_for("systemd-user:account.*reason=locked")
    machine.systemctl(f"reset-failed user@{uid}.service", check=False)
    machine.ctl("user unlock lara")
    machine.sandbox.run("loginctl enable-linger lara")
    wait_until(lambda: active(machine, f"user@{uid}.service"), "their systemd to start", timeout=30)
    machine.sandbox.run("loginctl disable-linger lara")


# Units


def warnings(machine):
    """What the sweep, or systemd about it, had to say."""
    return machine.sandbox.output(f"journalctl --boot --quiet --unit={SWEEP} --priority=warning --no-pager")


def test_the_sweep_ends_under_its_hardening_what_is_over(machine):
    assert machine.systemctl("is-enabled oauth2-user-sweep.timer", check=False) == "disabled"
    with sign_in(machine, "emil") as terminal, sign_in(machine, "fred") as stays:
        machine.sandbox.run("loginctl enable-linger emil")
        machine.ctl(f"user expire emil {TODAY}")
        assert "emil" in sessions(machine)
        machine.systemctl(f"start {SWEEP}")
        assert terminal.wait() != 0
        wait_until(lambda: "emil" not in sessions(machine), "the session to end")
        assert "fred" in sessions(machine)
        stays.send_line("exit")
        assert stays.wait() == 0
    assert not machine.sandbox.succeeds("test -e /var/lib/systemd/linger/emil")
    assert "Result=success" in machine.systemctl(f"show --property=Result {SWEEP}")
    assert warnings(machine) == ""


def test_the_sweeps_hardening_lets_it_shut_local_accounts_that_useradd_made():
    with BootedMachine("bookworm", provider=None) as machine:
        product.configure(machine.sandbox, {**product.ID_TOKEN, "provisioning": "useradd", "ca_file": None})
        machine.ctl("store migrate")
        machine.ctl("publish")
        machine.ctl("user add uwe")
        machine.ctl("user lock uwe")
        # As useradd writes it: it would refuse a name that resolves already.
        uid = machine.store("select uid from identity where login_name = 'uwe'")
        machine.sandbox.run(f"echo 'uwe:x:{uid}:{uid}::/home/uwe:/bin/bash' >>/etc/passwd"
                            f" && echo 'uwe:x:{uid}:' >>/etc/group && echo 'uwe:!:20000:0:99999:7:::' >>/etc/shadow")
        machine.systemctl(f"start {SWEEP}")
        assert machine.sandbox.output("getent shadow uwe") == "uwe:!:20000:0:99999:7::37:"
        assert warnings(machine) == ""


def test_the_sweeps_timer_waits_for_the_next_hour_once_it_is_enabled(machine):
    machine.systemctl("enable --now oauth2-user-sweep.timer")
    try:
        assert "oauth2-user-sweep.timer" in timers(machine)
    finally:
        machine.systemctl("disable --now oauth2-user-sweep.timer")
    assert "oauth2-user-sweep.timer" not in timers(machine)


def test_a_unit_and_a_temporary_directory_may_belong_to_a_person(machine):
    name = "gina@example.com"
    machine.ctl(f"user add {name}")
    uid = uid_of(machine, name)
    machine.sandbox.write("/etc/systemd/system/of-gina.service",
                          f"[Service]\nType=oneshot\nUser={name}\nExecStart=/bin/sh -c 'id >/srv/of-gina/id'\n")
    machine.sandbox.write("/etc/tmpfiles.d/of-gina.conf", f"d /srv/of-gina 0700 {name} {name}\n")
    machine.sandbox.run("systemd-tmpfiles --create of-gina.conf")
    machine.systemctl("daemon-reload")
    machine.systemctl("start of-gina.service")
    assert machine.sandbox.output("stat -c '%u %U' /srv/of-gina") == f"{uid} {name}"
    told = machine.sandbox.read("/srv/of-gina/id")
    assert told.startswith(f"uid={uid}({name}) gid={uid}({name}) groups=") and "(oauth2-users)" in told


# systemd's name service


def record(machine, name):
    done = machine.sandbox.run(["userdbctl", "--output=json", "user", name], check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def test_userdbd_shows_people_and_a_stranger_not_before_the_login_has_succeeded(machine):
    with machine.person.ssh("hugo", "true") as terminal:
        prompt = machine.person.read_prompt(terminal)
        # sshd has an entry for the name now, and nobody else.
        assert record(machine, "hugo") is None and machine.resolves("hugo") is None
        machine.person.approve(prompt, "hugo")
        assert machine.person.finish(terminal).status == 0
    shown = record(machine, "hugo")
    assert (shown["userName"], shown["uid"]) == ("hugo", machine.uid_of("hugo"))
    assert shown["homeDirectory"] == "/home/hugo" and shown.get("service", "") in ("", "io.systemd.NameServiceSwitch")
    assert record(machine, str(shown["uid"]))["userName"] == "hugo"


def test_a_sshd_that_systemd_starts_for_each_connection_lets_a_stranger_in(machine):
    machine.systemctl("stop ssh.service")
    machine.systemctl("start ssh.socket")
    try:
        assert machine.person.first_login("ina", command="id -un").output.strip() == "ina"
    finally:
        machine.systemctl("stop ssh.socket")
        machine.systemctl("start ssh.service")
