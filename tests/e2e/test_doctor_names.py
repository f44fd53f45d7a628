"""`oauth2ctl doctor`: nsswitch.conf, the published database, caches, ids, SELinux and AppArmor."""

import pytest

from rig import product
from rig.doctor import Break, ask, healthy, unsettled

LIBRARY = "/usr/lib/x86_64-linux-gnu/libnss_oauth2.so.2"
SWITCH = "cp -a /etc/nsswitch.conf /root/nsswitch && sed -i -E "
OLD_SWITCH = "cp -a /root/nsswitch /etc/nsswitch.conf"
PASSWD = "cp -a /etc/passwd /root/passwd && "
OLD_PASSWD = "cp -a /root/passwd /etc/passwd && oauth2ctl publish"
PUBLISHED = product.PUBLISHED

NAMES = [
    Break("no token", "N1", SWITCH + "'/^passwd/s/ oauth2//' /etc/nsswitch.conf", "fault",
          "passwd: does not list oauth2", "sed -i", mends=True, undo=OLD_SWITCH, also={"P2": "fault"}),
    Break("before the files", "N1", SWITCH + "'/^group/s/files oauth2/oauth2 files/' /etc/nsswitch.conf", "fault",
          "group: asks oauth2 before files", "sed -i", mends=True, undo=OLD_SWITCH),
    Break("an end before us", "N1", SWITCH + "'/^passwd/s/files/files [NOTFOUND=return]/' /etc/nsswitch.conf",
          "fault", "[NOTFOUND=return] before oauth2", "NOTFOUND", mends=True, undo=OLD_SWITCH, also={"P2": "fault"}),
    Break("half a database", "N2", f"head -c 5000 {PUBLISHED} > /root/h && mv /root/h {PUBLISHED}", "fault",
          "published database", "oauth2ctl publish", mends=True, silences=True),
    Break("no database", "N2", f"rm {PUBLISHED}", "fault", "does not exist", "oauth2ctl publish", mends=True,
          silences=True, also={"S2": "ok"}),
    Break("a store that went on alone", "N2",
          f"sqlite3 {product.STORE} 'update meta set generation = generation + 1'", "fault",
          "the store has changed", "oauth2ctl publish", mends=True, silences=True),
    Break("another home than published", "N2", f"sqlite3 {product.STORE} \"update identity set home = '/x'\"",
          "fault", "differs from the store in a person's entry", "oauth2ctl publish", mends=True, silences=True,
          undo=f"sqlite3 {product.STORE} \"update identity set home = '/home/ann'\" && oauth2ctl publish"),
    Break("a new local user", "N2", PASSWD + "useradd -M -u 1500 newcomer", "warning", "/etc/passwd",
          "oauth2ctl publish", mends=True, undo="userdel newcomer; oauth2ctl publish", also={"P2": "not_asked"}),
    Break("nscd", "N3", "cp /usr/bin/sleep /usr/sbin/nscd && (nscd 600 >/dev/null 2>&1 &) ; "
          "until grep -qsx nscd /proc/[0-9]*/comm; do sleep 0.05; done", "fault", "nscd is running and caches",
          "systemctl disable --now nscd", undo="pkill -x nscd; rm /usr/sbin/nscd"),
    Break("no module", "N4", f"mv {LIBRARY} /root/nss", "fault", "not installed", "libnss-oauth2",
          undo=f"mv /root/nss {LIBRARY}", also={"P2": "fault"}),
    Break("a module that others can write", "N4", f"chmod 666 {LIBRARY}", "fault", "mode 0666", "chmod 644",
          mends=True),
    Break("a module that is none", "N4", f"mv {LIBRARY} /root/nss && echo text > {LIBRARY}", "fault", "too short",
          "libnss-oauth2", undo=f"mv /root/nss {LIBRARY}", also={"P2": "fault"}),
]

IDS = [
    Break("a local user in our range", "N5",
          PASSWD + "useradd -M -o -u 1879048500 clash && oauth2ctl publish", "warning", "clash of /etc/passwd",
          "usermod -u", mends=True, undo="userdel clash; oauth2ctl publish"),
    Break("a local user with ann's uid", "N5",
          PASSWD + "useradd -M -o -u $(id -u ann) clash && oauth2ctl publish", "fault", "of ann",
          "usermod -u", mends=True, undo="userdel clash; oauth2ctl publish"),
    Break("two local users with one uid", "N5", PASSWD + "useradd -M -o -u 1000 twin && oauth2ctl publish",
          "warning", "localu and twin both have uid 1000", "usermod -u", mends=True,
          undo="userdel twin; oauth2ctl publish"),
    Break("a subordinate range", "N5", "echo localu:1879048192:65536 >> /etc/subuid", "fault",
          "/etc/subuid gives 1879048192-1879113727 away", "sed -i", mends=True),
    Break("useradd's own range", "N5", "sed -i -E 's/^(UID_MAX[[:space:]]+).*/\\12000000000/' /etc/login.defs",
          "warning", "UID_MAX 2000000000 overlaps", "sed -i", mends=True),
    Break("SSSD's range", "N5", "mkdir -p /etc/sssd && echo 'id_provider = ad' > /etc/sssd/sssd.conf", "warning",
          "ids 200000-2000199999", "ldap_idmap_range_max", mends=True, undo="rm -r /etc/sssd"),
    Break("lastlog", "N5", "truncate -s 2G /var/log/lastlog", "warning", "2 GiB long", "truncate", mends=True),
]

