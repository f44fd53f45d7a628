"""Subordinate ids (subuid(5)): a range is given once, to one person, for ever; what runs under it is its owner's."""

import pytest

from rig import ctl
from rig.ctl import ask, say
from rig.machine import Machine
from rig.processes import sleeper, stubborn

FILES = ("/etc/subuid", "/etc/subgid")


@pytest.fixture(scope="module")
def machine():
    with ctl.unconfigured_provider(Machine) as ready:
        yield ready


@pytest.fixture(autouse=True)
def files(machine):
    for file in FILES:
        machine.sandbox.write(file, "localu:100000:65536\n")


def lines(machine):
    """Owner and first number of every line; both files say the same."""
    texts = [machine.sandbox.read(file) for file in FILES]
    assert texts[0] == texts[1]
    fields = [line.split(":") for line in texts[0].splitlines()]
    assert {count for _, _, count in fields} == {"65536"}
    return [(owner, int(first)) for owner, first, _ in fields]


def first_of(machine, name):
    ask(machine, f"user add {name} --subids")
    return dict(lines(machine))[name]


def gone(process):
    return process.wait(10) != 0


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


@pytest.mark.parametrize("purge", ["", "--purge"])
def test_a_range_outlives_the_removal_of_its_person_and_goes_to_nobody_else(machine, purge):
    name, other = f"lea{len(purge)}", f"leo{len(purge)}"
    first = first_of(machine, name)
    uid = str(machine.uid_of(name))
    answer = ask(machine, f"user remove {name} {purge}")
    assert (uid, first) in lines(machine) and name not in dict(lines(machine))
    assert answer["left"]["subordinate_ids"] == [f"{uid}:{first}:65536 in {file}" for file in FILES]
    assert not ask(machine, f"user remove {name} {purge}")["changed"], "and stays so"
    assert first_of(machine, other) == first + 65536
    # useradd(8) has no other memory than these files.
    machine.sandbox.run(f"useradd -M -F {other}x || useradd -M {other}x")
    assert dict(lines(machine)).get(f"{other}x") != first
    machine.sandbox.run(f"userdel {other}x")


def test_whoever_comes_back_has_their_own_range_and_whoever_gets_the_name_has_not(machine):
    first = first_of(machine, "mia")
    uid = machine.uid_of("mia")
    ask(machine, "user remove mia --purge")
    assert first_of(machine, "mia") == first, "the same person"
    assert str(uid) not in dict(lines(machine))
    ask(machine, "user remove mia")
    ask(machine, "user add mia --reuse-name --uid 4711")
    assert dict(lines(machine)).get("mia") is None
    assert first_of(machine, "mia") == first + 65536
    assert (str(uid), first) in lines(machine)


def test_a_name_that_is_given_away_takes_no_range_along_that_was_left_by_hand(machine):
    """As an earlier version left it: the line of somebody removed, under the name."""
    ask(machine, "user add nele")
    uid = machine.uid_of("nele")
    ask(machine, "user remove nele")
    machine.sandbox.run("for file in /etc/subuid /etc/subgid; do echo nele:500000:65536 >>$file; done")
    ask(machine, "user add nele --reuse-name --uid 4712")
    assert lines(machine)[-1] == (str(uid), 500000)


def test_a_range_follows_its_person_to_a_new_name(machine):
    first = first_of(machine, "ole")
    ask(machine, "user rename ole olaf")
    assert lines(machine)[-1] == ("olaf", first)
    assert not ask(machine, "user add olaf --subids")["changed"]
    ask(machine, "user rename olaf ole")
    assert lines(machine)[-1] == ("ole", first)


def test_whoever_has_taken_over_a_name_keeps_their_range_when_that_is_said_again(machine):
    former = first_of(machine, "tom")
    uid = str(machine.uid_of("tom"))
    ask(machine, "user remove tom")
    first = first_of(machine, "tim")
    assert ask(machine, "user rename tim tom --reuse-name")["changed"]
    theirs = lines(machine)
    assert (uid, former) in theirs and ("tom", first) in theirs
    assert not ask(machine, "user rename tim tom --reuse-name")["changed"]
    assert lines(machine) == theirs
    ask(machine, "user add tilo")
    say(machine, "user rename tilo tom --reuse-name", 8)
    assert lines(machine) == theirs, "nor by a command that is refused"
    assert not ask(machine, "user add tom --reuse-name --subids")["changed"]
    assert lines(machine) == theirs


