"""`oauth2ctl doctor`: configuration, PAM, homes, break-glass, upkeep. Each check is broken, seen, and mended."""

import struct

import pytest

from rig import product
from rig.doctor import CONFIG, ID_KEY, Break, ask, healthy, unsettled

LIBRARY = "/usr/lib/x86_64-linux-gnu"


def edit(script):
    """Changes the configuration by a script of sed's; KEEP takes it back."""
    return f"cp -a {product.CONFIG} /root/config && sed -i '{script}' {product.CONFIG}"


KEEP = f"cp -a /root/config {product.CONFIG} && oauth2ctl publish"
STATE = product.STATE
UNDO = f"{STATE}/private/undo"
JOURNAL = ('{"phase":"applying","wait":null,"config":"%s","files":[],"new_directories":[],"had_store":true,"people":{}}'
           % product.CONFIG)
WAITING = JOURNAL.replace("applying", "waiting").replace("null", '{"seconds":60,"until":99999999999}')
KNOWN_PAM = "cp -a /etc/pam.d /root/pam.d"
OLD_PAM = "rm -rf /etc/pam.d && mv /root/pam.d /etc/pam.d"

CONFIGURATION = [
    Break("no JSON", "C1", f"cp -a {product.CONFIG} /root/config && echo '{{' > {product.CONFIG}",
          "fault", "line 2, column", "config validate", undo=KEEP, silences=True,
          also={"C4": "not_applicable"}),
    Break("a bad value", "C1", edit('s/"http_timeout": 2/"http_timeout": 0/'), "fault", "http_timeout", "config validate",
          undo=KEEP, silences=True),
    Break("readable by all", "C2", f"chmod 644 {product.CONFIG}", "warning", "mode 0644", "chmod 600", mends=True),
    Break("writable by all", "C2", f"chmod 666 {product.CONFIG}", "fault", "mode 0666", "chmod 600", mends=True,
          silences=True),
    Break("somebody else's", "C2", f"chown localu {product.CONFIG}", "fault", "uid 1000", "chown root:root",
          undo=f"chown root {product.CONFIG}", silences=True),
    Break("a secret for all", "C2", f"chmod 644 {ID_KEY}", "fault", "id.key has mode 0644", "chmod 600", mends=True),
    Break("a closed state directory", "C2", f"chmod 700 {STATE}", "fault", "mode 0700", "chmod 755", mends=True),
    Break("an open store", "C2", f"chmod 644 {product.STORE}", "fault", "store.db has mode 0644", "chmod 600",
          mends=True, silences=True),
    Break("a closed database", "C2", f"chmod 600 {product.PUBLISHED}", "fault", "nss.db has mode 0600",
          "chmod 644", mends=True),
    Break("an unknown key", "C3", edit('1a "scopess": "openid",'), "fault", '"scopess", did you mean "scopes"',
          "config validate", undo=KEEP, silences=True),
    Break("a key for nothing", "C3", edit('1a "oauth_auth_url": "https://idp.test:8443/auth",'), "warning",
          "oauth_auth_url", "config validate", undo=KEEP,
          also={"N2": "warning", "P6": "warning", "P2": "not_asked"}),
    Break("etckeeper", "C4", "mkdir /etc/.git /etc/etckeeper", "warning", "id.key is not in /etc/.gitignore",
          ".gitignore", mends=True, undo="rm -rf /etc/.git /etc/etckeeper /etc/.gitignore"),
    Break("no id key", "C5", edit('/id_key_file/d') + " && oauth2ctl publish", "warning", "no id_key_file",
          "oauth2ctl ids new-key", undo=KEEP, also={"C4": "not_applicable"}),
]

