"""`oauth2ctl migrate`: from an earlier module's configuration and accounts, on a machine that ran it."""

import json
import os

import pytest

from rig import product
from rig.machine import Machine

OLD = f"{product.CONFIG_DIR}/config.json"
KEPT = OLD + ".before-migrate"
ISSUER = "https://idp.test:8443"

# As the earlier module's example has it: both of its spellings, and nulls.
EARLIER = {
    "client_id": "linux-login-secret",
    "client_secret": "linux-login-test-secret",
    "oauth_auth_url": ISSUER + "/auth",
    "oauth_device_url": ISSUER + "/device/auth",
    "oauth_token_url": ISSUER + "/token",
    "oauth_token_introspect_url": ISSUER + "/token/introspection",
    "oauth_device_token_polling_timeout": None,
    "scopes": "openid profile groups",
    "ca_file": product.CA,
    "qr_enabled": False,
    "massages": {"prompt_enter": "Press ENTER to continue:"},
    "local_group": "sudo",
    "username_claims": ["preferred_username"],
    "subject_from_username": True,
}
STFC = {
    "oauth": {
        "client": {"id": "c", "secret": "stfc-secret"}, "scope": "openid profile",
        "device_endpoint": ISSUER + "/device/auth", "token_endpoint": ISSUER + "/token",
        "userinfo_endpoint": ISSUER + "/userinfo", "username_attribute": "preferred_username",
    },
    "group": {"access": True, "service_name": "3f1c-staff"},
    "qr": {"error_correction_level": -1},
}


@pytest.fixture
def bare():
    """A machine whose administrator has not set anything up."""
    with Machine("bookworm", config=None, provider=None) as ready:
        yield ready


def migrate(machine, *arguments):
    done = machine.sandbox.run(["oauth2ctl", "--json", "migrate", *arguments], check=False)
    return done.returncode, json.loads(done.stdout)


def write(machine, path, text):
    machine.sandbox.write(path, text if isinstance(text, str) else json.dumps(text), 0o600)


def identity(path):
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns


def test_an_earlier_modules_configuration_is_taken_over_and_kept(bare):
    write(bare, OLD, EARLIER)
    before = bare.sandbox.read(OLD)
    status, answer = migrate(bare, "--yes")
    assert status == 0 and answer["changed"], answer
    assert answer["from"] == "ancestor"
    assert any("lower-casing" in note for note in answer["notes"])
    assert any("sudo" in note and "allow_privileged_groups" in note for note in answer["notes"])
    assert "linux-login-test-secret" not in json.dumps(answer)
    assert bare.sandbox.read(KEPT) == before
    config = json.loads(bare.sandbox.read(OLD))
    assert config["scope"] == "openid profile groups" and "scopes" not in config
    assert config["messages"] == EARLIER["massages"] and "oauth_auth_url" not in config
    assert "local_groups" not in config and config["provisioning"] == "none"
    assert bare.sandbox.path(OLD).stat().st_mode & 0o777 == 0o600
    assert bare.sandbox.run("oauth2ctl config validate").returncode == 0


def test_a_second_run_changes_nothing(bare):
    write(bare, OLD, EARLIER)
    migrate(bare, "--yes")
    state = {path: identity(bare.sandbox.path(path)) for path in (OLD, KEPT)}
    status, answer = migrate(bare, "--yes")
    assert status == 0 and not answer["changed"] and "no change" in answer["messages"]
    assert {path: identity(bare.sandbox.path(path)) for path in (OLD, KEPT)} == state


def test_nothing_is_written_without_a_yes_or_in_a_dry_run(bare):
    write(bare, OLD, EARLIER)
    before = bare.sandbox.read(OLD)
    status, answer = migrate(bare)
    assert status == 7 and "--yes" in answer["error"]["message"]
    status, answer = migrate(bare, "--dry-run")
    assert status == 0 and not answer["changed"] and answer["config"]["client_secret"] == "***"
    assert bare.sandbox.read(OLD) == before and not bare.sandbox.path(KEPT).exists()
    with bare.person.start(["oauth2ctl", "migrate"]) as terminal:
        terminal.expect(r"\[y/N\]")
        terminal.send_line("n")
        assert terminal.wait() == 7
    assert bare.sandbox.read(OLD) == before


