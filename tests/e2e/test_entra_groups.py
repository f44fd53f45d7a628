"""Groups of Microsoft Entra ID: in the token, and through Graph where a person is in too many of them."""

import json

import pytest

from rig.entra import ANN, BASE, CONTOSO, GROUPS_PATH, STAFF, config, group
from rig.tokens import entra_id_token

ONLY_STAFF = {"allowed_groups": [STAFF]}
# 250 groups in three pages; the one that counts comes last.
MANY = {"groups": [STAFF], "group_count": 250}
FORMS = ["claim_names", "hasgroups"]


@pytest.fixture
def machine(shared_machine):
    shared_machine.as_usual()
    shared_machine.reconfigure(config(**ONLY_STAFF))
    return shared_machine


def trial(machine, account, **settings):
    machine.provider.people({ANN: account})
    machine.provider.settings(**settings)
    machine.provider.control.reset()
    return machine.trial(ANN)


def assert_refused(ended, reason, *words):
    assert ended.status == 7, ended.screen
    assert f"refused ({reason})" in ended.screen
    for word in words:
        assert word in ended.screen


def pages_asked(machine):
    return machine.provider.forms(GROUPS_PATH)


# In the token

def test_a_group_in_the_token_lets_a_person_in_and_is_a_group_here(machine):
    machine.provider.people({"gia@contoso.test": {"groups": [group("other"), STAFF]}})
    ended = machine.person.first_login("gia@contoso.test", command="id -Gn")
    assert ended.status == 0, ended.screen
    assert "entra-staff" in ended.output.split()
    assert pages_asked(machine) == []


@pytest.mark.parametrize("account, reason", [
    ({"groups": [group("other")]}, "not_allowed"),
    ({"groups": [STAFF.replace("-", "")]}, "not_allowed"),
    ({"groups": [STAFF + "x"]}, "not_allowed"),
    ({"groups": [], "claims": {"wids": [STAFF], "roles": [STAFF]}}, "no_groups"),
], ids=["another", "no-hyphens", "longer", "a-role"])
def test_no_other_group_lets_a_person_in(machine, account, reason):
    assert_refused(trial(machine, account), reason)


def test_a_group_given_with_capitals_in_the_configuration_is_the_same_group(machine):
    machine.reconfigure(config(allowed_groups=[STAFF.upper()], group_map={STAFF.upper(): "entra-staff"}))
    ended = trial(machine, {"groups": [STAFF]})
    assert ended.status == 0, ended.screen


def test_an_application_that_is_told_no_groups_is_named_as_the_cause(machine):
    watch = machine.watch()
    machine.provider.people({"hal@contoso.test": {}})
    assert machine.attempt("hal@contoso.test").status == 255
    text = watch.one_verdict("refused", "no_groups").text
    assert "groups" in text and "optional claim" in text, text


def test_two_hundred_groups_still_fit_into_a_token(machine):
    ended = trial(machine, {"groups": [STAFF], "group_count": 200})
    assert ended.status == 0, ended.screen
    assert pages_asked(machine) == []


# Through Graph

def test_graph_is_not_asked_where_no_group_matters(machine):
    machine.reconfigure(config("group_map"))
    ended = trial(machine, MANY, graph={"denied": True})
    assert ended.status == 0, ended.screen
    assert pages_asked(machine) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_group_on_the_last_page_lets_a_person_in_and_is_a_group_here(machine, form):
    name = f"{form.replace('_', '-')}@contoso.test"
    machine.provider.people({name: {**MANY, "overage": form, "roles": [group("role")]}})
    watch = machine.watch()
    ended = machine.person.first_login(name, command="id -Gn")
    assert ended.status == 0, ended.screen
    assert "entra-staff" in ended.output.split()
    assert [page["authorization"] for page in pages_asked(machine)] == ["Bearer"] * 3
    watch.one_verdict("admitted")


@pytest.mark.parametrize("form", FORMS)
def test_many_groups_without_the_right_one_let_nobody_in(machine, form):
    assert_refused(trial(machine, {"group_count": 250, "overage": form}), "not_allowed")
    assert len(pages_asked(machine)) == 3


