"""The Debian packages: installed, upgraded, removed and purged, with people at work meanwhile."""

import json
import subprocess

import pytest

from rig import local_people, product, texts
from rig.booted import BootedMachine
from rig.machine import Machine
from rig.namespaces import workspace

KEPT = ("/etc/pam.d", "/etc/nsswitch.conf", "/etc/ssh")
NEWER = "0.1.0+1"


def digests(sandbox, *places):
    """{file: digest} of everything below some directories."""
    lines = sandbox.output(["find", *places, "-type", "f", "-exec", "sha256sum", "{}", "+"]).splitlines()
    return {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in lines}


def apt(sandbox, *arguments):
    return sandbox.run(["apt-get", "-y", *arguments], timeout=300)


def set_up(machine):
    """As an administrator would: configuration, store, proof."""
    product.configure(machine.sandbox, product.ID_TOKEN, machine.provider.ca)
    product.enable(machine.sandbox)


def set_up_but_for_the_proof(machine):
    product.configure(machine.sandbox, product.ID_TOKEN, machine.provider.ca)
    machine.sandbox.run("oauth2ctl store migrate && oauth2ctl publish")


@pytest.fixture(scope="module")
def newer():
    """The same packages under a higher version, as an upgrade brings them."""
    made = []
    for deb in product.packages():
        tree = workspace() / f"{deb.name}.tree"
        subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
        control = tree / "DEBIAN/control"
        lines = control.read_text().replace("(= 0.1.0)", f"(= {NEWER})").splitlines()
        lines = [f"Version: {NEWER}" if line.startswith("Version:") else line for line in lines]
        control.write_text("\n".join(lines) + "\n")
        name = workspace() / deb.name.replace("_0.1.0_", f"_{NEWER}_")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, name], check=True, stdout=subprocess.PIPE)
        made.append(name)
    return made


def test_installed_and_not_configured_it_changes_nothing_for_anybody(release):
    with Machine(release, config=None, enabled=False, installed="packages") as machine:
        assert local_people.broken_ways_in(machine) == {}
        assert machine.person.try_everything("stranger") == 255
        assert machine.sandbox.output("grep -c pam_oauth2_device /etc/pam.d/common-auth") == "1"
        assert "files oauth2" in machine.sandbox.read("/etc/nsswitch.conf")


def test_a_stranger_logs_in_and_local_people_as_before(release):
    with Machine(release, config=None, enabled=False, installed="packages") as machine:
        set_up(machine)
        ended = machine.person.first_login("ann", command="id -un")
        assert (ended.status, ended.output.strip()) == (0, "ann"), ended.screen
        assert local_people.broken_ways_in(machine) == {}


def test_a_purge_leaves_etc_as_it_was_and_the_ids_in_a_backup(release):
    include = {"Include": "/etc/ssh/sshd_config.d/*.conf"}
    with Machine(release, config=None, enabled=False, installed=False, sshd=include) as machine:
        sandbox = machine.sandbox
        before = digests(sandbox, *KEPT)
        product.install_packages(sandbox)
        set_up(machine)
        sandbox.run("oauth2ctl enable sshd")
        assert sandbox.path("/etc/ssh/sshd_config.d/20-oauth2.conf").exists()
        assert machine.person.first_login("ann").status == 0
        uid = machine.uid_of("ann")
        apt(sandbox, "purge", *product.PACKAGES)
        assert digests(sandbox, *KEPT) == before
        assert not sandbox.path(product.STATE).exists() and not sandbox.path(product.CONFIG_DIR).exists()
        backup = sandbox.output("ls /var/backups/pam_oauth2.*")
        assert sandbox.succeeds(f"grep -aq {uid} {backup} || sqlite3 {backup} 'select uid from identity' | grep -q {uid}")
        assert sandbox.output(f"stat -c %a {backup}") == "600"
        assert local_people.broken_ways_in(machine) == {}


