"""People of Microsoft Entra ID: who they are, which tenant says so, and under which name they come in."""

import time

import pytest
from ids import derived_uid

from rig import entra, product
from rig.entra import ANN, BASE, CONTOSO, FABRIKAM, SECRET, STAFF, TAILSPIN, EntraMachine, config

SHARED = {"tenant_id": "common", "allowed_tenants": {CONTOSO: ["contoso.test"]}}
BOTH = {**SHARED, "allowed_tenants": {CONTOSO: ["contoso.test"], FABRIKAM: ["fabrikam.test"]}}
# Somebody at fabrikam whose administrator has given them a name of contoso.
IMPOSTOR = {"tenant": "fabrikam", "preferred_username": ANN}


@pytest.fixture
def machine(shared_machine):
    shared_machine.as_usual()
    return shared_machine


def carried(machine, field):
    """The last parts of the addresses to which a form field of that name went."""
    return {form["path"].rsplit("/", 1)[1] for form in machine.provider.control.forms() if field in form["fields"]}


def comes_in(machine, name, approve_as=None):
    watch = machine.watch()
    ended = machine.person.first_login(name, approve_as, command="id")
    assert ended.status == 0, ended.screen
    assert f"uid={derived_uid(name)}({name})" in ended.output
    watch.one_verdict("admitted")
    return ended.output


def is_refused(machine, name, *reasons, approve_as=None):
    """Over ssh, and nothing is known of the name afterwards."""
    watch, traces = machine.watch(), machine.traces()
    ended = machine.attempt(name, approve_as)
    assert ended.status == 255, ended.screen
    traces.assert_none()
    return watch.one_verdict("refused", *reasons).text


def trial_is_refused(machine, reason, account):
    """By `oauth2ctl login`, for a person of whom the provider says this."""
    machine.provider.people({ANN: account})
    ended = machine.trial(ANN)
    assert ended.status == 7, ended.screen
    assert f"refused ({reason})" in ended.screen
    return ended.screen


# The main job

def test_a_person_never_seen_logs_in_on_the_first_connection_and_again(release):
    with EntraMachine(release) as machine:
        assert machine.resolves(ANN) is None
        about = comes_in(machine, ANN)
        assert "(entra-staff)" in about
        assert carried(machine, "client_secret") == set()
        assert all(form["authorization"] is None for form in machine.provider.control.forms())
        again = machine.person.login_again(ANN, command="id")
        assert (again.status, again.output) == (0, about)
        assert machine.store("select issuer from identity") == f"{BASE}/{CONTOSO}/v2.0"


def test_a_secret_goes_to_the_token_endpoint_and_nowhere_else(machine):
    machine.reconfigure(config(client_id=entra.WITH_SECRET, client_secret=SECRET))
    comes_in(machine, "sue@contoso.test")
    assert carried(machine, "client_secret") == {"token"}
    assert carried(machine, "client_id") == {"devicecode", "token"}
    assert all(form["authorization"] is None for form in machine.provider.control.forms())
    assert SECRET not in machine.sandbox.log()


def test_no_token_and_no_code_is_in_the_log(machine):
    machine.reconfigure(config(client_id=entra.WITH_SECRET, client_secret=SECRET))
    machine.provider.people({"lou@contoso.test": {"group_count": 250}})
    comes_in(machine, "lou@contoso.test")
    given = machine.provider.control.handed_out()
    assert {"device_code", "access_token", "id_token"} <= {secret["member"] for secret in given}
    assert [secret for secret in given if secret["value"] in machine.sandbox.log()] == []


def test_a_token_of_version_1_is_as_good(machine):
    machine.provider.people({"vera@contoso.test": {"version": "1.0"}})
    comes_in(machine, "vera@contoso.test")
    # The application's manifest decides about the version: a change must not make strangers of people.
    machine.provider.people({"vera@contoso.test": {"version": "2.0"}})
    assert machine.person.login_again("vera@contoso.test").status == 0


def test_a_tenant_may_be_named_by_its_domain(machine):
    machine.reconfigure(config(tenant_id="contoso.test"))
    comes_in(machine, "dan@contoso.test")
    machine.reconfigure(config())
    assert machine.person.login_again("dan@contoso.test").status == 0


def test_a_name_with_capitals_at_entra_is_small_here(machine):
    machine.provider.people({"carl@contoso.test": {"preferred_username": "Carl@Contoso.Test"}})
    comes_in(machine, "carl@contoso.test")


def test_the_domain_can_be_left_off(machine):
    machine.reconfigure(config(username_map="strip_domain", domains=["contoso.test"]))
    comes_in(machine, "nina", approve_as="nina@contoso.test")
    machine.provider.people({"nina": {"tenant": "contoso", "preferred_username": "nina@contoso.onmicrosoft.test"}})
    text = is_refused(machine, "otto", "name_not_admissible", approve_as="nina")
    assert "strip_domain" in text


