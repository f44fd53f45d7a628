"""From a fresh Debian to a stranger's login, as the README says it: apt, setup, doctor, ssh."""

import json
import time

from rig import local_people, product
from rig.machine import Machine
from rig.setup import ANSWERS, CA

# A server that lets nobody in by password.
SSHD = {"KbdInteractiveAuthentication": "no", "PasswordAuthentication": "no"}
SHUT = {"root by password", "localu by keyboard-interactive", "localu by the password method"}


def test_three_commands_lie_between_a_fresh_debian_and_a_strangers_first_login(release):
    with Machine(release, config=None, enabled=False, installed=False, sshd=SSHD) as machine:
        sandbox, person = machine.sandbox, machine.person
        sandbox.write(CA, machine.provider.ca.read_text())
        ways_in = local_people.broken_ways_in(machine).keys()
        begun = time.monotonic()
        steps = []

        def step(what, act):
            since = time.monotonic()
            ended = act()
            steps.append(f"{what}: {time.monotonic() - since:.1f} s")
            return ended

        step("apt install", lambda: product.install_packages(sandbox))
        assert person.try_everything("ann") == 255
        step("setup", lambda: sandbox.run(f"oauth2ctl {ANSWERS} --non-interactive"))
        sandbox.run("kill -HUP $(cat /run/sshd.pid)")
        examined = step("doctor", lambda: sandbox.run("oauth2ctl --json doctor", check=False))
        faults = [check for check in json.loads(examined.stdout)["checks"] if check["state"] == "fault"]
        assert faults == [] and examined.returncode in (0, 3), examined.stdout
        ended = step("the first login", lambda: person.first_login("ann", command="id -un"))
        assert (ended.status, ended.output.strip()) == (0, "ann"), ended.screen
        print(f"\n{release}: {'; '.join(steps)}; {time.monotonic() - begun:.0f} s in all")
        # sshd's own settings stand for everybody else: what was shut is, and nothing more.
        assert local_people.broken_ways_in(machine).keys() == ways_in == SHUT
