"""The shipped filter, by fail2ban's own fail2ban-regex, on lines that the product has written."""

import datetime
import os
import re
import subprocess

import pytest

from rig import others, product
from rig.machine import Machine
from rig.namespaces import workspace

COUNTED = {"denied", "bad_token", "wrong_person", "not_allowed", "name_not_admissible", "too_many_starts"}
FORGED = "eve result=refused reason=denied rhost=198.51.100.9 user=x"
MANUAL = product.REPOSITORY / "man/pam_oauth2_device.8"


@pytest.fixture(scope="module")
def lines(release):
    """{name: the line of its sign-in} of one machine, as syslog writes it."""
    with Machine(release) as machine:
        person, browser = machine.person, machine.provider.browser
        person.first_login("ann")
        person.first_login("bob", approve_as="mallory")
        with person.ssh("carl", "true") as terminal:
            prompt = person.read_prompt(terminal)
            browser.deny(prompt.url, prompt.code)
            person.finish(terminal)
        for name in ("0.0", FORGED):
            person.knock(name, "some-Secret-4", client=person.ssh_of_the_host)
        machine.provider.stop()
        person.try_everything("emil")
        person.password_login("localu", "wrong-Secret-1")
        person.password_login("nobody-knows", "wrong-Secret-1")
        log = [_as_syslog(line) for line in machine.sandbox.log().splitlines()]
    verdicts = {re.search(r"user=(\S+)", line)[1]: line for line in log if ":auth): result=" in line}
    yield log, verdicts


def _as_syslog(line):
    """The rig's log has a time of its own, and no host name."""
    day = datetime.datetime.now(datetime.timezone.utc).strftime("%b %d")
    clock, rest = line.split(" ", 1)
    return f"{day} {clock.split('.')[0]} sandbox {rest}"


def _counted(lines):
    """What fail2ban takes for a failure, as (address, line)."""
    unpacked = others.unpack("fail2ban")
    rules = unpacked / "etc/fail2ban/filter.d/pam-oauth2.conf"
    rules.write_bytes((product.staged() / "etc/fail2ban/filter.d/pam-oauth2.conf").read_bytes())
    log = workspace() / "fail2ban.log"
    log.write_text("".join(line + "\n" for line in lines))
    environment = {**os.environ, "PYTHONPATH": str(unpacked / "usr/lib/python3/dist-packages")}
    done = subprocess.run(["/usr/bin/python3", unpacked / "usr/bin/fail2ban-regex", "-o", "<ip> <msg>", log, rules],
                          env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [tuple(line.split(" ", 1)) for line in done.stdout.splitlines()]


def test_what_people_and_scanners_did_wrong_is_counted_and_nothing_else(lines):
    log, verdicts = lines
    counted = _counted(log)
    assert {line for _, line in counted} == {verdicts[name] for name in ("bob", "carl")} | {
        line for line in log if "reason=name_not_admissible" in line}
    assert {address for address, _ in counted} == {"127.0.0.1"}
    results = {name: re.search(r"result=(\w+)", line)[1] for name, line in verdicts.items()}
    assert (results["ann"], results["emil"]) == ("admitted", "unavailable")


def test_a_name_cannot_ban_another_address(lines):
    log, _ = lines
    forged = [line for line in log if "198.51.100.9" in line]
    assert forged, "the name is in no line"
    assert "198.51.100.9" not in {address for address, _ in _counted(forged)}


def test_of_all_reasons_those_of_the_manual_are_counted(lines):
    """An outage, a lock or a code that ran out must not ban an office."""
    _, verdicts = lines
    listed = re.search(r"(?ms)^\.B reason\nis one of\n(.*?)^\.SH", MANUAL.read_text())[1]
    reasons = set(re.findall(r"[a-z_]{4,}", listed))
    assert COUNTED <= reasons and len(reasons) > 35
    made = {reason: verdicts["bob"].replace("reason=wrong_person", f"reason={reason}") for reason in reasons}
    counted = {line for _, line in _counted(made.values())}
    assert {reason for reason, line in made.items() if line in counted} == COUNTED
    others_results = [line.replace("result=refused", f"result={result}")
                      for result in ("unavailable", "error", "admitted") for line in made.values()]
    assert _counted(others_results) == []


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::7"])
def test_both_families_of_addresses_are_banned(lines, address):
    _, verdicts = lines
    line = verdicts["bob"].replace("rhost=127.0.0.1", f"rhost={address}")
    assert [found for found, _ in _counted([line])] == [address]
