"""A setup that nobody confirms: over a reboot, when its timer is lost, and when somebody else edits its files meanwhile."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from rig import product
from rig.doctor import ask
from rig.patience import wait_until
from rig.sandbox import ENVIRONMENT
from rig.setup import JOURNAL, SetupMachine
from rig.terminal import Terminal

UNIT = Path(__file__).parents[2] / "systemd/oauth2-setup-roll-back.service"
INSTALLED = f"/usr/lib/systemd/system/{UNIT.name}"
CLOCK = "[s]etup roll-back --when-unconfirmed"
REPLACED = "/var/lib/pam_oauth2_device/private/undo/replaced"
NSSWITCH = "/etc/nsswitch.conf"
EDIT = "sed -i 's/^hosts:.*/& myhostname/' /etc/nsswitch.conf"


@pytest.fixture
def machine():
    with SetupMachine() as ready:
        ready.before = ready.files()
        yield ready


def is_unfinished(machine):
    return machine.sandbox.path(JOURNAL).exists()


def waits(machine):
    return machine.sandbox.succeeds(f"pgrep -f '{CLOCK}'")


def reboot(machine):
    """Nothing that ran before runs any more, and /run is empty."""
    machine.sandbox.run(f"kill -KILL $(pgrep -f '{CLOCK}'); rm -f /run/oauth2ctl-setup.lock")
    wait_until(lambda: not waits(machine), "the process to be gone")


def boot(machine):
    """What systemd does of the unit: its condition, and its command."""
    text = machine.sandbox.read(INSTALLED)
    condition = re.search(r"(?m)^ConditionPathExists=(.*)", text)[1]
    if machine.sandbox.succeeds(f"test -e {condition}"):
        machine.sandbox.run(re.search(r"(?m)^ExecStart=(.*)", text)[1])


def let_time_pass(machine):
    """The end of the time is in the past; nothing that waits is there to see it."""
    journal = json.loads(machine.sandbox.read(JOURNAL))
    journal["wait"]["until"] = 1
    machine.sandbox.write(JOURNAL, json.dumps(journal), 0o600)


def forgotten(machine):
    """A setup whose time is over, and nothing has come."""
    machine.set_up("--confirm 5m")
    reboot(machine)
    let_time_pass(machine)


def test_the_unit_is_sound_and_comes_before_anybody_signs_in(tmp_path):
    text = UNIT.read_text()
    # The program is not installed on the machine of the tests.
    (tmp_path / UNIT.name).write_text(text.replace("/usr/sbin/oauth2ctl", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / UNIT.name], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert "[Install]" not in text, "it is switched on by a link"
    before = re.search(r"(?m)^Before=(.*ssh.*)", text)[1].split()
    assert {"ssh.service", "ssh.socket", "sshd.service", "systemd-user-sessions.service"} <= set(before)
    assert "network" not in re.sub(r"(?m)^#.*", "", text) and "DefaultDependencies=no" in text


def test_the_unit_is_installed_and_switched_on(machine):
    assert machine.sandbox.read(INSTALLED) == UNIT.read_text()
    wanted = f"/usr/lib/systemd/system/multi-user.target.wants/{UNIT.name}"
    assert machine.sandbox.output(f"readlink -f {wanted}") == INSTALLED


def test_after_a_reboot_a_setup_whose_time_is_over_is_rolled_back_byte_for_byte(machine):
    forgotten(machine)
    boot(machine)
    machine.assert_untouched(machine.before)
    assert not waits(machine)


def test_after_a_reboot_a_setup_gets_the_rest_of_its_time(machine):
    machine.set_up("--confirm 20s")
    reboot(machine)
    boot(machine)
    assert is_unfinished(machine) and waits(machine)
    assert machine.sandbox.read(NSSWITCH).count("oauth2") == 2
    wait_until(lambda: not is_unfinished(machine), "the roll back", timeout=60)
    wait_until(lambda: not waits(machine), "the process to end")
    machine.assert_untouched(machine.before)


def test_a_boot_at_which_the_rest_of_the_time_cannot_be_arranged_rolls_back_at_once(machine):
    machine.set_up("--confirm 5m")
    reboot(machine)
    # As if systemd ran, which nobody can ask here.
    machine.sandbox.run("mkdir -p /run/systemd/system")
    boot(machine)
    machine.assert_untouched(machine.before)
    assert "cannot be scheduled" in machine.sandbox.log()


def test_after_a_reboot_with_a_clock_years_behind_nobody_waits_for_years(machine):
    machine.set_up("--confirm 10s")
    reboot(machine)
    journal = json.loads(machine.sandbox.read(JOURNAL))
    journal["wait"]["until"] += 10 ** 8
    machine.sandbox.write(JOURNAL, json.dumps(journal), 0o600)
    boot(machine)
    wait_until(lambda: not is_unfinished(machine), "the roll back", timeout=60)
    wait_until(lambda: not waits(machine), "the process to end")
    machine.assert_untouched(machine.before)


def test_a_reboot_changes_nothing_once_a_setup_is_confirmed(machine):
    machine.set_up("--confirm 5m")
    machine.ctl("setup confirm")
    wait_until(lambda: not waits(machine), "the process to end")
    after = machine.files()
    boot(machine)
    machine.ctl("setup roll-back --at-boot")
    machine.assert_untouched(after)
    assert not waits(machine)


def test_a_login_before_the_reboot_is_a_confirmation(machine):
    machine.set_up("--confirm 5m")
    assert machine.person.first_login("ann").status == 0
    reboot(machine)
    let_time_pass(machine)
    boot(machine)
    assert not is_unfinished(machine)
    assert machine.person.login_again("ann").status == 0


def test_a_setup_that_the_end_of_the_machine_cut_off_is_undone_at_boot(machine):
    machine.set_up("--confirm 5m")
    reboot(machine)
    journal = json.loads(machine.sandbox.read(JOURNAL))
    machine.sandbox.write(JOURNAL, json.dumps({**journal, "phase": "applying"}), 0o600)
    boot(machine)
    machine.assert_untouched(machine.before)


def test_a_boot_long_after_a_setup_was_cut_off_leaves_what_somebody_has_changed_since(machine):
    machine.set_up("--confirm 5m")
    reboot(machine)
    machine.sandbox.run(EDIT)
    theirs = machine.sandbox.read(NSSWITCH)
    journal = json.loads(machine.sandbox.read(JOURNAL))
    long_ago = {**journal, "phase": "applying", "wait": None, "begun": journal["begun"] - 90 * 86400}
    machine.sandbox.write(JOURNAL, json.dumps(long_ago), 0o600)
    done = machine.ctl("setup roll-back --at-boot", check=False)
    assert done.returncode == 8 and NSSWITCH in done.stderr, done
    assert machine.sandbox.read(NSSWITCH) == theirs and is_unfinished(machine)
    assert not machine.sandbox.path(REPLACED).exists()
    assert "more than a day ago" in machine.sandbox.log()
    found = ask(machine.sandbox).checks["U4"]
    assert found["state"] == "warning" and NSSWITCH in found["saw"], found
    # What nobody has changed is as it was, and somebody who is there may have the rest.
    assert not machine.sandbox.path(product.CONFIG).exists()
    machine.ctl("setup roll-back --yes")
    left = [line for line in machine.files() if "/var/lib/pam_oauth2_device" not in line]
    assert left == [line for line in machine.before if "/var/lib/pam_oauth2_device" not in line]


def test_the_next_setup_puts_a_forgotten_one_back_before_it_begins(machine):
    forgotten(machine)
    shown = machine.set_up("--dry-run", check=False)
    assert shown.returncode == 8 and "oauth2ctl setup roll-back" in shown.stderr
    done = machine.set_up()
    assert "its time is over" in done.stderr
    assert not is_unfinished(machine)
    # What each part keeps is what stood there before both.
    machine.ctl("disable nss")
    nsswitch = [line for line in machine.before if NSSWITCH in line]
    assert [line for line in machine.files() if NSSWITCH in line] == nsswitch


@pytest.mark.parametrize("command", ["enable nss", "enable sshd", "disable sshd", "disable pam"])
def test_no_part_is_changed_while_a_setup_is_unsettled(machine, command):
    machine.set_up("--confirm 5m")
    now = machine.files()
    waiting = machine.ctl(command, check=False)
    assert waiting.returncode == 8 and "setup confirm" in waiting.stderr
    reboot(machine)
    let_time_pass(machine)
    over = machine.ctl(command, check=False)
    assert over.returncode == 8 and "oauth2ctl setup roll-back" in over.stderr
    assert [line for line in machine.files() if JOURNAL not in line and "undo " not in line] == \
        [line for line in now if JOURNAL not in line and "undo " not in line]
    machine.ctl("setup roll-back")
    machine.assert_untouched(machine.before)


def test_doctor_tells_what_waits_from_what_was_forgotten(machine):
    machine.set_up("--confirm 5m")
    found = ask(machine.sandbox).checks["U4"]
    assert found["state"] == "warning" and "waits" in found["saw"] and "setup confirm" in found["remedy"]
    mask = "/etc/systemd/system/oauth2-setup-roll-back.service"
    machine.sandbox.run(f"mkdir -p /etc/systemd/system && ln -s /dev/null {mask}")
    found = ask(machine.sandbox).checks["U4"]
    assert "after a reboot" in found["consequence"] and "systemctl unmask" in found["remedy"]
    machine.sandbox.run(f"rm {mask}")
    reboot(machine)
    let_time_pass(machine)
    found = ask(machine.sandbox).checks["U4"]
    assert "its time is over" in found["saw"] and found["remedy"].startswith("oauth2ctl setup roll-back")


# What somebody else has changed since

def test_the_roll_back_that_comes_by_itself_keeps_what_somebody_else_wrote(machine):
    machine.set_up("--confirm 5m")
    machine.sandbox.run(EDIT)
    theirs = machine.sandbox.read(NSSWITCH)
    reboot(machine)
    let_time_pass(machine)
    boot(machine)
    # The machine is as it was, and nobody is locked out by a half.
    left = [line for line in machine.files() if "/var/lib/pam_oauth2_device" not in line]
    assert left == [line for line in machine.before if "/var/lib/pam_oauth2_device" not in line]
    kept = machine.sandbox.output(f"ls {REPLACED}/*").splitlines()
    assert len(kept) == 1 and "etc-nsswitch.conf" in kept[0]
    assert machine.sandbox.read(kept[0]) == theirs
    assert machine.sandbox.output(f"stat -c '%a %U' {kept[0]} {REPLACED}").splitlines() == ["600 root", "700 root"]
    assert kept[0] in machine.sandbox.log()
    found = ask(machine.sandbox).checks["U4"]
    assert found["state"] == "warning" and kept[0] in found["saw"] and kept[0] in found["remedy"]


def test_a_roll_back_by_hand_asks_before_somebody_elses_version_gives_way(machine):
    machine.set_up("--confirm 5m")
    machine.sandbox.run(EDIT)
    now = machine.sandbox.read(NSSWITCH)
    refused = machine.ctl("setup roll-back", check=False)
    assert refused.returncode == 7 and "--yes" in refused.stderr and "myhostname" in refused.stdout
    assert machine.sandbox.read(NSSWITCH) == now and is_unfinished(machine) and waits(machine)
    for answer, status in (("n", 7), ("y", 0)):
        argv = machine.sandbox.inside("oauth2ctl", "setup", "roll-back")
        with Terminal(argv, ENVIRONMENT) as terminal:
            terminal.expect(r"\[y/N\] ")
            terminal.send_line(answer)
            assert terminal.wait(60) == status, terminal.screen
        assert is_unfinished(machine) == (answer == "n")
    assert "myhostname" not in machine.sandbox.read(NSSWITCH)
    assert machine.sandbox.read(machine.sandbox.output(f"ls {REPLACED}/*")) == now


@pytest.mark.parametrize("command", ["roll-back", "confirm"])
def test_a_question_that_nobody_answers_keeps_nothing_waiting(machine, command):
    machine.set_up("--confirm 15s" if command == "roll-back" else "--confirm 5m")
    machine.sandbox.run(EDIT)
    with Terminal(machine.sandbox.inside("oauth2ctl", "setup", "roll-back"), ENVIRONMENT) as terminal:
        terminal.expect(r"\[y/N\] ")
        if command == "confirm":
            machine.ctl("setup confirm", timeout=30)
        wait_until(lambda: not is_unfinished(machine), "the end of the setup", timeout=60)
        # The answer comes too late, and harms nothing.
        terminal.send_line("y")
        assert terminal.wait(60) == 0 and "no change" in terminal.screen, terminal.screen
    assert ("oauth2" in machine.sandbox.read(NSSWITCH)) == (command == "confirm")
    wait_until(lambda: not waits(machine), "the process to end")


def test_what_somebody_changes_while_the_question_stands_is_asked_for_again(machine):
    machine.set_up("--confirm 5m")
    machine.sandbox.run(EDIT)
    with Terminal(machine.sandbox.inside("oauth2ctl", "setup", "roll-back"), ENVIRONMENT) as terminal:
        terminal.expect(r"\[y/N\] ")
        machine.sandbox.run("echo '# later' >> /etc/nsswitch.conf")
        terminal.send_line("y")
        terminal.expect(r"# later[\s\S]*\[y/N\] ")
        terminal.send_line("n")
        assert terminal.wait(60) == 7, terminal.screen
    assert is_unfinished(machine) and "# later" in machine.sandbox.read(NSSWITCH)


def test_a_configuration_that_somebody_edited_is_kept_and_shows_no_secret(machine):
    machine.set_up("--confirm 5m")
    machine.sandbox.write(product.CONFIG, '{"client_secret": "hush-hush-1"}', 0o600)
    done = machine.ctl("setup roll-back --yes")
    assert product.CONFIG in done.stdout
    assert "hush-hush-1" not in done.stdout + done.stderr + machine.sandbox.log()
    assert "hush-hush-1" in machine.sandbox.read(machine.sandbox.output(f"ls {REPLACED}/*"))


def test_a_file_that_setup_did_not_change_is_left_to_whoever_changes_it(machine):
    # sshd_config includes its drop-ins already: setup has no part in it.
    machine.sandbox.run("sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config")
    machine.set_up("--confirm 5m")
    machine.sandbox.run("echo '# mine' >> /etc/ssh/sshd_config")
    machine.ctl("setup roll-back")
    assert machine.sandbox.read("/etc/ssh/sshd_config").endswith("# mine\n")
    assert not machine.sandbox.path(REPLACED).exists()


def test_lines_of_somebody_else_in_our_drop_in_are_kept_by_disable(machine):
    machine.set_up()
    drop_in = "/etc/ssh/sshd_config.d/20-oauth2.conf"
    machine.sandbox.run(f"echo '    X11Forwarding no' >> {drop_in}")
    done = machine.ctl("disable sshd")
    assert "somebody else" in done.stderr and not machine.sandbox.path(drop_in).exists()
    assert "X11Forwarding no" in machine.sandbox.read(machine.sandbox.output(f"ls {REPLACED}/*"))


# A store that cannot be read

def test_a_store_that_cannot_be_read_keeps_no_file_from_coming_back(machine):
    machine.set_up()
    assert machine.person.first_login("ann").status == 0
    before = machine.sandbox.read(product.CONFIG)
    machine.ctl("setup --max-confirmation-age 9 --confirm 5m --non-interactive")
    machine.sandbox.run(f"dd if=/dev/urandom of={product.STORE} bs=4096 count=2 conv=notrunc 2>/dev/null")
    spoilt = machine.sandbox.output(f"sha256sum {product.STORE}")
    done = machine.ctl("setup roll-back")
    assert "store" in done.stderr and machine.sandbox.read(product.CONFIG) == before
    assert not is_unfinished(machine)
    # Whatever can still be read of it is not ours to throw away.
    assert machine.sandbox.output(f"sha256sum {product.STORE}") == spoilt


def test_a_store_that_setup_made_and_nobody_can_read_stays(machine):
    machine.set_up("--confirm 5m")
    machine.sandbox.run(f"dd if=/dev/urandom of={product.STORE} bs=4096 count=2 conv=notrunc 2>/dev/null")
    done = machine.ctl("setup roll-back")
    assert "stays" in done.stderr and machine.sandbox.path(product.STORE).exists()
    left = [line for line in machine.files() if "/var/lib/pam_oauth2_device" not in line]
    assert left == [line for line in machine.before if "/var/lib/pam_oauth2_device" not in line]


# What a program is told

@pytest.mark.parametrize("spoil, code", [
    # The stack admits whom nobody has verified: seen by the proof, when nearly everything has been changed.
    ("sed -i '1i account sufficient pam_permit.so' /etc/pam.d/sshd", 1),
    # pam-auth-update leaves files alone that were edited by hand.
    ("sed -i '/^auth.*pam_unix/s/^/# mine\\n/; s/^account.*requisite.*pam_deny/#&/'"
     " /etc/pam.d/common-auth /etc/pam.d/common-account", 8),
])
def test_a_setup_that_failed_and_was_put_back_has_changed_nothing(machine, spoil, code):
    machine.sandbox.run(spoil)
    before = machine.files()
    done = machine.set_up_json(check=False)
    assert done["error"]["code"] == code and done["changed"] is False, done
    machine.assert_untouched(before)


def test_a_failed_setup_that_put_an_earlier_one_back_has_changed_something(machine):
    forgotten(machine)
    machine.sandbox.run("sed -i '1i account sufficient pam_permit.so' /etc/pam.d/sshd")
    done = machine.set_up_json(check=False)
    assert done["error"]["code"] == 1 and done["changed"] is True, done
    assert "oauth2" not in machine.sandbox.read(NSSWITCH)