def test_who_has_lost_a_group_at_entra_has_lost_it_here(machine):
    machine.reconfigure(config())
    name = "mia@contoso.test"
    machine.provider.people({name: MANY})
    assert "entra-staff" in machine.person.first_login(name, command="id -Gn").output.split()
    machine.provider.people({name: {"group_count": 250}})
    ended = machine.person.login_again(name, command="id -Gn")
    assert ended.status == 0, ended.screen
    assert "entra-staff" not in ended.output.split()


@pytest.mark.parametrize("kind", ["roles", "units"])
def test_a_role_or_an_administrative_unit_is_no_group(machine, kind):
    assert_refused(trial(machine, {"group_count": 250, kind: [STAFF]}), "not_allowed")


def test_the_tenants_claims_about_where_to_ask_are_not_followed(machine):
    sources = {"src1": {"endpoint": "https://localhost:8443/v1.0/me/transitiveMemberOf"}}
    ended = trial(machine, {**MANY, "claims": {"_claim_sources": sources}})
    assert ended.status == 0, ended.screen
    assert {page["host"] for page in pages_asked(machine)} == {BASE.removeprefix("https://")}


@pytest.mark.parametrize("page", [1, 3])
def test_a_busy_graph_is_asked_again_after_the_time_it_names(machine, page):
    throttle = {"page": page, "times": 2, "retry_after": 2}
    ended = trial(machine, MANY, graph={"throttle": throttle})
    assert ended.status == 0, ended.screen
    log = [line for line in machine.provider.control.log() if line["path"] == GROUPS_PATH]
    busy = page - 1
    assert [line["status"] for line in log] == [200] * busy + [429, 429] + [200] * (3 - busy)
    for refused, following in zip(log[busy:busy + 2], log[busy + 1:busy + 3]):
        assert following["at_ms"] - refused["at_ms"] >= 1990


def test_a_graph_that_stays_busy_is_given_up_before_sshd_gives_up(machine):
    machine.reconfigure(config(**ONLY_STAFF, login_grace=30))
    machine.provider.people({"leo@contoso.test": MANY})
    machine.provider.settings(graph={"throttle": {"page": 2, "times": 1000, "retry_after": 3}})
    watch = machine.watch()
    ended = machine.attempt("leo@contoso.test")
    assert ended.status == 255
    assert ended.seconds < 30
    watch.one_verdict("unavailable", "provider_unreachable")
    assert machine.resolves("leo@contoso.test") is None


def test_a_missing_permission_is_named(machine):
    machine.provider.people({"pam@contoso.test": MANY})
    machine.provider.settings(graph={"denied": True})
    watch, traces = machine.watch(), machine.traces()
    assert machine.attempt("pam@contoso.test").status == 255
    traces.assert_none()
    text = watch.one_verdict("error").text
    assert "User.Read" in text and "permission" in text, text


def test_a_trial_login_says_which_permission_is_missing(machine):
    ended = trial(machine, MANY, graph={"denied": True})
    assert ended.status == 1, ended.screen
    for word in ("Microsoft Graph", "User.Read", "permission"):
        assert word in " ".join(ended.screen.split()), ended.screen


def explained(machine, **claims):
    claims = {"tid": CONTOSO, "oid": group("ann"), "iss": f"{BASE}/{CONTOSO}/v2.0", "preferred_username": ANN, **claims}
    machine.sandbox.write("/root/claims.json", json.dumps(claims))
    done = machine.sandbox.run(f"oauth2ctl --json explain {ANN} --claims /root/claims.json", check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("overage", [{"_claim_names": {"groups": "src1"}}, {"hasgroups": True}], ids=FORMS)
def test_an_explanation_does_not_guess_at_groups_that_only_graph_knows(machine, overage):
    status, answer = explained(machine, **overage)
    assert (status, answer["admitted"], answer["reason"]) == (3, None, "groups_unknown"), answer
    rule = next(rule for rule in answer["rules"] if rule["rule"] == "allowed_groups")
    assert rule["reason"] == "groups_unknown"
    assert any("User.Read" in warning and "oauth2ctl login" in warning for warning in answer["warnings"]), answer
    said = machine.sandbox.run(f"oauth2ctl explain {ANN} --claims /root/claims.json", check=False).stdout
    assert "is not known" in said and "would be refused" not in said
    # Another refusal is one all the same, and groups that matter to nobody are nobody's question.
    machine.reconfigure(config(**ONLY_STAFF, allowed_users=["somebody-else"]))
    assert explained(machine, **overage)[0] == 7
    machine.reconfigure(config("group_map"))
    status, answer = explained(machine, **overage)
    assert (status, answer["admitted"], answer["warnings"]) == (0, True, []), answer


def test_an_explanation_of_a_verified_token_does_not_guess_either(machine):
    machine.provider.people({ANN: MANY})
    done = machine.sandbox.run(["oauth2ctl", "--json", "explain", ANN, "--token", "-"], check=False,
                               input=entra_id_token(machine, ANN) + "\n")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["verified"], answer["reason"]) == (3, True, "groups_unknown"), answer


