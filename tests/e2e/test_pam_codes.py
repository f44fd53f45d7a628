"""Every return code of the built PAM module (design, section 8), asked by pamtester."""

import pytest

from rig import product
from rig.machine import Machine

CONFIG = {**product.ID_TOKEN, "services": ["sshd", "abi"], "max_confirmation_age": 30}

# Whatever our module answers ends the stack with that answer; only PAM_IGNORE lets pam_debug speak.
STACK = """\
auth    [success=done ignore=ignore default=die] pam_oauth2_device.so
auth    required pam_debug.so auth=cred_expired cred=cred_expired
account [success=done ignore=ignore default=die] pam_oauth2_device.so
account required pam_debug.so acct=cred_expired
session required pam_permit.so
"""

IGNORE = "User credentials expired"
SUCCESS = "successfully|has been established|management done"
AUTH_ERR = "Authentication failure"
PERM_DENIED = "Permission denied"
USER_UNKNOWN = "User not known to the underlying authentication module"
UNAVAILABLE = "Authentication service cannot retrieve authentication info"
SERVICE_ERR = "Error in service module"
SYSTEM_ERR = "System error"
ACCT_EXPIRED = "User account has expired"


@pytest.fixture(scope="module")
def machine():
    with Machine("bookworm", config=CONFIG) as ready:
        ready.sandbox.write("/etc/pam.d/abi", STACK)
        assert ready.person.first_login("ann").status == 0
        yield ready


def answer(machine, name, operation, typed="", user=None):
    done = machine.sandbox.run(["pamtester", "abi", name, operation], check=False, input=typed, user=user)
    return done.stdout + done.stderr


def says(text, code):
    return any(part in text for part in code.split("|"))


@pytest.mark.parametrize("name, typed, code", [
    ("root", "", IGNORE),
    ("localu", "", IGNORE),
    ("0.0", "", USER_UNKNOWN),
    ("sudo", "", USER_UNKNOWN),
    ("a-stranger", "", USER_UNKNOWN),
    ("ann", "hunter2\n", AUTH_ERR),
    ("ann", "", UNAVAILABLE),  # nobody answers the prompt
])
def test_the_auth_phase_answers(machine, name, typed, code):
    text = answer(machine, name, "authenticate", typed)
    assert says(text, code), text
    assert "hunter2" not in machine.sandbox.log()


def test_a_caller_without_roots_rights_is_none_of_our_business_in_the_auth_phase(machine):
    assert says(answer(machine, "ann", "authenticate", user=1000), IGNORE)


@pytest.mark.parametrize("user", [None, 1000], ids=["root", "somebody"])
def test_the_account_phase_answers_whoever_asks(machine, user):
    assert says(answer(machine, "ann", "acct_mgmt", user=user), SUCCESS)
    assert says(answer(machine, "localu", "acct_mgmt", user=user), IGNORE)
    assert says(answer(machine, "a-stranger", "acct_mgmt", user=user), IGNORE)


def test_credentials_are_a_confirmed_persons_only(machine):
    assert says(answer(machine, "ann", "setcred(PAM_ESTABLISH_CRED)"), SUCCESS)
    assert says(answer(machine, "localu", "setcred(PAM_ESTABLISH_CRED)"), IGNORE)


@pytest.mark.parametrize("change, code", [
    ("state = 'locked'", PERM_DENIED),
    ("state = 'reserved'", PERM_DENIED),
    ("expires_day = 1", PERM_DENIED),
])
def test_whoever_is_shut_out_is_refused_in_the_account_phase(machine, change, code):
    machine.store(f"update identity set {change} where login_name = 'ann'")
    machine.sandbox.run("oauth2ctl publish")
    try:
        assert says(answer(machine, "ann", "acct_mgmt"), code)
    finally:
        machine.store("update identity set state = 'confirmed', expires_day = null where login_name = 'ann'")
        machine.sandbox.run("oauth2ctl publish")