STACKS = [
    Break("no line in auth", "P1", f"{KNOWN_PAM} && sed -i '/pam_localuser/d;/pam_oauth2/d' /etc/pam.d/common-auth",
          "fault", "no line of ours in: auth", "pam-auth-update", mends=True, undo=OLD_PAM),
    Break("everybody is sufficient", "P2",
          f"{KNOWN_PAM} && sed -i '1i account sufficient pam_permit.so' /etc/pam.d/common-account", "fault",
          "lets in a name that nobody has verified", "sed -i '/^account sufficient pam_permit", mends=True, undo=OLD_PAM),
    Break("nologin", "P3", "touch /etc/nologin", "fault", "localu in sshd", "rm /etc/nologin", mends=True,
          also={"P2": "not_asked"}),
    Break("an earlier module's line", "P4",
          f"{KNOWN_PAM} && sed -i '1i auth sufficient pam_oauth2_device.so' /etc/pam.d/sshd", "warning",
          "sshd has 2 lines in auth", "sed -i", mends=True, undo=OLD_PAM),
    Break("a module that others can write", "P5", f"chmod 666 {product.MODULE}", "fault", "mode 0666", "chmod 644",
          mends=True, also={"P2": "not_asked"}),
    Break("a directory that others can write", "P5", "chmod 777 $(dirname " + product.MODULE + ")", "fault",
          "security has mode 0777", "chmod 755", mends=True, also={"P2": "not_asked"}),
    Break("a module that is none", "P5",
          f"cp -a {product.MODULE} /root/m && echo text > {product.MODULE}.new && mv {product.MODULE}.new {product.MODULE}",
          "fault", "too short", "reinstall libpam-oauth2", undo=f"mv /root/m {product.MODULE}",
          also={"P2": "not_asked"}),
    Break("a second copy", "P5", f"mkdir -p /usr/lib/security && cp {product.MODULE} /usr/lib/security/", "warning",
          "/usr/lib/security/pam_oauth2_device.so", "rm /usr/lib/security", mends=True,
          undo="rm -rf /usr/lib/security"),
    Break("first logins off", "P6", "oauth2ctl disable sshd", "warning", "off", "oauth2ctl enable sshd", mends=True),
    Break("another profile", "P6", "pam-auth-update --package --disable oauth2 --enable oauth2-local", "fault",
          "proved with profile oauth2, and oauth2-local", "oauth2ctl enable sshd", mends=True,
          undo="pam-auth-update --package --disable oauth2-local --enable oauth2 && oauth2ctl enable sshd"),
    Break("a changed configuration", "P6", edit('s/"http_timeout": 2/"http_timeout": 3/'), "warning", "has changed",
          "oauth2ctl publish", mends=True, undo=KEEP, also={"N2": "warning", "P2": "not_asked"}),
    Break("a damaged parameter file", "P6", f"echo x > {product.PARAMETERS}", "fault", "another format",
          "oauth2ctl enable sshd", mends=True),
]