# SELinux without its kernel: what the tools say is what doctor believes.
SELINUX = """
mkdir -p /sys/fs/selinux /root/bin && echo 1 > /sys/fs/selinux/enforce
printf '#!/bin/sh\\ncat /root/modules\\n' > /usr/sbin/semodule
printf '#!/bin/sh\\n[ "$2" = "$(cat /root/mislabelled)" ] && exit 1; echo "$2 verified."\\n' > /usr/sbin/matchpathcon
printf '#!/bin/sh\\necho > /root/mislabelled\\n' > /usr/sbin/restorecon
printf '#!/bin/sh\\ncat /root/denials\\n' > /usr/sbin/ausearch
chmod 755 /usr/sbin/semodule /usr/sbin/matchpathcon /usr/sbin/restorecon /usr/sbin/ausearch
echo pam_oauth2 > /root/modules; echo > /root/mislabelled; : > /root/denials
"""


@pytest.fixture(scope="module")
def machine():
    with healthy() as ready:
        ready.green = ask(ready.sandbox)
        yield ready
        assert not unsettled(ready.sandbox, ready.green)


@pytest.mark.parametrize("broken", NAMES + IDS, ids=lambda b: f"{b.check} {b.name}")
def test_what_is_broken_is_seen_and_its_remedy_mends_it(machine, broken):
    assert machine.green.troubles() == {}
    broken.prove(machine.sandbox, machine.green)


def test_n3_a_cache_that_leaves_people_alone_is_no_fault(machine):
    run = machine.sandbox.run
    run("cp /usr/bin/sleep /usr/sbin/nscd && (nscd 600 >/dev/null 2>&1 &) ; "
        "printf 'enable-cache passwd no\\nenable-cache group no\\n' > /etc/nscd.conf")
    try:
        assert ask(machine.sandbox, "--check", "N3").states() == {"N3": "ok"}
    finally:
        run("pkill -x nscd; rm /usr/sbin/nscd /etc/nscd.conf")


def test_m1_selinux_needs_the_policy_module_and_its_labels(machine):
    run = machine.sandbox.run
    run(SELINUX)
    try:
        assert _found(machine, "M1") == ("ok", "")
        run("echo other > /root/modules")
        assert _found(machine, "M1") == ("fault", "dnf install pam-oauth2-selinux")
        run(f"echo pam_oauth2 > /root/modules; echo {PUBLISHED} > /root/mislabelled")
        assert _found(machine, "M1") == ("fault", f"restorecon -R {PUBLISHED}")
        fixed = ask(machine.sandbox, "--check", "M1", "--fix")
        assert fixed.states() == {"M1": "ok"} and fixed.answer["changed"] is True
        run("echo 'avc: denied { read } comm=sshd name=nss.db scontext=oauth2' > /root/denials")
        assert _found(machine, "M1")[0] == "warning"
    finally:
        run("rm -r /sys/fs /usr/sbin/semodule /usr/sbin/matchpathcon /usr/sbin/restorecon /usr/sbin/ausearch")


def test_m2_apparmor_needs_the_rule_for_the_published_database(machine):
    run = machine.sandbox.run
    run("mkdir -p /sys/module/apparmor/parameters /etc/apparmor.d/abstractions/nameservice.d && "
        # The package's own rule, where it is installed.
        "rm -f /etc/apparmor.d/abstractions/nameservice.d/oauth2 && "
        "echo Y > /sys/module/apparmor/parameters/enabled")
    try:
        state, remedy = _found(machine, "M2")
        assert state == "fault" and "libnss-oauth2" in remedy
        run(f"echo '{PUBLISHED} r,' > /etc/apparmor.d/abstractions/nameservice.d/oauth2")
        assert _found(machine, "M2") == ("ok", "")
    finally:
        run("rm -r /sys/module /etc/apparmor.d")


def test_m3_fips_mode_is_a_warning(machine):
    run = machine.sandbox.run
    assert _found(machine, "M3")[0] == "not_applicable"
    run("mount -t tmpfs sys /proc/sys && mkdir /proc/sys/crypto && echo 1 >/proc/sys/crypto/fips_enabled")
    try:
        state, remedy = _found(machine, "M3")
        assert (state, remedy) == ("warning", "oauth2ctl disable pam")
        run("mv /etc/pam.d/sshd /root/stack")
        assert _found(machine, "M3")[0] == "not_applicable"
    finally:
        run("umount /proc/sys; test ! -e /root/stack || mv /root/stack /etc/pam.d/sshd")


def _found(machine, check):
    found = ask(machine.sandbox, "--check", check).checks[check]
    return found["state"], found["remedy"]