def test_the_backup_of_a_purge_brings_back_numbers_and_who_was_removed(release):
    with Machine(release, config=None, enabled=False, installed="packages") as machine:
        sandbox = machine.sandbox
        set_up(machine)
        sandbox.run("oauth2ctl user add pia --uid 4001")
        for name in ("ann", "rita"):
            assert machine.person.first_login(name).status == 0
        entry = machine.resolves("ann")
        sandbox.run("oauth2ctl user remove rita")
        apt(sandbox, "purge", *product.PACKAGES)
        product.install_packages(sandbox)
        set_up(machine)
        assert machine.resolves("ann") is None
        sandbox.run("oauth2ctl --yes ids import /var/backups/pam_oauth2.ids.json")
        assert machine.resolves("ann") == entry and machine.uid_of("pia") == 4001
        watch = machine.watch()
        assert machine.person.try_everything("rita") == 255
        watch.assert_no_network()
        assert sandbox.run("oauth2ctl user add rosa --uid $(id -u rita)", check=False).returncode != 0
        # Whose home it was is nothing that a map says: the administrator does.
        assert machine.person.try_everything("ann") == 255
        watch.wait_for("home_exists .*oauth2ctl user add ann --adopt-home")
        sandbox.run("oauth2ctl user add ann --adopt-home")
        ended = machine.person.first_login("ann", command="id -u; stat -c %u .")
        assert ended.output.split() == [entry.split(":")[2]] * 2, ended.screen


def test_removed_and_installed_again_everybody_has_their_uid(release):
    with Machine(release, config=None, enabled=False, installed="packages") as machine:
        set_up(machine)
        sandbox = machine.sandbox
        assert machine.person.first_login("ann").status == 0
        entry = machine.resolves("ann")
        apt(sandbox, "remove", *product.PACKAGES)
        assert machine.resolves("ann") is None
        assert not sandbox.succeeds("grep -rq oauth2 /etc/pam.d /etc/nsswitch.conf")
        assert local_people.broken_ways_in(machine) == {}
        product.install_packages(sandbox)
        assert machine.resolves("ann") == entry
        assert machine.person.login_again("ann").status == 0


def test_an_upgrade_in_mid_login_ends_in_success(release, newer):
    with Machine(release, config=None, enabled=False, installed="packages") as machine:
        set_up(machine)
        with machine.person.ssh("ann", "id -un") as terminal:
            prompt = machine.person.read_prompt(terminal)
            product.install_packages(machine.sandbox, newer)
            machine.person.approve(prompt, "ann")
            ended = machine.person.finish(terminal)
        assert (ended.status, ended.output.strip()) == (0, "ann"), ended.screen
        assert machine.person.login_again("ann").status == 0


def test_after_a_downgrade_known_people_log_in(machine_with_packages, newer):
    machine = machine_with_packages
    assert machine.person.first_login("bea").status == 0
    product.install_packages(machine.sandbox, newer)
    product.install_packages(machine.sandbox, options="--allow-downgrades")
    assert machine.person.login_again("bea").status == 0