def test_azure_without_a_tenant_is_not_made_one_for_everybody(bare):
    microsoft = "https://login.microsoftonline.com"
    config = {"client_id": "c", "scope": "openid profile", "oauth_token_url": f"{microsoft}/common/oauth2/v2.0/token"}
    write(bare, OLD, config)
    status, answer = migrate(bare, "--yes")
    assert status == 7 and "allowed_tenants" in answer["error"]["message"] and not answer["changed"]
    config["oauth_token_url"] = f"{microsoft}/contoso.example/oauth2/v2.0/token"
    write(bare, OLD, config)
    status, answer = migrate(bare, "--yes")
    assert status == 0 and answer["config"]["tenant_id"] == "contoso.example", answer
    assert answer["config"]["provisioning"] == "store"


def test_the_c_module_needs_an_issuer_and_keeps_its_group(bare):
    write(bare, OLD, STFC)
    status, answer = migrate(bare, "--yes")
    assert status == 7 and not answer["changed"]
    assert any("--issuer" in note for note in answer["notes"])
    status, answer = migrate(bare, "--yes", "--issuer", ISSUER)
    assert status == 0 and answer["from"] == "stfc", answer
    config = json.loads(bare.sandbox.read(OLD))
    assert config["allowed_groups"] == ["3f1c-staff"] and config["qr_enabled"] is False
    assert config["client_secret"] == "stfc-secret"
    assert not migrate(bare, "--yes")[1]["changed"]


@pytest.mark.parametrize("path, text, module, key, value", [
    ("/etc/aad.conf", "tenant_id = contoso.example\napp_id = a\nhomedir = /home/%f\n", "aad-auth",
     "tenant_id", "contoso.example"),
    ("/var/snap/authd-google/current/broker.conf",
     "[oidc]\nissuer = https://accounts.google.com\nclient_id = c\nclient_secret = s\n"
     "[users]\nallowed_users = ALL\nssh_allowed_suffixes_first_auth = @x.org\n", "authd",
     "first_login", ["*@x.org"]),
])
def test_other_modules_are_found_where_they_are(bare, path, text, module, key, value):
    write(bare, path, text)
    status, answer = migrate(bare, "--yes")
    assert status == 0 and answer["from"] == module, answer
    assert answer["config"][key] == value
    assert bare.sandbox.run("oauth2ctl config validate").returncode == 0
    assert not migrate(bare, "--yes")[1]["changed"]


def test_a_machine_without_another_module_says_so(bare):
    assert migrate(bare)[0] == 4


def test_a_configuration_that_others_can_write_is_not_believed(bare):
    bare.sandbox.write("/etc/aad.conf", "tenant_id = t\napp_id = a\n", 0o666)
    status, answer = migrate(bare, "--yes")
    assert status == 1 and "writable by others" in answer["error"]["message"]


def test_pam_lines_are_reported_and_never_edited(bare):
    write(bare, "/etc/pam_oauth2_device/other.json", EARLIER)
    line = "auth sufficient pam_oauth2_device.so config=/etc/pam_oauth2_device/other.json"
    sshd = bare.sandbox.read("/etc/pam.d/sshd")
    bare.sandbox.write("/etc/pam.d/sshd", f"{line}\nauth required pam_aad.so\n{sshd}")
    before = bare.sandbox.read("/etc/pam.d/sshd")
    status, answer = migrate(bare, "--yes")
    assert status == 0 and answer["file"].endswith("other.json"), answer
    ours, theirs = answer["pam_lines"]
    assert ours["edit"] == "delete line 1 of /etc/pam.d/sshd" and ours["served"]
    assert theirs["edit"] == "delete line 2 of /etc/pam.d/sshd" and not theirs["served"]
    assert bare.sandbox.read("/etc/pam.d/sshd") == before


