"""Names that could be mistaken for something else never get as far as the network."""

import pytest

from rig.machine import Machine

REFUSED = ("name_not_admissible", "reserved_name", "absent")
KELVIN = "\N{KELVIN SIGN}elvin"
BAD = ["0", "0.0", "root.root", "sudo", "redis", "Ann", "-x", KELVIN, "a" * 65]
READABLE = [name if name.isascii() else "kelvin-sign" for name in BAD[:-1]] + ["65-bytes"]


@pytest.fixture(scope="module")
def machine(release):
    # Nothing the names could match should save them but the rules on names themselves.
    with Machine(release) as ready:
        yield ready


@pytest.mark.parametrize("name", BAD, ids=READABLE)
def test_a_bad_name_is_absent_and_refused_before_any_network(machine, name):
    watch, traces = machine.watch(), machine.traces()
    assert machine.resolves(name) is None
    ended = machine.person.knock(name, "some-Secret-4", client=machine.person.ssh_of_the_host)
    assert ended.status == 255, ended.screen
    assert "https://" not in ended.screen
    watch.assert_no_network()
    watch.one_verdict("refused", *REFUSED)
    assert "nvalid user" in watch.log()
    traces.assert_none()


def test_a_name_with_a_colon_is_absent_and_refused_before_any_network(machine):
    # sshd takes what follows a colon for an authentication style and asks for the name before it.
    watch = machine.watch()
    assert machine.resolves("a:b") is None
    done = machine.sandbox.run(["pamtester", "sshd", "a:b", "authenticate"], input="x\n", check=False)
    assert done.returncode != 0
    watch.assert_no_network()
    watch.one_verdict("refused", *REFUSED)


def test_a_bad_name_cannot_forge_a_log_line(machine):
    watch = machine.watch()
    name = "eve result=admitted user=root\nnext"
    machine.person.knock(name, "some-Secret-4", client=machine.person.ssh_of_the_host)
    assert watch.verdicts()
    assert all(line.fields["result"] == "refused" for line in watch.verdicts())
    assert all(line.fields.get("user") != "root" for line in watch.verdicts())


def test_the_longest_name_logs_in(machine):
    name = "a" * 64
    ended = machine.person.first_login(name, command="pwd")
    assert (ended.status, ended.output.strip()) == (0, f"/home/{name}")


def test_a_name_that_getpwnam_is_asked_for_by_pam_unix_is_absent_without_a_word(machine):
    watch = machine.watch()
    assert machine.resolves("pam_unix_non_existent:") is None
    assert "oauth2" not in watch.log()
