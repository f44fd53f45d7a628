"""`oauth2ctl setup`: from installed files to a stranger's login, without a question."""

import json

import pytest

from rig import entra, product
from rig.setup import ANSWERS, CA, ISSUER, SetupMachine

KEYBOARD_OFF = {"KbdInteractiveAuthentication": "no"}


@pytest.fixture
def machine():
    with SetupMachine(sshd=KEYBOARD_OFF) as ready:
        yield ready


@pytest.fixture(scope="module")
def untouched():
    """Shared by tests of what changes nothing."""
    with SetupMachine() as ready:
        yield ready


def test_a_stranger_signs_in_after_one_command(release):
    with SetupMachine(release, sshd=KEYBOARD_OFF) as machine:
        machine.set_up()
        machine.reload_sshd()
        ended = machine.person.first_login("ann", command="id -un")
        assert (ended.status, ended.output.strip()) == (0, "ann")
        # Local people, and whoever asks for them, notice nothing.
        interactive = machine.sandbox.output("sshd -T -C user=localu,host=h,addr=192.0.2.1 | grep ^kbdint")
        assert interactive.endswith("no")
        assert machine.person.password_login("localu", product.LOCAL_PASSWORD).status == 0


def test_a_second_run_says_no_change_and_touches_nothing(machine):
    assert machine.set_up_json()["changed"] is True
    times = machine.times()
    again = machine.set_up_json()
    assert again["changed"] is False and again["changes"] == []
    # Nor does it need the provider.
    machine.provider.stop()
    assert "no change" in machine.ctl("setup --non-interactive").stdout
    machine.provider.start()
    assert machine.times() == times


def test_twenty_runs_change_the_machine_once(machine):
    changed = [machine.set_up_json()["changed"] for _ in range(20)]
    assert changed == [True] + [False] * 19


def test_the_configuration_is_roots_alone_and_holds_no_secret(machine):
    machine.sandbox.write("/srv/secret", product.INTROSPECTION["client_secret"] + "\n", 0o600)
    done = machine.ctl(ANSWERS.replace("linux-login", "linux-login-secret")
                       + " --secret-file /srv/secret --non-interactive")
    secret = product.INTROSPECTION["client_secret"]
    assert secret not in done.stdout + done.stderr
    text = machine.sandbox.read(product.CONFIG)
    assert secret not in text
    config = json.loads(text)
    assert config["provisioning"] == "store" and config["max_confirmation_age"] == 30
    modes = machine.sandbox.output(f"stat -c '%a %U' {product.CONFIG} {config['client_secret_file']}")
    assert modes.splitlines() == ["600 root"] * 2
    assert not machine.sandbox.files_with(secret, "/var/log")
    machine.reload_sshd()
    assert machine.person.first_login("ann").status == 0


def test_a_dry_run_shows_every_change_and_makes_none(untouched):
    before = untouched.files()
    done = untouched.set_up("--dry-run")
    for shown in (f"+   \"issuer\": \"{ISSUER}\"", "passwd:         files oauth2", "Match Group oauth2-users",
                  "+ Include /etc/ssh/sshd_config.d/*.conf", "pam_oauth2_device.so"):
        assert shown in done.stdout, done.stdout
    assert len(untouched.set_up_json("--dry-run")["changes"]) >= 5
    untouched.assert_untouched(before)


@pytest.mark.parametrize("fault, says, code", [
    ("--issuer https://idp.test:8443/other", "status 404", 1),
    ("--issuer https://127.0.0.1:1", "firewall", 6),
    ("--client-id nobody-knows-it", "registered", 1),
    ("--ca-file /etc/ssl/certs/ca-certificates.crt", "--ca-file", 6),
    ("--max-confirmation-age 0", "--max-confirmation-age", 2),
    ("--strip-domain example", "--strip-domain", 2),
    ("--secret-file /nonexistent", "--secret-file", 2),
    ("--provisioning mysql", "useradd", 2),
    ("--confirm 10", "10m", 2),
])
def test_a_wrong_answer_is_refused_by_name_and_changes_nothing(untouched, fault, says, code):
    before = untouched.files()
    line = ANSWERS
    option = fault.split()[0]
    if option in line:
        words = line.split(" ")
        at = words.index(option)
        line = " ".join(words[:at] + words[at + 2:])
    done = untouched.ctl(f"{line} {fault} --non-interactive", check=False)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    untouched.assert_untouched(before)