def test_doctor_says_what_only_a_login_can_try(machine):
    machine.provider.people({ANN: {}})
    for extra, asked in [(ONLY_STAFF, True), ({}, True)]:
        machine.reconfigure(config(**extra))
        checks = json.loads(machine.sandbox.run("oauth2ctl --json doctor --check O5", check=False).stdout)["checks"]
        line = next(line for line in checks if line["id"] == "O5")
        assert line["state"] == "ok" and ("oauth2ctl login NAME" in line["saw"]) is asked, line
    machine.reconfigure(config("group_map"))
    assert "User.Read" not in machine.sandbox.run("oauth2ctl doctor --check O5", check=False).stdout


def test_a_token_that_graph_does_not_take_lets_nobody_in(machine):
    ended = trial(machine, MANY, graph={"reject_token": True})
    assert ended.status == 1, ended.screen
    assert "InvalidAuthenticationToken" in ended.screen


def test_a_known_person_is_refused_too_while_the_groups_cannot_be_told(machine):
    machine.provider.people({"uma@contoso.test": MANY})
    assert machine.person.first_login("uma@contoso.test").status == 0
    machine.provider.settings(graph={"denied": True})
    watch = machine.watch()
    assert machine.attempt("uma@contoso.test", gate=False).status == 255
    watch.one_verdict("error")


@pytest.mark.parametrize("origin", [
    "https://localhost:8443",
    "https://idp.test:8443@localhost:8443",
    "https://idp.test:8444",
    "https://idp.test",
    "https://idp.test.localhost:8443",
    "http://idp.test:8443",
    "//localhost:8443",
    "",
])
def test_the_access_token_goes_to_graph_and_to_nobody_who_is_named_by_it(machine, origin):
    ended = trial(machine, MANY, graph={"next_origin": origin})
    assert ended.status == 1, ended.screen
    first, = pages_asked(machine)
    assert (first["host"], first["authorization"]) == ("idp.test:8443", "Bearer")


def test_a_list_without_end_is_given_up(machine):
    ended = trial(machine, {**MANY, "group_count": 250}, graph={"endless": True})
    assert ended.status == 1, ended.screen
    assert 3 < len(pages_asked(machine)) <= 100


def test_a_page_that_is_no_list_lets_nobody_in(machine):
    machine.provider.people({ANN: MANY})
    for body in ({}, {"value": None}, {"value": {}}, [], "<html>", {"value": [{"id": 5}]}, {"value": ["x"]}):
        machine.provider.control.answer(f"^{GROUPS_PATH}$", 200, body)
        ended = machine.trial(ANN)
        machine.provider.control.clear_faults()
        assert ended.status == 1, (body, ended.screen)


def test_groups_of_another_tenants_person_are_asked_of_graph_alike(machine):
    machine.reconfigure(config(**ONLY_STAFF, tenant_id="organizations", allowed_tenants={CONTOSO: ["contoso.test"]}))
    ended = trial(machine, MANY)
    assert ended.status == 0, ended.screen
    assert len(pages_asked(machine)) == 3


def test_an_access_token_for_graph_can_be_had_with_the_scopes_of_the_earlier_module(machine):
    machine.reconfigure(config(**ONLY_STAFF, scope="openid profile email offline_access"))
    ended = trial(machine, MANY)
    assert ended.status == 0, ended.screen
