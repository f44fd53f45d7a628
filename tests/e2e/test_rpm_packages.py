"""The RPM packages: installed, upgraded and erased by `rpm --root`, on a machine with authselect's files and includes."""

import re
import subprocess

import pytest

from rig import enterprise, local_people, product
from rig.enterprise import PAM_MODULE, SELECTED, EnterpriseMachine

ETC = ("/etc/pam.d", "/etc/authselect", "/etc/nsswitch.conf", "/etc/ssh")


def digests(sandbox):
    """{file: digest} of what the packages may not touch by themselves; what a link leads to, too."""
    lines = sandbox.output(["find", "-L", *ETC, "-type", "f", "-exec", "sha256sum", "{}", "+"]).splitlines()
    return {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in lines}


def is_in(machine, name):
    """Past the account phase, in a service that is not sshd."""
    return machine.sandbox.succeeds(f"su {name} -c true")


@pytest.fixture(scope="module")
def newer():
    return enterprise.newer_packages()


@pytest.fixture(scope="module")
def machine():
    """A machine on which ann has signed in."""
    with EnterpriseMachine() as ready:
        ready.before = digests(ready.sandbox)
        ready.set_up_by_hand()
        ready.first = ready.person.first_login("ann", command="id -un")
        yield ready


def test_installed_and_erased_again_they_change_nothing_for_anybody():
    with EnterpriseMachine(installed=False) as machine:
        before = digests(machine.sandbox)
        machine.rpm("--install", *enterprise.packages())
        assert digests(machine.sandbox) == before and machine.selected() == SELECTED
        assert machine.person.try_everything("stranger") == 255
        assert local_people.broken_ways_in(machine) == {}
        assert any(line.startswith("semodule -n -s targeted -X 200 -i /") for line in machine.noted())
        machine.rpm("--erase", *enterprise.PACKAGES)
        assert digests(machine.sandbox) == before and machine.selected() == SELECTED
        assert machine.sandbox.succeeds("authselect check")
        assert "semodule -n -s targeted -X 200 -r pam_oauth2" in machine.noted()
        assert machine.sandbox.output("find /usr -name '*oauth2*' ! -type l") == ""
        assert local_people.broken_ways_in(machine) == {}


def test_the_files_are_as_the_packages_say(machine):
    # No dependency is installed here, and rpm's root has no users of its own.
    assert machine.rpm("--verify", "--nodeps", "--nouser", "--nogroup", *enterprise.PACKAGES, check=False) == ""
    modes = machine.sandbox.output(
        f"stat -c '%a %U:%G' {PAM_MODULE} /usr/lib64/libnss_oauth2.so.2 {product.STATE} {product.STATE}/private")
    assert modes.splitlines() == ["755 root:root", "755 root:root", "755 root:root", "700 root:root"]
    assert machine.sandbox.output(f"readlink {PAM_MODULE.replace('_device', '')}") == "pam_oauth2_device.so"


def test_a_stranger_signs_in_and_local_people_as_before(machine):
    assert (machine.first.status, machine.first.output.strip()) == (0, "ann"), machine.first.screen
    assert machine.selected() == "oauth2 with-faillock"
    assert is_in(machine, "ann")
    assert machine.person.login_again("ann").status == 0
    assert local_people.broken_ways_in(machine) == {}


BROKEN = {
    "the module file is missing": (PAM_MODULE, None, False),
    "the configuration is empty": (product.CONFIG, "", True),
    "the configuration is broken": (product.CONFIG, '{"client_id": ', True),
    "the store is corrupt": (product.STORE, "no database at all " * 999, True),
    "the published database is corrupt": (product.PUBLISHED, "no database " * 999, False),
    "the published database is missing": (product.PUBLISHED, None, False),
}


@pytest.mark.parametrize("state", BROKEN)
def test_whatever_breaks_local_people_get_in_and_strangers_do_not(machine, state):
    name, text, known_gets_in = BROKEN[state]
    path = machine.sandbox.path(name)
    aside = path.with_name(path.name + ".aside")
    path.rename(aside)
    try:
        if text is not None:
            machine.sandbox.write(name, text, aside.stat().st_mode & 0o777)
        assert local_people.broken_ways_in(machine) == {}
        assert machine.person.try_everything("stranger") == 255
        assert is_in(machine, "ann") == known_gets_in
    finally:
        aside.rename(path)


def test_an_upgrade_keeps_the_selection_and_everybody(machine, newer):
    entry = machine.resolves("ann")
    machine.rpm("--upgrade", *newer)
    assert machine.version_of("pam-oauth2") == "0.1.0-1.1"
    assert machine.selected() == "oauth2 with-faillock" and machine.sandbox.succeeds("authselect check")
    assert machine.resolves("ann") == entry
    assert machine.person.login_again("ann").status == 0
    machine.rpm("--upgrade", "--oldpackage", *enterprise.packages())
    assert machine.person.login_again("ann").status == 0


def test_a_new_text_of_the_profile_takes_effect_where_it_is_selected(machine):
    template = f"{enterprise.VENDOR}/system-auth"
    machine.sandbox.write(template, machine.sandbox.read(template) + "# an old text\n")
    machine.sandbox.run("authselect apply-changes && grep -q '# an old text' /etc/pam.d/system-auth")
    machine.rpm("--reinstall", *enterprise.packages())
    rendered = machine.sandbox.output("cat /etc/pam.d/system-auth")
    assert "# an old text" not in rendered and "pam_oauth2_device.so" in rendered
    assert machine.sandbox.succeeds("authselect check")