@pytest.mark.parametrize("missing, says", [("oidc", "kind"), ("--issuer", "--issuer"), ("--client-id", "--client-id")])
def test_a_missing_answer_is_named(untouched, missing, says):
    words = ANSWERS.split(" ")
    at = words.index(missing)
    line = " ".join(words[:at] + words[at + (2 if missing.startswith("-") else 1):])
    done = untouched.ctl(f"{line} --non-interactive", check=False)
    assert done.returncode == 2 and says in done.stderr


def test_sshd_that_does_not_ask_pam_is_refused(machine):
    machine.sandbox.run("sed -i 's/^UsePAM yes/UsePAM no/' /etc/ssh/sshd_config")
    before = machine.files()
    done = machine.set_up(check=False)
    assert done.returncode == 7 and "UsePAM" in done.stderr
    machine.assert_untouched(before)


def test_a_machine_without_a_break_glass_account_is_refused(machine):
    machine.sandbox.run("passwd -l root; rm /root/.ssh/authorized_keys")
    before = machine.files()
    done = machine.set_up(check=False)
    assert done.returncode == 7 and "root" in done.stderr
    machine.assert_untouched(before)
    # localu may use sudo by a rule of sudoers, which is not looked at; a member of sudo counts.
    machine.sandbox.run("usermod -aG sudo localu")
    machine.set_up()


def test_keys_that_setup_does_not_know_stay_and_answers_of_before_are_the_default(machine):
    product.configure(machine.sandbox, {**product.ID_TOKEN, "_note": "mine", "shell": "/bin/sh"},
                      machine.provider.ca)
    done = machine.ctl("setup --max-confirmation-age 7 --non-interactive")
    config = json.loads(machine.sandbox.read(product.CONFIG))
    assert config == {**product.ID_TOKEN, "_note": "mine", "shell": "/bin/sh", "max_confirmation_age": 7}
    assert '+   "max_confirmation_age": 7' in done.stdout


def test_hand_edited_pam_files_are_left_alone_and_everything_is_put_back(machine):
    machine.sandbox.run("sed -i '/^auth.*pam_unix/s/^/# mine\\n/; s/^account.*requisite.*pam_deny/#&/'"
                        " /etc/pam.d/common-auth /etc/pam.d/common-account")
    before = machine.files()
    done = machine.set_up(check=False)
    assert done.returncode == 8 and "by hand" in done.stderr, done.stderr
    machine.assert_untouched(before)


def test_nsswitch_that_is_a_link_is_left_alone(machine):
    machine.sandbox.run("mkdir /etc/authselect && mv /etc/nsswitch.conf /etc/authselect/"
                        " && ln -s authselect/nsswitch.conf /etc/nsswitch.conf")
    before = machine.files()
    done = machine.set_up(check=False)
    assert done.returncode == 8 and "authselect" in done.stderr
    machine.assert_untouched(before)


def test_only_root_may_set_up(untouched):
    assert untouched.sandbox.run(["oauth2ctl", "setup", "--dry-run"], user=1000, check=False).returncode == 77


def test_accounts_made_by_useradd_get_the_profile_that_they_need(machine):
    machine.set_up("--provisioning useradd")
    machine.reload_sshd()
    assert machine.person.first_login("ann").status == 0
    assert "ann:" in machine.sandbox.read("/etc/passwd")
    assert "pam_localuser" not in machine.sandbox.read("/etc/pam.d/common-account")
    assert machine.person.password_login("localu", product.LOCAL_PASSWORD).status == 0
    assert machine.set_up_json("--provisioning useradd")["changed"] is False


def test_a_drop_in_of_the_same_name_comes_back_with_disable(machine):
    machine.sandbox.write("/etc/ssh/sshd_config.d/20-oauth2.conf", "# somebody else's\n", 0o640)
    machine.set_up()
    assert "Match Group" in machine.sandbox.read("/etc/ssh/sshd_config.d/20-oauth2.conf")
    machine.ctl("disable sshd")
    assert machine.sandbox.read("/etc/ssh/sshd_config.d/20-oauth2.conf") == "# somebody else's\n"
    assert machine.sandbox.output("stat -c %a /etc/ssh/sshd_config.d/20-oauth2.conf") == "640"