def test_a_locked_account_never_reaches_the_provider(machine):
    machine.store("update identity set state = 'locked' where login_name = 'ann'")
    machine.sandbox.run("oauth2ctl publish")
    watch = machine.watch()
    try:
        assert says(answer(machine, "ann", "authenticate", "\n"), PERM_DENIED)
        watch.assert_no_network()
    finally:
        machine.store("update identity set state = 'confirmed' where login_name = 'ann'")
        machine.sandbox.run("oauth2ctl publish")


def test_a_key_login_needs_a_new_sign_in_after_the_configured_age(machine):
    machine.store("update identity set confirmed_day = confirmed_day - 31 where login_name = 'ann'")
    machine.sandbox.run("oauth2ctl publish")
    try:
        assert says(answer(machine, "ann", "acct_mgmt"), ACCT_EXPIRED)
    finally:
        machine.store("update identity set confirmed_day = confirmed_day + 31 where login_name = 'ann'")
        machine.sandbox.run("oauth2ctl publish")


def test_a_broken_configuration_is_a_service_error_for_ours_and_nothing_for_local_people(machine):
    good = machine.sandbox.read(product.CONFIG)
    machine.sandbox.write(product.CONFIG, "{", 0o600)
    try:
        assert says(answer(machine, "ann", "authenticate"), SERVICE_ERR)
        assert says(answer(machine, "localu", "authenticate"), IGNORE)
        assert says(answer(machine, "ann", "acct_mgmt"), SUCCESS)
        assert "line 1, column" in machine.sandbox.log()
    finally:
        machine.sandbox.write(product.CONFIG, good, 0o600)


def test_without_a_configuration_the_module_has_no_opinion(machine):
    machine.sandbox.run(["mv", product.CONFIG, product.CONFIG + ".away"])
    try:
        assert says(answer(machine, "ann", "authenticate"), IGNORE)
    finally:
        machine.sandbox.run(["mv", product.CONFIG + ".away", product.CONFIG])


def test_a_damaged_published_database_is_a_system_error_for_everybody_but_local_people(machine):
    machine.sandbox.run(["cp", "-p", product.PUBLISHED, "/root/nss.db"])
    machine.sandbox.run(f"head -c 8192 /dev/zero > /root/zeros && chmod 644 /root/zeros && mv /root/zeros {product.PUBLISHED}")
    try:
        assert says(answer(machine, "ann", "acct_mgmt"), SYSTEM_ERR)
        assert says(answer(machine, "localu", "acct_mgmt"), IGNORE)
    finally:
        machine.sandbox.run("oauth2ctl publish")
    assert says(answer(machine, "ann", "acct_mgmt"), SUCCESS)


def test_a_provider_that_is_down_is_unavailable(machine):
    machine.provider.stop()
    try:
        assert says(answer(machine, "ann", "authenticate", "\n"), UNAVAILABLE)
    finally:
        machine.provider.start()


def test_an_earlier_modules_line_beside_ours_starts_one_flow_only(machine):
    twice = STACK.replace("auth    [success=done ignore=ignore default=die] pam_oauth2_device.so",
                          "auth    sufficient pam_oauth2_device.so\n" * 2, 1)
    machine.sandbox.write("/etc/pam.d/abi", twice)
    watch = machine.watch()
    try:
        answer(machine, "ann", "authenticate", "hunter2\nhunter2\n")
        assert watch.requests().count("/device/auth") == 1
    finally:
        machine.sandbox.write("/etc/pam.d/abi", STACK)


def test_who_was_removed_is_refused_in_both_phases(machine):
    assert machine.person.first_login("tina").status == 0
    machine.sandbox.run("oauth2ctl user remove tina")
    assert says(answer(machine, "tina", "authenticate", "\n"), PERM_DENIED)
    assert says(answer(machine, "tina", "acct_mgmt"), PERM_DENIED)