def test_disable_pam_puts_back_what_was_selected_before(machine):
    assert machine.ctl("disable nss", check=False).returncode == 8
    assert "byte for byte" in _said(machine.ctl("disable pam"))
    assert machine.selected() == SELECTED and digests(machine.sandbox) == machine.before
    assert machine.resolves("ann") is None and not is_in(machine, "ann")
    assert "no change" in _said(machine.ctl("disable pam"))
    machine.set_up_by_hand()
    assert "no change" in _said(machine.ctl("enable pam")) and "no change" in _said(machine.ctl("enable nss"))
    assert machine.person.login_again("ann").status == 0


def test_an_erasure_puts_back_what_was_selected_and_keeps_everybodys_uid(machine):
    entry = machine.resolves("ann")
    machine.rpm("--erase", *enterprise.PACKAGES)
    assert machine.selected() == SELECTED and machine.sandbox.succeeds("authselect check")
    assert digests(machine.sandbox) == machine.before
    assert local_people.broken_ways_in(machine) == {}
    assert machine.resolves("ann") is None
    machine.rpm("--install", *enterprise.packages())
    assert machine.selected() == SELECTED
    machine.set_up_by_hand()
    assert machine.resolves("ann") == entry
    assert machine.person.login_again("ann").status == 0


def test_an_erasure_without_a_backup_leaves_the_stack_of_local_people():
    with EnterpriseMachine() as machine:
        machine.set_up_by_hand()
        machine.sandbox.run("rm -r /var/lib/authselect/backups")
        machine.rpm("--erase", *enterprise.PACKAGES)
        assert machine.selected().split()[0] == "local" and machine.sandbox.succeeds("authselect check")
        assert local_people.broken_ways_in(machine) == {}


def test_setup_does_the_whole_of_it_and_nothing_the_second_time():
    with EnterpriseMachine() as machine:
        before = digests(machine.sandbox)
        machine.set_up("--no-drop-in")
        assert machine.selected() == "oauth2 with-faillock"
        assert machine.person.first_login("bea").status == 0
        assert "no change" in _said(machine.set_up("--no-drop-in"))
        machine.ctl("disable pam")
        assert digests(machine.sandbox) == before


def test_a_setup_that_fails_leaves_the_selection_as_it_was():
    with EnterpriseMachine() as machine:
        before = digests(machine.sandbox)
        # A stack that admits everybody cannot be proved.
        machine.sandbox.write("/etc/pam.d/cron", "account sufficient pam_permit.so\nauth required pam_deny.so\n")
        changed = digests(machine.sandbox)
        assert machine.set_up("--no-drop-in", check=False).returncode != 0
        assert digests(machine.sandbox) == changed and before.keys() == changed.keys()
        assert machine.selected() == SELECTED and machine.sandbox.succeeds("authselect check")


@pytest.fixture
def unselected():
    with EnterpriseMachine() as ready:
        product.configure(ready.sandbox, product.ID_TOKEN, ready.provider.ca)
        yield ready


def test_who_signs_in_although_in_etc_passwd_gets_a_stack_without_the_jump(unselected):
    unselected.set_up_by_hand({**product.ID_TOKEN, "local_users": "allow"})
    assert unselected.selected() == "oauth2 with-faillock with-local-sign-in"
    assert unselected.person.first_login("localu", command="id -u").output.strip() == "1000"
    assert unselected.person.key_login("root", product.ROOT_KEY).status == 0
    assert unselected.person.password_login("root", product.ROOT_PASSWORD).status == 0


def test_what_cannot_be_replaced_is_refused_by_name(unselected):
    sandbox = unselected.sandbox
    before = digests(sandbox)

    def refused():
        done = unselected.ctl("enable pam", check=False)
        assert done.returncode == 8, done.stdout + done.stderr
        return done.stderr

    original = sandbox.read("/etc/authselect/system-auth")
    sandbox.write("/etc/authselect/system-auth", original + "# mine\n")
    assert "by hand" in refused()
    sandbox.write("/etc/authselect/system-auth", original)
    conf = sandbox.read("/etc/authselect/authselect.conf")
    sandbox.write("/etc/authselect/authselect.conf", conf + "with-systemd-homed\n")
    assert "with-systemd-homed" in refused()
    sandbox.write("/etc/authselect/authselect.conf", "sssd\n")
    assert "sssd" in refused()
    sandbox.path("/etc/authselect/authselect.conf").unlink()
    assert "nothing is selected" in refused()
    sandbox.write("/etc/authselect/authselect.conf", conf)
    assert digests(sandbox) == before


def test_every_packaging_names_the_same_version():
    places = {"Cargo.toml": r'(?m)^version = "(.*)"', "rpm/pam-oauth2.spec": r"(?m)^Version: +(.*)",
              "debian/changelog": r"\(([^)]*)\)"}
    found = {name: re.search(pattern, (product.REPOSITORY / name).read_text())[1] for name, pattern in places.items()}
    assert len(set(found.values())) == 1, found


def test_rpmlint_has_nothing_to_say():
    command = ["rpmlint", "--config", product.REPOSITORY / "rpm/rpmlint.toml", *enterprise.packages(),
               product.REPOSITORY / "rpm/pam-oauth2.spec"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and re.search(r"0 errors, 0 warnings", done.stdout), done.stdout


def _said(done):
    return done.stdout + done.stderr