def test_a_configuration_of_the_earlier_module_lets_the_same_people_in(machine):
    urls = {
        "oauth_auth_url": BASE + entra.path("authorize"),
        "oauth_device_url": BASE + entra.path("devicecode"),
        "oauth_token_url": BASE + entra.path("token"),
        "scope": "openid profile email offline_access",
    }
    machine.sandbox.run("groupadd --force oauth2users")
    machine.reconfigure(config(
        "first_login", "provisioning", client_id=entra.WITH_SECRET, client_secret=SECRET,
        allowed_groups=[STAFF], local_group="oauth2users", **urls))
    machine.provider.people({"eve@contoso.test": {"groups": [STAFF]}, "max@contoso.test": {"groups": [entra.group("x")]}})
    comes_in(machine, "eve@contoso.test")
    assert "oauth2users" in machine.sandbox.output("id -Gn eve@contoso.test").split()
    asked, = machine.provider.forms("/devicecode")
    assert set(urls["scope"].split()) <= set(asked["scope"].split())
    is_refused(machine, "max@contoso.test", "not_allowed")


# Whose word counts

def test_a_person_of_an_allowed_tenant_comes_in_where_all_tenants_sign_in(machine):
    machine.reconfigure(config(**SHARED))
    comes_in(machine, "amy@contoso.test")
    assert entra.path("token", "common") in machine.provider.machine_requests()


@pytest.mark.parametrize("tenants", [SHARED, BOTH], ids=["a-tenant-not-allowed", "an-allowed-tenant"])
def test_a_tenant_cannot_assert_a_name_of_another_tenants_domain(machine, tenants):
    machine.reconfigure(config(**tenants))
    machine.provider.people({"impostor": IMPOSTOR})
    text = is_refused(machine, ANN, "not_allowed", approve_as="impostor")
    assert FABRIKAM in text and "allowed_tenants" in text
    assert machine.resolves(ANN) is None


@pytest.mark.parametrize("claims", [
    {"preferred_username": None, "upn": ANN},
    {"preferred_username": "ANN@CONTOSO.TEST"},
    {"upn": "impostor@fabrikam.test"},
    {"email": ANN, "preferred_username": None},
], ids=str)
def test_no_other_claim_of_a_tenant_asserts_the_name_either(machine, claims):
    machine.reconfigure(config(**BOTH))
    machine.provider.people({"impostor": {**IMPOSTOR, "claims": claims}})
    ended = machine.trial(ANN, approve_as="impostor")
    assert ended.status == 7, ended.screen


def test_a_guest_is_not_known_by_a_name_of_the_tenant_that_is_home(machine):
    machine.reconfigure(config(**BOTH, allow_guests=True))
    guest = {"tenant": "contoso", "guest": "idp", "preferred_username": "bob@fabrikam.test"}
    machine.provider.people({"guest": guest})
    ended = machine.trial("bob@fabrikam.test", approve_as="guest")
    assert ended.status == 7, ended.screen
    assert "refused (not_allowed)" in ended.screen


def test_an_address_for_mail_is_no_name(machine):
    # Whoever runs a tenant writes any address into the `email` claim, and Entra vouches for none.
    machine.reconfigure(config(username_claims=["email"]))
    trial_is_refused(machine, "bad_token", {"claims": {"email": ANN}})
    machine.reconfigure(config(username_claims=["email", "preferred_username"]))
    machine.provider.people({"kurt@contoso.test": {"claims": {"email": ANN}}})
    ended = machine.trial(ANN, approve_as="kurt@contoso.test")
    assert ended.status == 7, ended.screen
    assert "refused (wrong_person)" in ended.screen


def test_two_allowed_tenants_have_their_own_people(machine):
    machine.reconfigure(config(**BOTH))
    comes_in(machine, "ian@contoso.test")
    comes_in(machine, "ian@fabrikam.test")
    assert machine.uid_of("ian@contoso.test") != machine.uid_of("ian@fabrikam.test")
    is_refused(machine, "ian@tailspin.test", "not_allowed")


@pytest.mark.parametrize("tenants, reason", [
    ({}, "bad_token"), ({"tenant_id": "contoso.test"}, "bad_token"), (SHARED, "not_allowed"),
], ids=["guid", "domain", "common"])
@pytest.mark.parametrize("issuer", [f"{BASE}/{FABRIKAM}/v2.0", f"https://sts.windows.net/{FABRIKAM}/"], ids=["v2", "v1"])
def test_a_token_of_another_tenant_is_refused_wherever_it_comes_from(machine, tenants, reason, issuer):
    machine.reconfigure(config(**tenants))
    trial_is_refused(machine, reason, {"claims": {"tid": FABRIKAM, "iss": issuer}})


@pytest.mark.parametrize("claims", [
    {"tid": FABRIKAM},
    {"iss": f"{BASE}/{FABRIKAM}/v2.0"},
    {"iss": f"{BASE}/{{tenantid}}/v2.0"},
    {"iss": f"{BASE}/common/v2.0"},
    {"tid": None},
    {"tid": "*"},
    {"oid": None},
    {"oid": ""},
    {"aud": entra.WITH_SECRET},
    {"aud": f"api://{entra.PUBLIC}"},
], ids=str)
def test_a_token_that_contradicts_itself_is_refused(machine, claims):
    trial_is_refused(machine, "bad_token", {"claims": claims})