MACHINE = [
    Break("homes that others can put", "H1", "chmod 777 /home", "fault", "/home is not root's, or others",
          "chmod go-w", mends=True, undo="chmod 755 /home"),
    Break("read-only homes", "H1", "mount --bind /home /home && mount -o remount,ro,bind /home", "fault",
          "read-only", "remount,rw", undo="umount /home"),
    Break("no maker of homes", "H2", "mv /usr/sbin/mkhomedir_helper /root/", "fault", "not installed",
          "libpam-modules-bin", undo="mv /root/mkhomedir_helper /usr/sbin/"),
    Break("no skeleton", "H2", "mv /etc/skel /root/skel", "warning", "/etc/skel does not exist", "install -d",
          mends=True, undo="rm -rf /etc/skel && mv /root/skel /etc/skel"),
    Break("nobody to the rescue", "B1", "usermod -L root && usermod -L localu && mv /root/.ssh /root/ssh", "fault",
          "no password and no key opens any of: root", "passwd root",
          undo="usermod -U root && usermod -U localu && mv /root/ssh /root/.ssh"),
    Break("an upgrade", "U1",
          "(python3 -c 'import os, pwd, time; pwd.getpwnam(\"ann\"); open(\"/root/pid\", \"w\").write(\"1\"); "
          "time.sleep(600)' >/dev/null 2>&1 &) ; until [ -s /root/pid ]; do sleep 0.05; done; "
          f"cp -a {LIBRARY}/libnss_oauth2.so.2 {LIBRARY}/new && mv {LIBRARY}/new {LIBRARY}/libnss_oauth2.so.2",
          "warning", "python3", "kill ", mends=True),
    Break("an older store", "U2",
          f"cp -a {product.STORE} /root/store && sqlite3 {product.STORE} 'pragma user_version = 1'", "warning",
          "schema 1", "oauth2ctl store migrate", undo=f"cp -a /root/store {product.STORE} && oauth2ctl publish"),
    Break("a store of no version", "U2",
          f"cp -a {product.STORE} /root/store && sqlite3 {product.STORE} 'pragma user_version = 0'", "fault",
          "schema 0", "oauth2ctl store migrate", undo=f"cp -a /root/store {product.STORE} && oauth2ctl publish",
          silences=True, also={"S2": "ok"}),
    Break("half a setup", "U4", f"""mkdir -p {UNDO} && echo '{JOURNAL}' > {UNDO}/setup.json""", "warning",
          "interrupted", "oauth2ctl setup roll-back", undo=f"rm {UNDO}/setup.json"),
    Break("an unconfirmed setup", "U4",
          f"""mkdir -p {UNDO} && echo '{WAITING}' > {UNDO}/setup.json""", "warning",
          "waits for its confirmation", "oauth2ctl setup confirm", mends=True),
    Break("a setup that was forgotten", "U4",
          f"""mkdir -p {UNDO} && echo '{WAITING.replace("99999999999", "1")}' > {UNDO}/setup.json""", "warning",
          "its time is over", "oauth2ctl setup roll-back", mends=True),
    Break("what a roll back replaced", "U4", f"mkdir -p {UNDO}/replaced && touch {UNDO}/replaced/etc-nsswitch.conf.1", "warning",
          "etc-nsswitch.conf.1", f"rm {UNDO}/replaced/etc-nsswitch.conf.1", undo=f"rm -r {UNDO}/replaced"),
    Break("a full disk", "U3",
          f"mkdir /root/t && mount -t tmpfs -o size=8m,mode=755 t /root/t && cp -a {STATE}/. /root/t/ && "
          f"mount --bind /root/t {STATE}", "fault", "MiB and", "du -xh",
          undo=f"umount {STATE} && umount /root/t && rmdir /root/t"),
    Break("another of our kind", "X1", f"{KNOWN_PAM} && sed -i '1i auth optional pam_authd.so' /etc/pam.d/sshd",
          "warning", "authd is in the PAM stack", "--disable authd", undo=OLD_PAM),
]


@pytest.fixture(scope="module")
def machine():
    with healthy(sshd={"Include": "/etc/ssh/sshd_config.d/*.conf"}) as ready:
        ready.green = ask(ready.sandbox)
        yield ready
        assert not unsettled(ready.sandbox, ready.green)


def test_a_healthy_machine_has_nothing_to_mend(machine):
    assert machine.green.troubles() == {}
    assert machine.green.status == 0
    assert machine.green.answer["changed"] is False


@pytest.mark.parametrize("broken", CONFIGURATION + STACKS + MACHINE, ids=lambda b: f"{b.check} {b.name}")
def test_what_is_broken_is_seen_and_its_remedy_mends_it(machine, broken):
    broken.prove(machine.sandbox, machine.green)


def test_p1_a_stack_without_our_account_line_enforces_nothing(machine):
    machine.sandbox.run(KNOWN_PAM)
    try:
        product.remove_account_line(machine.sandbox)
        report = ask(machine.sandbox)
        assert report.troubles() == {"P1": "fault", "P2": "fault"}
        machine.sandbox.run(report.checks["P1"]["remedy"])
        assert ask(machine.sandbox).troubles() == {}
    finally:
        machine.sandbox.run(OLD_PAM)


