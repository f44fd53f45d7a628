"""What ends a setup half-way, or leaves it unconfirmed, leaves the machine as it was."""

import json
import os
import signal
import subprocess
import time

import pytest

from rig import product
from rig.patience import wait_until
from rig.sandbox import ENVIRONMENT
from rig.setup import ANSWERS, JOURNAL, SetupMachine


@pytest.fixture
def machine():
    with SetupMachine() as ready:
        yield ready


def waiting(machine):
    """The process that waits for the confirmation."""
    return machine.sandbox.succeeds("pgrep -f 'setup roll-back --when-unconfirmed'")


def journal_is_there(machine):
    return machine.sandbox.path(JOURNAL).exists()


def test_without_a_confirmation_every_file_is_put_back(release):
    with SetupMachine(release) as machine:
        before = machine.files()
        machine.set_up("--confirm 4s")
        assert machine.sandbox.read("/etc/nsswitch.conf").count("oauth2") == 2
        wait_until(lambda: not journal_is_there(machine), "the roll back", timeout=30)
        wait_until(lambda: not waiting(machine), "the process to end")
        machine.assert_untouched(before)
        assert machine.person.password_login("localu", product.LOCAL_PASSWORD).status == 0
        # Also what was put back can be set up again.
        machine.set_up()
        assert machine.person.first_login("ann").status == 0


def test_two_setups_at_once_end_like_one(machine):
    line = f"oauth2ctl {ANSWERS} --non-interactive"
    machine.sandbox.run(f"{line} & first=$!; {line}; second=$?; wait $first && test $second = 0")
    assert machine.set_up_json()["changed"] is False
    assert machine.person.first_login("ann").status == 0


def test_a_confirmation_keeps_what_was_changed(machine):
    machine.set_up("--confirm 4s")
    assert machine.set_up(check=False).returncode == 8, "another setup must wait"
    after = machine.files()
    done = machine.ctl("setup confirm --json")
    assert json.loads(done.stdout)["changed"] is True
    wait_until(lambda: not waiting(machine), "the process to end")
    kept = [line for line in machine.files() if "store.db" not in line and "setup.json" not in line]
    assert kept == [line for line in after if "store.db" not in line and "setup.json" not in line]
    assert machine.set_up_json()["changed"] is False
    assert json.loads(machine.ctl("setup confirm --json").stdout)["changed"] is False


def test_a_new_login_is_a_confirmation(machine):
    machine.set_up("--confirm 8s")
    assert machine.person.first_login("ann").status == 0
    wait_until(lambda: not waiting(machine), "the process to end", timeout=30)
    assert not journal_is_there(machine)
    assert machine.person.login_again("ann").status == 0
    assert "new login" in machine.sandbox.log()


def test_somebody_known_before_is_no_new_login(machine):
    machine.set_up()
    assert machine.person.first_login("ann").status == 0
    config = machine.sandbox.read(product.CONFIG)
    machine.ctl("setup --max-confirmation-age 9 --confirm 4s --non-interactive")
    assert machine.sandbox.read(product.CONFIG) != config
    wait_until(lambda: not waiting(machine), "the roll back", timeout=30)
    assert machine.sandbox.read(product.CONFIG) == config
    # What was published is of that configuration again.
    assert machine.person.first_login("bob").status == 0


def test_the_roll_back_comes_after_the_terminal_is_gone(machine):
    before = machine.files()
    process = machine.sandbox.popen(
        ["/bin/bash", "-c", f"oauth2ctl {ANSWERS} --non-interactive --confirm 4s; sleep 60"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: journal_is_there(machine) and "waiting" in machine.sandbox.read(JOURNAL), "setup", 30)
    # Not kill(1): that of procps 4.0.2 takes the first digit of "-12345" for the whole number, and -1 is everybody.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not journal_is_there(machine), "the roll back", timeout=30)
    wait_until(lambda: not waiting(machine), "the process to end")
    machine.assert_untouched(before)


def test_a_setup_killed_at_any_moment_is_undone(machine):
    before = machine.files()
    killed = 0
    for moment in range(16):
        process = machine.sandbox.popen(["/bin/bash", "-c", f"exec oauth2ctl {ANSWERS} --non-interactive"],
                                        env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: journal_is_there(machine) or process.poll() is not None, "the journal")
        deadline = time.monotonic() + moment * 0.04
        while time.monotonic() < deadline and process.poll() is None:
            pass
        machine.sandbox.run("pkill -KILL -x oauth2ctl", check=False)
        process.wait()
        killed += journal_is_there(machine)
        if journal_is_there(machine):
            machine.ctl("setup roll-back")
            machine.assert_untouched(before)
        else:
            break
    assert killed >= 3, "too few moments were hit"


def test_ctrl_c_and_a_lost_terminal_do_not_stop_changes_once_begun(machine):
    process = machine.sandbox.popen(["/bin/bash", "-c", f"oauth2ctl {ANSWERS} --non-interactive --json"],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    wait_until(lambda: machine.sandbox.path(product.CONFIG).exists(), "the configuration")
    for signal in ("INT", "HUP", "TERM"):
        machine.sandbox.run(f"pkill -{signal} -x oauth2ctl")
    assert json.loads(process.communicate(timeout=60)[0])["changed"] is True
    assert machine.person.first_login("ann").status == 0


def test_the_next_setup_undoes_an_interrupted_one_first(machine):
    before = machine.files()
    process = machine.sandbox.popen(["/bin/bash", "-c", f"exec oauth2ctl {ANSWERS} --non-interactive"],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: machine.sandbox.path(product.CONFIG).exists(), "the configuration")
    machine.sandbox.run("pkill -KILL -x oauth2ctl")
    process.wait()
    assert journal_is_there(machine)
    assert machine.set_up("--dry-run", check=False).returncode == 8
    done = machine.set_up()
    assert "interrupted" in done.stderr
    assert machine.person.first_login("ann").status == 0
    assert not journal_is_there(machine)
    # And what each part keeps is what stood there before both.
    machine.ctl("disable nss")
    nsswitch = [line for line in before if "/etc/nsswitch.conf" in line]
    assert [line for line in machine.files() if "/etc/nsswitch.conf" in line] == nsswitch


@pytest.mark.parametrize("room", [0, 4, 8, 16, 32, 64, 128])
def test_a_full_disk_during_setup_leaves_the_machine_as_it_was(machine, room):
    """`room` KiB are left where setup writes: /etc and the states of PAM and of the package."""
    run = machine.sandbox.run
    run("mkdir -p /disk && mount -t tmpfs -o size=16m disk /disk"
        " && mkdir -m 755 -p /disk/state /var/lib/pam_oauth2_device"
        " && cp -a /etc /var/lib/pam /disk/ && mount --bind /disk/etc /etc"
        " && mount --bind /disk/pam /var/lib/pam && mount --bind /disk/state /var/lib/pam_oauth2_device")
    before = machine.files()
    run(f"free=$(stat -f -c '%a * %S / 1024' /disk); dd if=/dev/zero of=/disk/ballast bs=1024"
        f" count=$(($free - {room})) 2>/dev/null")
    done = machine.set_up(check=False)
    assert done.returncode != 0 or room >= 64, "the disk was not full"
    if done.returncode != 0:
        assert done.stderr.strip()
        assert machine.files() == before
    run("rm /disk/ballast")
    if done.returncode != 0:
        machine.ctl("setup roll-back")
        assert machine.files() == before
        machine.set_up()
