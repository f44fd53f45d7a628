"""The product beside a second, independently written OpenID provider: django-oauth-toolkit.

Where the two differ, this file says so: no device_authorization_endpoint in the discovery document, an
issuer with a path, codes without a hyphen, introspection without `sub`, and no id_token in the device
grant unless the site adds it (tests/provider/django/id_token.py).
"""

import re
from contextlib import contextmanager

import pytest

from rig import texts
from rig.patience import wait_until
from rig.second_provider import ID_TOKEN, INTROSPECTION, SecondMachine

SECRET = {key: INTROSPECTION[key] for key in ("client_id", "client_secret")}
GROUPS = {"3f1c-staff": "idp-staff", "b201-net": "idp-net", "operator": "idp-operators"}


@pytest.fixture(scope="module")
def openid():
    """A public client that verifies id_tokens."""
    with SecondMachine("bookworm", config=ID_TOKEN) as ready:
        yield ready


@pytest.fixture(scope="module")
def plain():
    """A confidential client that introspects, and the toolkit as it comes."""
    provider = {"id_token": False, "interval": 2}
    with SecondMachine("bookworm", config=INTROSPECTION, provider=provider) as ready:
        yield ready


@pytest.fixture(params=["openid", "plain"])
def machine(request):
    return request.getfixturevalue(request.param)


@contextmanager
def configured(machine, usual, **changes):
    """Other settings for a while; None leaves one out."""
    config = {key: value for key, value in {**usual, **changes}.items() if value is not None}
    machine.reconfigure(config)
    try:
        yield
    finally:
        machine.reconfigure(usual)


def trial(machine, name):
    """A whole sign-in on the administrator's terminal, which records nothing."""
    with machine.person.start(["oauth2ctl", "login", name]) as terminal:
        machine.person.approve(machine.person.read_prompt(terminal), name)
        return machine.person.finish(terminal)


def trial_without_a_code(machine, name):
    with machine.person.start(["oauth2ctl", "login", name]) as terminal:
        terminal.expect(texts.PRESS_ENTER)
        return machine.person.finish(terminal)


# Both ways to verify


def test_a_person_never_seen_comes_in_and_comes_in_again(machine):
    watch = machine.watch()
    first = machine.person.first_login("ines", command="id -un")
    assert first.status == 0, first.screen
    assert first.output.strip() == "ines"
    watch.one_verdict("admitted")
    entry = machine.resolves("ines")

    watch = machine.watch()
    again = machine.person.login_again("ines", command="id -un")
    assert again.status == 0, again.screen
    assert again.output.strip() == "ines"
    watch.one_verdict("admitted")
    assert machine.resolves("ines") == entry


def test_the_wrong_person_is_refused(machine):
    watch, traces = machine.watch(), machine.traces()
    ended = machine.person.first_login("ann", approve_as="bob")
    assert ended.status == 255
    assert re.search(texts.wrong_person("bob", "ann"), ended.screen), ended.screen
    traces.assert_none()
    watch.one_verdict("refused", "wrong_person")


def test_enter_before_the_approval_only_makes_us_ask_again_at_the_providers_pace(machine):
    watch, control = machine.watch(), machine.provider.control
    with machine.person.ssh("hasty", "true") as terminal:
        prompt = machine.person.read_prompt(terminal)
        terminal.send_line()
        wait_until(lambda: len(control.times("/o/token/")) >= 2, "two polls")
        machine.person.approve(prompt, "hasty")
        status = terminal.wait(30)
    assert status == 0, terminal.screen
    watch.one_verdict("admitted")
    polls = control.times("/o/token/")
    assert [answer for _, answer in polls] == [400] * (len(polls) - 1) + [200]
    moments = [at for at, _ in control.times("/o/device-authorization/") + polls]
    # Written after the answer was made, so that two lines may be a little nearer than two requests.
    pauses = [later - earlier for earlier, later in zip(moments, moments[1:])]
    assert min(pauses) > machine.provider.interval - 0.2, pauses


# The device grant


def test_a_denied_login_is_refused(openid):
    watch, traces = openid.watch(), openid.traces()
    with openid.person.ssh("ann", "true") as terminal:
        prompt = openid.person.read_prompt(terminal)
        openid.provider.browser.deny(prompt.url, prompt.code, "ann")
        ended = openid.person.finish(terminal)
    assert ended.status == 255
    traces.assert_none()
    watch.one_verdict("refused", "denied")