def test_p3_a_stack_that_dies_without_the_module_shuts_root_out_and_that_is_said(machine):
    run = machine.sandbox.run
    run(f"{KNOWN_PAM} && mv {product.MODULE} /root/m && "
        "sed -i '1i account [success=ignore default=die] pam_oauth2_device.so' /etc/pam.d/common-account")
    try:
        report = ask(machine.sandbox)
        assert report.troubles() == {
            "P2": "not_asked", "P3": "fault", "P4": "warning", "P5": "fault", "P6": "fault", "B1": "fault",
        }
        assert "root in sshd" in report.checks["P3"]["saw"] and "localu in sudo" in report.checks["P3"]["saw"]
        assert "keep the root shell open" in report.checks["P3"]["consequence"]
        run(report.checks["P3"]["remedy"])
        assert ask(machine.sandbox).troubles() == {"P2": "not_asked", "P5": "fault"}
    finally:
        run(f"{OLD_PAM} && mv /root/m {product.MODULE}")


def test_c4_a_secret_that_git_tracks_is_a_fault(machine):
    path = b"pam_oauth2_device/id.key"
    entry = bytes(40) + bytes(20) + struct.pack(">H", len(path)) + path
    index = b"DIRC" + struct.pack(">II", 2, 1) + entry + bytes(8 - len(entry) % 8)
    machine.sandbox.run("mkdir /etc/.git")
    machine.sandbox.path("/etc/.git/index").write_bytes(index)
    try:
        report = ask(machine.sandbox)
        assert report.troubles() == {"C4": "fault"}
        assert "git -C /etc rm --cached pam_oauth2_device/id.key" in report.checks["C4"]["remedy"]
    finally:
        machine.sandbox.run("rm -r /etc/.git")


def test_fix_mends_modes_and_the_publication_and_says_so_and_nothing_else(machine):
    run = machine.sandbox.run
    run(f"chmod 666 {product.MODULE} && chmod 640 {ID_KEY} && chmod 620 {product.PARAMETERS}")
    run(f"head -c 5000 {product.PUBLISHED} > {STATE}/x && mv {STATE}/x {product.PUBLISHED}")
    run("touch /etc/nologin")
    try:
        done = run("oauth2ctl doctor --fix", check=False)
        for words in (f"{product.MODULE}: mode 0644", f"{ID_KEY}: mode 0600", f"{product.PARAMETERS}: mode 0600",
                      f"{product.PUBLISHED}: published"):
            assert f"mended: {words}" in done.stdout, done.stdout
        assert done.returncode == 1
        assert machine.sandbox.succeeds("test -e /etc/nologin"), "what else is wrong is left to the administrator"
    finally:
        run("rm -f /etc/nologin")
    again = ask(machine.sandbox, "--fix")
    assert again.troubles() == {} and again.answer["changed"] is False
    assert "mended" in machine.store("select kind from event")
    assert "doctor mended" in machine.sandbox.log()


def test_fix_trusts_no_file_that_somebody_else_has_put_there(machine):
    """Root's from then on, it would decide who signs in, and nobody has read it."""
    planted = f"{product.CONFIG_DIR}/config.d/60-planted.json"
    run = machine.sandbox.run
    run(f"mkdir -p {product.CONFIG_DIR}/config.d && echo '{{}}' > {planted} && chmod 666 {planted} && "
        f"chown localu {planted}")
    try:
        done = run("oauth2ctl doctor --fix", check=False)
        assert done.returncode == 1 and "60-planted.json belongs to uid 1000" in done.stdout
        assert machine.sandbox.output(f"stat -c '%u %a' {planted}") == "1000 666"
        run(f"chown root {planted} && ln {planted} /root/second")
        assert "a second name" in run("oauth2ctl doctor --fix", check=False).stderr
        assert machine.sandbox.output(f"stat -c %a {planted}") == "666"
    finally:
        run(f"rm -f {planted} /root/second; rmdir --ignore-fail-on-non-empty {product.CONFIG_DIR}/config.d")
    assert not unsettled(machine.sandbox, machine.green)


def test_doctor_changes_nothing_but_the_probes_which_are_gone_afterwards(machine):
    before = _digests(machine)
    run = machine.sandbox.run
    run("oauth2ctl doctor", check=False)
    assert _digests(machine) == before
    run(f"{KNOWN_PAM} && sed -i '1i account sufficient pam_permit.so' /etc/pam.d/common-account")
    try:
        assert ask(machine.sandbox).states()["P2"] == "fault"
    finally:
        run(OLD_PAM)
    assert "oauth2-probe" not in machine.sandbox.output("getent passwd")
    assert machine.store("select count(*) from identity where probe = 1") == "0"


