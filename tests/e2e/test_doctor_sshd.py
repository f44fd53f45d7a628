"""`oauth2ctl doctor`: what sshd would do for one of ours and for a local user."""

import pytest

from rig.doctor import Break, ask, healthy, unsettled
from rig.sandbox import RELEASES

SSHD = "/etc/ssh/sshd_config"
OLD = f"cp -a /root/sshd_config {SSHD}; rm -f /etc/ssh/sshd_config.d/20-oauth2.conf"


def setting(line):
    return f"cp -a {SSHD} /root/sshd_config && sed -i '1i {line}' {SSHD}"


DROP_IN = "/etc/ssh/sshd_config.d/10-mine.conf"
NO_DROP_IN = f"rm {DROP_IN}"
RESTORE = "rm -f /etc/ssh/sshd_config.d/20-oauth2.conf"


def drop_in(text):
    return f"printf '{text}\n' > {DROP_IN}".replace("\n", "\\n")


NO_PASSWORDS = setting("PasswordAuthentication no")
NO_KEYBOARD = f"cp -a {SSHD} /root/sshd_config && sed -i 's/^Kbd.*/KbdInteractiveAuthentication no/' {SSHD}"

BREAKS = [
    Break("no PAM", "S1", setting("UsePAM no"), "fault", "UsePAM no", "UsePAM yes", mends=True, undo=OLD),
    Break("no sense", "S1", setting("UsePAM perhaps"), "fault", "perhaps", "sshd -t", undo=OLD, silences=True),
    Break("nothing to read for ours", "S2", NO_KEYBOARD, "fault", "KbdInteractiveAuthentication no",
          "oauth2ctl enable sshd", mends=True, undo=OLD),
    Break("passwords opened again", "S2", NO_PASSWORDS, "warning", "PasswordAuthentication no",
          "oauth2ctl enable sshd", mends=True, undo=OLD),
    Break("keys only", "S3", setting("AuthenticationMethods publickey"), "fault", "AuthenticationMethods publickey",
          "AuthenticationMethods keyboard-interactive publickey", mends=True, undo=OLD),
    Break("too little time", "S4", setting("LoginGraceTime 30"), "fault", "LoginGraceTime 30",
          "LoginGraceTime 120", mends=True, undo=OLD),
    Break("the default of MaxStartups", "S5", f"cp -a {SSHD} /root/sshd_config && sed -i 's/^MaxStartups.*/MaxStartups 10:30:100/' {SSHD}",
          "warning", "10:30:100",
          "/MaxStartups 100:30:200/", mends=True, undo=OLD),
    Break("few from one address", "S6", setting("PerSourceMaxStartups 3"), "warning", "PerSourceMaxStartups 3",
          "PerSourceMaxStartups 30", mends=True, undo=OLD),
    Break("a host in AllowUsers", "S7", setting("DenyUsers mallory@example.com"), "warning",
          "DenyUsers mallory@example.com", "oauth2ctl user lock mallory@example.com", undo=OLD),
    Break("a group that is not ours", "S7", setting("AllowGroups sudo"), "fault", "AllowGroups sudo",
          "& oauth2-users/I", mends=True, undo=OLD),
    Break("our group denied", "S7", setting("DenyGroups nogroup oauth2-users"), "fault", "oauth2-users",
          "DenyGroups", mends=True, undo=OLD),
    Break("an at sign in AllowUsers", "S7", setting("AllowUsers * ann@example.com"), "warning",
          "AllowUsers ann@example.com", "ann?example.com", undo=OLD),
    Break("users by name", "S7", setting("AllowUsers localu root"), "warning", "AllowUsers",
          "every group of the local administrators",
          undo=OLD),
    # What counts may stand in a drop-in: the remedy names file and line, and edits nothing else.
    Break("too little time in a drop-in", "S4", drop_in("# mine\nLoginGraceTime 30"), "fault",
          f"({DROP_IN} line 2)", f"{DROP_IN} && sshd", mends=True, undo=NO_DROP_IN),
    Break("MaxStartups in a drop-in", "S5",
          "sed -i.kept '/^MaxStartups/d' /etc/ssh/sshd_config && " + drop_in("MaxStartups 5:30:10"), "warning",
          f"MaxStartups 5:30:10 ({DROP_IN} line 1)", f"sed -i '1s/.*/MaxStartups 100:30:200/' {DROP_IN}", mends=True,
          undo=f"{NO_DROP_IN}; mv {SSHD}.kept {SSHD}"),
    Break("few from one address in a drop-in", "S6", drop_in("PerSourceMaxStartups 3"), "warning",
          f"({DROP_IN} line 1)", f"'1s/.*/PerSourceMaxStartups 30/' {DROP_IN}", mends=True, undo=NO_DROP_IN),
    Break("no PAM in a drop-in", "S1", drop_in("UsePAM no"), "fault", f"({DROP_IN} line 1)",
          f"'1s/.*/UsePAM yes/' {DROP_IN}", mends=True, undo=NO_DROP_IN),
    Break("keys only, in a drop-in's Match", "S3",
          drop_in("Match User *\n  AuthenticationMethods publickey"), "fault", f"({DROP_IN} line 2)",
          f"editor +2 {DROP_IN}", undo=NO_DROP_IN),
    Break("keyboard off in a Match that comes first", "S2",
          drop_in("Match User *\n  KbdInteractiveAuthentication no") + " && touch /etc/ssh/sshd_config.d/20-oauth2.conf",
          "fault", "KbdInteractiveAuthentication no", f"editor +2 {DROP_IN}",
          undo=f"{NO_DROP_IN}; rm /etc/ssh/sshd_config.d/20-oauth2.conf"),
    Break("passwords opened again by a drop-in", "S2",
          drop_in("PasswordAuthentication no\nKbdInteractiveAuthentication yes"), "warning", "PasswordAuthentication no",
          f"'2s/.*/KbdInteractiveAuthentication no/' {DROP_IN}", mends=True, undo=f"{NO_DROP_IN}; {RESTORE}"),
    Break("a group that is not ours, in a drop-in", "S7", drop_in("AllowGroups sudo"), "fault",
          f"AllowGroups sudo ({DROP_IN} line 1)", DROP_IN, mends=True, undo=NO_DROP_IN),
    Break("our group denied in a drop-in", "S7", drop_in("DenyGroups nogroup oauth2-users"), "fault",
          f"({DROP_IN} line 1)", DROP_IN, mends=True, undo=NO_DROP_IN),
    Break("an at sign in a drop-in", "S7", drop_in("AllowUsers * ann@example.com"), "warning",
          f"({DROP_IN} line 1)", f"editor +1 {DROP_IN}", undo=NO_DROP_IN),
    Break("a host in access.conf", "S7",
          "cp -a /etc/security/access.conf /root/access && "
          "echo '- : mallory@example.com : ALL' >> /etc/security/access.conf", "warning", "mallory@example.com",
          "oauth2ctl user lock", undo="cp -a /root/access /etc/security/access.conf"),
]


