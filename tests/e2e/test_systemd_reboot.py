"""A machine that systemd boots again while a setup waits for its confirmation."""

import json

from rig.booted import BootedMachine
from rig.setup import JOURNAL

UNIT = "oauth2-setup-roll-back.service"
TIMER = "oauth2ctl-setup-roll-back.timer"


def let_time_pass(machine):
    """The end of the time is in the past when the machine comes up."""
    journal = json.loads(machine.sandbox.read(JOURNAL))
    journal["wait"]["until"] = 1
    machine.sandbox.write(JOURNAL, json.dumps(journal), 0o600)


def moment(machine, unit, which):
    """Microseconds since the boot of the kernel."""
    name = f"ExecMain{which}TimestampMonotonic"
    return int(machine.systemctl(f"show --value --property={name} {unit}"))


def test_a_setup_waits_on_over_a_reboot_and_is_rolled_back_by_the_one_after_its_time_before_sshd_is_there():
    with BootedMachine("bookworm") as machine:
        before = machine.files()
        machine.set_up("--confirm 10m")
        machine.sandbox.reboot()
        assert machine.sandbox.path(JOURNAL).exists()
        assert TIMER in machine.systemctl("list-timers --all --no-legend")
        assert "Result=success" in machine.systemctl(f"show --property=Result {UNIT}")
        assert machine.sandbox.read("/etc/nsswitch.conf").count("oauth2") == 2
        let_time_pass(machine)
        machine.sandbox.reboot()
        assert "Result=success" in machine.systemctl(f"show --property=Result {UNIT}")
        machine.assert_untouched(before)
        assert not machine.sandbox.path(JOURNAL).exists()
        assert TIMER not in machine.systemctl("list-timers --all --no-legend")
        assert 0 < moment(machine, UNIT, "Exit") < moment(machine, "ssh.service", "Start")
        assert machine.systemctl("--failed --no-legend") == ""
        # And nothing is left for the boot after that.
        machine.sandbox.reboot()
        machine.assert_untouched(before)


def test_a_login_before_the_reboot_is_a_confirmation():
    with BootedMachine("bookworm") as machine:
        machine.set_up("--confirm 10m")
        assert machine.person.first_login("ann").status == 0
        let_time_pass(machine)
        machine.sandbox.reboot()
        assert not machine.sandbox.path(JOURNAL).exists()
        assert machine.person.login_again("ann").status == 0