def _digests(machine):
    places = f"find /etc {STATE} /home -type f ! -name nss.db ! -name store.db ! -name .pwd.lock"
    rows = machine.store("select * from identity") + machine.store("select count(*) from event")
    return rows + machine.sandbox.output(f"{places} -exec sha256sum {{}} + | sort -k2")


def test_one_check_can_be_asked_alone_and_an_unknown_one_is_refused(machine):
    assert list(ask(machine.sandbox, "--check", "p2").checks) == ["P2"]
    assert list(ask(machine.sandbox, "--check", "H", "--check", "C1").checks) == ["C1", "H1", "H2"]
    done = machine.sandbox.run("oauth2ctl doctor --check Z1", check=False)
    assert done.returncode == 2 and "C1 C2" in done.stderr


def test_a_person_reads_states_that_stand_under_each_other_and_faults_last(machine):
    machine.sandbox.run("touch /etc/nologin && chmod 644 " + product.CONFIG)
    try:
        lines = machine.sandbox.run("oauth2ctl doctor", check=False).stdout.splitlines()
        quiet = machine.sandbox.run("oauth2ctl -q doctor", check=False).stdout
    finally:
        machine.sandbox.run("rm /etc/nologin; chmod 600 " + product.CONFIG)
    assert {line.index("  ") for line in lines[:5]} and lines[0].split()[:2] == ["ok", "C1"]
    told = [line for line in lines if line.startswith(("warning C", "fault P"))]
    assert [line.split()[1] for line in told] == ["C2", "P3"], lines
    assert "    mend it: rm /etc/nologin" in lines
    assert lines[-1].endswith("1 not asked, 1 warning(s), 1 fault(s)")
    assert "ok " not in quiet and "fault" in quiet


def test_metrics_are_written_in_one_step_and_say_what_is_known(machine):
    file = "/var/lib/oauth2.prom"
    machine.sandbox.run(["oauth2ctl", "doctor", "--prom", file])
    text = machine.sandbox.read(file)
    for line in ('oauth2_doctor_status{check="P2"} 0', 'oauth2_users{state="reserved"} 1', "oauth2_provider_up 1"):
        assert line in text.splitlines()
    assert "oauth2_nss_db_age_seconds " in text and "# oauth2_logins_total" in text
    assert 'check="M1"' not in text, "what does not apply has no state"
    assert machine.sandbox.output(f"stat -c %a {file}; ls /var/lib | grep -c prom") == "644\n1"
    done = machine.sandbox.run("oauth2ctl doctor --check U3 --prom /nonexistent/x", check=False)
    assert done.returncode == 1 and "/nonexistent" in done.stderr


def test_in_an_image_nothing_that_runs_is_asked(machine):
    done = machine.sandbox.run("oauth2ctl --json --root / doctor", check=False)
    for check in ("O1", "O4", "N3", "U1", "P2"):
        assert f'"id":"{check}"' in done.stdout
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("an image does not run") == 9


def test_no_secret_is_in_the_report(machine):
    config = {**CONFIG, "client_id": "linux-login-secret", "client_secret": "linux-login-test-secret"}
    machine.sandbox.run(f"cp -a {product.CONFIG} /root/config")
    try:
        product.configure(machine.sandbox, config)
        machine.sandbox.run("oauth2ctl publish")
        done = machine.sandbox.run("oauth2ctl doctor; oauth2ctl --json doctor", check=False)
        assert "0 ok" not in done.stdout and done.returncode == 0, done.stdout
        assert "test-secret" not in done.stdout + done.stderr and "0123456789abcdef" not in done.stdout
    finally:
        machine.sandbox.run(KEEP)


def test_only_root_may_ask(machine):
    assert machine.sandbox.run("oauth2ctl doctor", user=1000, check=False).returncode == 77