@pytest.fixture(scope="module", params=RELEASES)
def machine(request):
    """Nobody is known: sshd is asked about a stranger, who could sign in."""
    sshd = {"Include": "/etc/ssh/sshd_config.d/*.conf"}
    with healthy(request.param, people=False, sshd=sshd) as ready:
        ready.green = ask(ready.sandbox)
        assert ready.green.troubles() == {}
        yield ready
        assert not unsettled(ready.sandbox, ready.green)


@pytest.mark.parametrize("broken", BREAKS, ids=lambda b: f"{b.check} {b.name}")
def test_what_is_broken_is_seen_and_its_remedy_mends_it(machine, broken):
    broken.prove(machine.sandbox, machine.green)


def test_s6_penalties_shut_an_office_out(machine):
    """OpenSSH 9.8 and later have them, and they are on by default."""
    if machine.sandbox.release == "bookworm":
        assert machine.green.checks["S6"]["saw"] == "none"
        return
    spoil = f"cp -a {SSHD} /root/sshd_config && sed -i '/^PerSourcePenalties/d' {SSHD}"
    Break("penalties", "S6", spoil, "warning", "PerSourcePenalties crash", "PerSourcePenalties authfail:1s", mends=True,
          undo=OLD).prove(machine.sandbox, machine.green)


def test_s2_without_first_logins_and_without_people_there_is_nobody_to_ask_about(machine):
    machine.sandbox.run("oauth2ctl disable sshd")
    try:
        assert ask(machine.sandbox).troubles() == {"P6": "warning", "S2": "not_asked"}
    finally:
        machine.sandbox.run("oauth2ctl enable sshd --no-drop-in")