def test_a_code_that_the_provider_lets_expire_is_refused(openid):
    """The toolkit finds out when somebody types the code, long before the 1800 s it told us."""
    watch, traces = openid.watch(), openid.traces()
    with openid.person.ssh("ann", "true") as terminal:
        prompt = openid.person.read_prompt(terminal)
        openid.provider.database("update oauth2_provider_devicegrant set expires = '2000-01-01'")
        page = openid.provider.browser.type_code(prompt.url, prompt.code, "ann")
        assert "/device-confirm/" not in page.url, page.summary()
        ended = openid.person.finish(terminal)
    assert ended.status == 255
    traces.assert_none()
    watch.one_verdict("refused", "expired")


def test_a_wrong_client_secret_is_a_fault_of_the_configuration(plain):
    with configured(plain, INTROSPECTION, client_secret="not-the-secret"):
        watch = plain.watch()
        ended = trial_without_a_code(plain, "ann")
    assert "provider_refuses_client" in ended.output and "invalid_client" in ended.output, ended.screen
    assert watch.requests() == ["/.well-known/openid-configuration", "/device-authorization/"]


def test_the_endpoints_that_the_toolkits_discovery_leaves_out_are_asked_for_by_name(plain):
    for key in ("oauth_device_url", "oauth_token_introspect_url"):
        with configured(plain, INTROSPECTION, **{key: None}):
            ended = trial_without_a_code(plain, "ann")
        assert key in ended.output, ended.screen


# The id_token, which the site adds


def test_a_confidential_client_signs_in_a_person_with_a_domain(openid):
    with configured(openid, ID_TOKEN, **SECRET):
        watch = openid.watch()
        ended = openid.person.first_login("rosa@example.test", command="id -un")
        assert ended.status == 0, ended.screen
        assert ended.output.strip() == "rosa@example.test"
        watch.one_verdict("admitted")


@pytest.mark.parametrize("claim, group", [
    ("groups", "idp-staff"), ("team", "idp-net"), ("realm_access.roles", "idp-operators"),
], ids=["a-list", "one-string", "inside-an-object"])
def test_groups_come_as(openid, claim, group):
    with configured(openid, ID_TOKEN, groups_claim=claim, group_map=GROUPS):
        seen = openid.resolves("lena") is not None
        sign_in = openid.person.login_again if seen else openid.person.first_login
        ended = sign_in("lena", command="id -Gn")
    assert ended.status == 0, ended.screen
    assert {*ended.output.split()} & {*GROUPS.values(), "77aa-unmapped"} == {group}


def test_a_name_that_only_userinfo_tells_is_found_there(openid):
    with configured(openid, ID_TOKEN, username_claims=["login"]):
        watch = openid.watch()
        ended = trial(openid, "ann")
    assert ended.status == 0, ended.screen
    assert watch.requests()[-1] == "/userinfo/"


def test_an_id_token_signed_with_the_client_secret_is_refused(openid):
    hmac = {"client_id": "linux-login-hmac", "client_secret": SECRET["client_secret"] * 2}
    with configured(openid, ID_TOKEN, **hmac):
        ended = trial(openid, "ann")
    assert ended.status == 7, ended.screen
    assert "bad_token" in ended.output and "its alg is none of" in ended.output


def test_the_toolkit_as_it_comes_sends_no_id_token_and_the_log_says_so(plain):
    with configured(plain, ID_TOKEN):
        watch = plain.watch()
        ended = plain.person.first_login("ann")
        assert ended.status == 255
        line = watch.one_verdict("refused", "bad_token")
    assert "id_token: the provider sent none" in line.text
    assert plain.resolves("ann") is None


# Introspection, by the toolkit as it comes


def test_without_subject_from_username_its_introspection_names_no_subject(plain):
    with configured(plain, INTROSPECTION, subject_from_username=None):
        ended = trial(plain, "ann")
    assert ended.status == 7, ended.screen
    assert "bad_token" in ended.output and "subject_from_username" in ended.output


def test_a_public_client_may_not_introspect_and_that_is_a_fault_of_the_configuration(plain):
    """The toolkit answers 403 with an empty body."""
    with configured(plain, INTROSPECTION, client_id="linux-login", client_secret=None):
        watch = plain.watch()
        ended = trial(plain, "ann")
    assert ended.status not in (0, 7), ended.screen
    assert "provider_refuses_client" in ended.output and "403" in ended.output
    assert watch.requests()[-1] == "/introspect/"