def test_a_process_with_the_module_of_before_reads_what_is_published_after(machine_with_packages, newer):
    machine = machine_with_packages
    ask = "import pwd, sys\nfor line in sys.stdin:\n try: print(pwd.getpwnam(line.strip()).pw_uid, flush=True)\n" \
          " except KeyError: print('-', flush=True)"
    old = machine.sandbox.popen(["python3", "-c", ask], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def asked(name):
        old.stdin.write(name + "\n")
        old.stdin.flush()
        return old.stdout.readline().strip()

    assert asked("cleo") == "-"
    product.install_packages(machine.sandbox, newer)
    assert machine.person.first_login("cleo").status == 0
    assert asked("cleo") == str(machine.uid_of("cleo"))
    old.stdin.close()
    old.wait()
    product.install_packages(machine.sandbox, options="--allow-downgrades")


def test_what_an_administrator_took_out_of_nsswitch_conf_stays_out(machine_with_packages, newer):
    sandbox = machine_with_packages.sandbox
    before = sandbox.read("/etc/nsswitch.conf")
    sandbox.write("/etc/nsswitch.conf", before.replace(" oauth2", ""))
    product.install_packages(sandbox, newer)
    assert "oauth2" not in sandbox.read("/etc/nsswitch.conf")
    product.install_packages(sandbox, options="--allow-downgrades")
    sandbox.write("/etc/nsswitch.conf", before)


def test_a_common_auth_edited_by_hand_is_left_alone():
    with Machine("bookworm", config=None, enabled=False, installed=False) as machine:
        path = "/etc/pam.d/common-auth"
        edited = machine.sandbox.read(path).replace("# here are the per-package modules", "# ours\n# here are")
        edited = edited.replace("pam_unix.so nullok", "pam_unix.so")
        machine.sandbox.write(path, edited)
        product.install_packages(machine.sandbox)
        assert machine.sandbox.read(path) == edited
        assert local_people.broken_ways_in(machine) == {}
        # The package says nothing, since nobody may be there to read it: doctor does.
        set_up_but_for_the_proof(machine)
        [check] = json.loads(machine.sandbox.run("oauth2ctl --json doctor --check P1", check=False).stdout)["checks"]
        assert (check["id"], check["state"]) == ("P1", "fault"), check


@pytest.fixture(scope="module")
def machine_with_packages():
    with Machine("bookworm", config=None, enabled=False, installed="packages") as machine:
        set_up(machine)
        yield machine


def test_a_removal_ends_the_sweeps_timer_and_a_purge_its_link():
    timer = "oauth2-user-sweep.timer"
    with BootedMachine("bookworm", installed="packages", provider=None) as machine:
        # The roots of the tests forbid services to packages; a machine does not.
        machine.sandbox.path("/usr/sbin/policy-rc.d").unlink()
        assert machine.systemctl(f"is-enabled {timer}", check=False) == "disabled"
        machine.systemctl(f"enable --now {timer}")
        assert timer in machine.systemctl("list-timers")
        apt(machine.sandbox, "remove", "oauth2ctl")
        assert timer not in machine.systemctl("list-timers")
        apt(machine.sandbox, "purge", "oauth2ctl")
        assert machine.sandbox.output("find /etc/systemd /var/lib/systemd -name '*oauth2*'") == ""
        assert machine.systemctl("--failed --no-legend") == ""


@pytest.fixture(scope="module")
def of_another_architecture():
    """The same packages as another architecture of the same machine would have them: what is in them cannot run."""
    made = []
    for deb in (deb for deb in product.packages() if "lib" in deb.name):
        tree = workspace() / f"{deb.name}.i386"
        subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
        (tree / "usr/lib/x86_64-linux-gnu").rename(tree / "usr/lib/i386-linux-gnu")
        control = tree / "DEBIAN/control"
        kept = [line for line in control.read_text().splitlines() if not line.startswith(("Depends:", "Pre-Depends:"))]
        control.write_text("\n".join(kept).replace("Architecture: amd64", "Architecture: i386") + "\n")
        name = workspace() / deb.name.replace("amd64", "i386")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, name], check=True, stdout=subprocess.PIPE)
        made.append(name)
    return made


def test_the_last_architecture_to_go_takes_the_profile_along(of_another_architecture):
    with Machine("bookworm", config=None, enabled=False, installed=False, provider=None) as machine:
        sandbox = machine.sandbox
        before = digests(sandbox, *KEPT)
        product.install_packages(sandbox)
        installed = digests(sandbox, *KEPT)
        sandbox.run("dpkg --add-architecture i386")
        product.install_packages(sandbox, of_another_architecture)
        assert digests(sandbox, *KEPT) == installed != before
        sandbox.run("dpkg --purge libpam-oauth2:i386 libnss-oauth2:i386")
        assert digests(sandbox, *KEPT) == installed
        product.install_packages(sandbox, of_another_architecture)
        sandbox.run("dpkg --purge libpam-oauth2:amd64 libnss-oauth2:amd64")
        assert digests(sandbox, *KEPT) == installed
        sandbox.run("dpkg --purge libpam-oauth2:i386 libnss-oauth2:i386")
        assert digests(sandbox, *KEPT) == before


def test_lintian_has_nothing_to_say():
    done = subprocess.run(["lintian", "--fail-on", "error,warning", "--allow-root", *product.packages()],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