def test_a_lock_with_kill_ends_what_runs_under_subordinate_uids(machine):
    first, neighbour = first_of(machine, "pam"), first_of(machine, "pim")
    processes = [sleeper(machine, first), stubborn(machine, first + 65535), sleeper(machine, machine.uid_of("pam"))]
    others = [sleeper(machine, neighbour), sleeper(machine, 100000)]
    try:
        ended = ask(machine, "user lock pam --kill")["users"][0]["ended"]
        assert (ended["processes"], ended["killed"]) == (3, 1)
        assert all(gone(process) for process in processes)
        assert [process.poll() for process in others] == [None, None]
        assert not ask(machine, "user lock pam --kill")["changed"]
    finally:
        for process in others:
            process.kill()


@pytest.mark.parametrize("command", ["user remove {} --purge", "user sweep"])
def test_a_removal_and_a_sweep_end_it_as_well(machine, command):
    name = "quent" if "purge" in command else "ruben"
    first = first_of(machine, name)
    process = sleeper(machine, first + 99)
    if command == "user sweep":
        ask(machine, f"user remove {name}")
        assert process.poll() is None, "a removal alone ends nothing"
    assert ask(machine, command.format(name))["changed"]
    assert gone(process)
    late = sleeper(machine, first + 99)
    ask(machine, "user sweep")
    assert gone(late), "the range is theirs still, and nobody else's"


def test_a_number_that_is_somebody_elses_too_is_left_alone(machine):
    """A line that somebody has written by hand, over the machine's own people and another one's range."""
    ask(machine, "user add sina")
    localu = machine.uid_of("localu")
    machine.sandbox.run("echo 'sina:0:200000' >>/etc/subuid")
    processes = {uid: sleeper(machine, uid) for uid in (localu, 100000, 180000)}
    root = machine.sandbox.popen(["sleep", "600"])
    try:
        said = say(machine, "user lock sina --kill")
        assert f"warning: something runs under uid {localu}, 100000, " in said and "localu's" in said
        assert gone(processes[180000]), "theirs alone"
        assert processes[localu].poll() is None and processes[100000].poll() is None and root.poll() is None
    finally:
        for process in (*processes.values(), root):
            process.kill()


def test_what_a_namesake_of_etc_passwd_has_under_the_name_is_left_alone(machine):
    ask(machine, "user add udo")
    theirs = sleeper(machine, machine.uid_of("udo"))
    machine.sandbox.run("echo udo:x:1777:1777::/srv:/bin/sh >>/etc/passwd && oauth2ctl publish"
                        " && for file in /etc/subuid /etc/subgid; do echo udo:700000:65536 >>$file; done"
                        " && mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/udo")
    namesakes = [sleeper(machine, uid) for uid in (1777, 700000)]
    try:
        ended = ask(machine, "user lock udo --kill")["users"][0]["ended"]
        assert (ended["processes"], ended["linger"]) == (1, False)
        assert gone(theirs)
        assert not ask(machine, "user sweep")["changed"]
        assert [process.poll() for process in namesakes] == [None, None]
        assert machine.sandbox.succeeds("test -e /var/lib/systemd/linger/udo")
    finally:
        for process in (*namesakes, theirs):
            process.kill()
        machine.sandbox.run("sed -i /^udo:/d /etc/passwd && oauth2ctl publish; rm -f /var/lib/systemd/linger/udo")


@pytest.mark.parametrize("option", ["--purge", "--archive /srv/homes"])
def test_what_runs_of_somebody_else_in_a_range_of_both_keeps_nobody_from_their_end(machine, option):
    """As hand-written lines, or another machine's files, have it: a container of root's in ann's range."""
    name = "vera" if option == "--purge" else "vito"
    ask(machine, f"user add {name}")
    uid = machine.uid_of(name)
    machine.sandbox.run(f"echo root:100000:65536 >/etc/subuid; echo {name}:100000:65536 >>/etc/subuid"
                        f" && mkdir -p /srv/homes /home /var/mail && install -d -o {uid} -g {uid} -m 700 /home/{name}"
                        f" && chmod 700 /srv/homes && touch /var/mail/{name}")
    roots, theirs = [sleeper(machine, 100033), sleeper(machine, 100034)], sleeper(machine, uid)
    try:
        answer = ask(machine, f"user remove {name} {option}")
        assert gone(theirs) and [process.poll() for process in roots] == [None, None]
        assert any("100033, 100034, " in line and "root's" in line for line in answer["warnings"]), answer
        assert machine.sandbox.succeeds(f"test -e /var/mail/{name}") == (option != "--purge")
        assert machine.sandbox.succeeds(f"test -e /home/{name}") == (option == "--purge")
        swept = ask(machine, "user sweep")
        assert not swept["changed"] and any("root's" in line for line in swept["warnings"])
    finally:
        for process in (*roots, theirs):
            process.kill()