@pytest.mark.parametrize("key, words", [("consumer", "another issuer"), ("unpublished", "kid"), ("next", None)])
def test_a_key_signs_for_the_tenants_of_its_issuer_only(machine, key, words):
    for tenants in ({}, SHARED):
        machine.reconfigure(config(**tenants))
        if words:
            assert words in trial_is_refused(machine, "bad_token", {"signing_key": key})
        else:
            machine.provider.people({ANN: {"signing_key": key}})
            assert machine.trial(ANN).status == 0


def test_a_token_from_before_this_login_is_refused(machine):
    # Entra dates its tokens five minutes back: that much is right, and no more than a minute beyond.
    now = int(time.time())
    trial_is_refused(machine, "bad_token", {"claims": {"iat": now - 600, "nbf": now - 600}})
    trial_is_refused(machine, "bad_token", {"claims": {"exp": now - 61}})


# Guests

# With members of another domain than the names below have.
GUESTS = {"allow_guests": True, "allowed_tenants": {CONTOSO: ["members.contoso.test"]}}


@pytest.mark.parametrize("account", [
    {"guest": "idp"}, {"guest": "acct"}, {"guest": "ext"},
    {"guest": "ext", "version": "1.0"}, {"guest": "idp", "version": "1.0"},
], ids=str)
def test_a_guest_comes_in_only_where_guests_are_allowed(machine, account):
    screen = trial_is_refused(machine, "not_allowed", account)
    assert "guest" in screen and "allow_guests" in screen
    machine.reconfigure(config(**GUESTS))
    if account != {"guest": "ext", "version": "1.0"}:
        ended = machine.trial(ANN)
        assert ended.status == 0, ended.screen


def test_a_guest_over_ssh_is_refused_and_leaves_nothing(machine):
    machine.provider.people({"gus@contoso.test": {"guest": "acct"}})
    text = is_refused(machine, "gus@contoso.test", "not_allowed")
    assert "allow_guests" in text
    machine.reconfigure(config(**GUESTS))
    comes_in(machine, "gus@contoso.test")


def test_a_guest_under_a_members_name_is_refused_even_where_guests_are_allowed(machine):
    machine.reconfigure(config(allow_guests=True, allowed_tenants={CONTOSO: ["contoso.test"]}))
    assert "domain is that of members" in trial_is_refused(machine, "not_allowed", {"guest": "idp"})
    machine.provider.people({})
    assert machine.trial(ANN).status == 0


def test_a_member_whose_idp_is_the_tenant_itself_is_no_guest(machine):
    for idp in (f"{BASE}/{CONTOSO}/v2.0", f"https://sts.windows.net/{CONTOSO}/"):
        machine.provider.people({ANN: {"claims": {"idp": idp, "acct": 0}}})
        assert machine.trial(ANN).status == 0


# The same person, and another one

def test_a_person_renamed_at_entra_is_known_by_the_object_id(machine):
    comes_in(machine, "rita@contoso.test")
    machine.provider.people({"rita@contoso.test": {"preferred_username": "rita.new@contoso.test"}})
    text = is_refused(machine, "rita.new@contoso.test", "renamed", approve_as="rita@contoso.test")
    assert "rita@contoso.test" in text.partition("detail=")[2]
    watch = machine.watch()
    assert machine.person.login_again("rita@contoso.test").status == 255
    watch.one_verdict("refused", "wrong_person")


def test_another_object_id_under_a_known_name_is_another_person(machine):
    comes_in(machine, "kim@contoso.test")
    machine.provider.people({"kim@contoso.test": {"oid": entra.group("the next kim")}})
    watch = machine.watch()
    ended = machine.person.login_again("kim@contoso.test")
    assert ended.status == 255
    watch.one_verdict("refused", "subject_mismatch")


def test_another_registration_of_the_application_sees_the_same_person(machine):
    # `sub` is another one for each application; the object id is not.
    comes_in(machine, "pia@contoso.test")
    machine.reconfigure(config(client_id=entra.WITH_SECRET, client_secret=SECRET))
    ended = machine.person.login_again("pia@contoso.test")
    assert ended.status == 0, ended.screen


def test_the_same_object_id_in_another_tenant_is_another_person(machine):
    machine.reconfigure(config(**BOTH))
    oid = entra.group("one id in two tenants")
    machine.provider.people({"zoe@contoso.test": {"oid": oid}, "zoe@fabrikam.test": {"oid": oid}})
    comes_in(machine, "zoe@contoso.test")
    comes_in(machine, "zoe@fabrikam.test")


def test_a_configuration_that_trusts_everybody_at_microsoft_is_refused(machine):
    for wrong in ({"tenant_id": "common"}, {**SHARED, "allowed_tenants": {CONTOSO: [], TAILSPIN: []}}):
        product.configure(machine.sandbox, config(**wrong))
        try:
            done = machine.sandbox.run("oauth2ctl config validate", check=False)
        finally:
            product.configure(machine.sandbox, config())
        assert done.returncode == 1
        assert "allowed_tenants" in done.stdout + done.stderr