def test_a_configuration_that_others_can_read_becomes_roots_alone(machine):
    machine.set_up()
    machine.sandbox.run(f"chmod 644 {product.CONFIG}")
    done = machine.ctl("setup --non-interactive")
    assert "mode 0644 -> 0600" in done.stdout
    assert machine.sandbox.output(f"stat -c %a {product.CONFIG}") == "600"


def test_disabling_every_part_leaves_etc_as_it_was_but_for_the_configuration(machine):
    before = [line for line in machine.files() if "/etc/" in line]
    machine.set_up()
    machine.ctl("disable sshd")
    machine.ctl("disable pam")
    machine.ctl("disable nss")
    now = [line for line in machine.files() if "/etc/" in line]
    left = [line for line in set(now) ^ set(before) if "/etc/pam_oauth2_device" not in line]
    assert all("/etc/ssh/sshd_config" in line for line in left), left


def test_an_image_is_set_up_without_asking_the_provider(machine):
    machine.sandbox.run("mkdir /image && mount --rbind / /image && rmdir /run/sshd")
    assert machine.ctl(f"--root /image {ANSWERS} --non-interactive --confirm 1m", check=False).returncode == 2
    machine.provider.control.reset()
    done = machine.ctl(f"--root /image {ANSWERS} --non-interactive")
    assert "the provider was not asked" in done.stderr and "kill -HUP" not in done.stdout
    assert machine.provider.control.counters()["tcp_connections"] == 0
    machine.reload_sshd()
    assert machine.person.first_login("ann").status == 0


def test_the_time_that_sshd_gives_a_login_is_found_out():
    with SetupMachine(sshd={"LoginGraceTime": "45"}) as machine:
        machine.set_up()
        assert json.loads(machine.sandbox.read(product.CONFIG))["login_grace"] == 45


class EntraSetupMachine(SetupMachine):
    provider_type = entra.EntraMachine.provider_type
    person_type = entra.EntraMachine.person_type


def test_people_of_an_entra_tenant_sign_in_after_one_command():
    with EntraSetupMachine() as machine:
        # What no question asks for stands in the configuration already: this is not Microsoft's own address.
        product.configure(machine.sandbox, {"azure_authority": entra.BASE, "graph_url": entra.BASE})
        wrong = machine.ctl(f"setup entra --tenant common --client-id x --ca-file {CA} --non-interactive", check=False)
        assert wrong.returncode == 2 and "one tenant" in wrong.stderr
        line = f"setup entra --tenant {entra.CONTOSO} --ca-file {CA} --strip-domain contoso.test --non-interactive"
        unknown = machine.ctl(f"{line} --client-id 99999999-aaaa-4bbb-8ccc-333344445555", check=False)
        assert unknown.returncode == 1 and "AADSTS" in unknown.stderr, unknown.stderr
        machine.ctl(f"{line} --client-id {entra.PUBLIC} --allow-group {entra.STAFF}")
        assert json.loads(machine.ctl(f"{line} --json").stdout)["changed"] is False
        assert machine.person.first_login("ann", approve_as=entra.ANN).status == 0


def test_beside_another_directory_nobody_comes_unannounced_unless_that_is_said(untouched):
    untouched.sandbox.run("sed -i.kept 's/^passwd:.*/& sss/' /etc/nsswitch.conf")
    line = ANSWERS.replace(" --first-login '*'", "") + " --non-interactive --dry-run"
    done = untouched.ctl(line)
    assert '"first_login": []' in done.stdout and "user add" in done.stderr
    assert '"*@*"' in untouched.ctl(f"{line} --first-login '*@*'").stdout
    untouched.sandbox.run("mv /etc/nsswitch.conf.kept /etc/nsswitch.conf")
    assert '"*@*"' in untouched.ctl(line).stdout
    assert '"*"' in untouched.ctl(f"{line} --strip-domain example.com").stdout