# Accounts


@pytest.fixture(scope="module")
def machine():
    """It ran the earlier module, whose useradd made accounts."""
    config = {**product.ID_TOKEN, "provisioning": "store", "local_users": "allow"}
    with Machine("bookworm", config=config, enabled=False) as ready:
        sandbox = ready.sandbox
        sandbox.run("pam-auth-update --package --disable oauth2 --enable oauth2-local")
        sandbox.run("oauth2ctl store migrate && oauth2ctl enable sshd --no-drop-in")
        for name in ("ann@example.com", "boss@example.com", "plain", "elsewhere@example.com"):
            home = "/srv/e" if name.startswith("elsewhere") else f"/home/{name}"
            sandbox.run(["useradd", "--badname", "-m", "-d", home, "-s", "/bin/bash", "--", name])
        sandbox.run("usermod -aG sudo boss@example.com; usermod -aG games ann@example.com")
        sandbox.run("touch /home/ann@example.com/file; echo '@daily true' | crontab -u ann@example.com -")
        yield ready


def people(machine):
    return machine.store("select login_name, uid, state, existing, subject from identity order by 1").splitlines()


def test_accounts_that_look_like_it_are_listed_and_taken_over(machine):
    passwd, group = machine.sandbox.read("/etc/passwd"), machine.sandbox.read("/etc/group")
    status, answer = migrate(machine, "--take-over-users", "--dry-run")
    assert status == 0 and [user["name"] for user in answer["users"]] == ["ann@example.com"], answer
    assert people(machine) == []
    status, answer = migrate(machine, "--take-over-users", "--yes")
    assert status == 0 and answer["changed"], answer
    uid = machine.uid_of("ann@example.com")
    assert people(machine) == [f"ann@example.com|{uid}|reserved|1|"]
    assert (machine.sandbox.read("/etc/passwd"), machine.sandbox.read("/etc/group")) == (passwd, group)
    published = identity(machine.sandbox.path(product.PUBLISHED))
    status, answer = migrate(machine, "--take-over-users", "--yes")
    assert status == 0 and not answer["changed"], answer
    assert identity(machine.sandbox.path(product.PUBLISHED)) == published


def test_their_next_sign_in_binds_them_and_keeps_everything(machine):
    migrate(machine, "--take-over-users", "--yes")
    uid = machine.uid_of("ann@example.com")
    ended = machine.person.first_login("ann@example.com", command="id -u; id -Gn; stat -c %u .; ls")
    assert ended.status == 0, ended.screen
    lines = ended.output.split("\n")
    assert lines[0] == str(uid) and lines[2:4] == [str(uid), "file"] and "games" in lines[1].split()
    row = machine.store("select state, subject is not null from identity where login_name = 'ann@example.com'")
    assert row == "confirmed|1"
    assert "@daily" in machine.sandbox.output("crontab -l -u ann@example.com")


def test_somebody_in_a_privileged_group_must_be_named(machine):
    status, answer = migrate(machine, "--take-over-users", "boss@example.com", "--yes",
                             "--subject", "boss@example.com", ISSUER, "boss-subject")
    assert status == 0 and answer["changed"], answer
    bound = machine.store("select subject from identity where login_name = 'boss@example.com'")
    assert bound == "boss-subject"
    assert not migrate(machine, "--take-over-users", "boss@example.com", "--yes")[1]["changed"]


@pytest.mark.parametrize("name, status", [("root", 7), ("nobody", 7), ("nobody-of-this-name", 4)])
def test_names_that_are_nobodys_to_take_over_are_refused(machine, name, status):
    assert migrate(machine, "--take-over-users", name, "--yes")[0] == status


def test_a_name_without_a_domain_is_taken_over_when_it_is_named(machine):
    status, answer = migrate(machine, "--take-over-users", "plain", "--yes")
    assert status == 0 and answer["changed"], answer
    (event,) = machine.store("select kind, login_name from event where login_name = 'plain'").splitlines()
    assert event.endswith("|plain")
