"""`oauth2ctl explain`: each rule with its verdict, by the functions of the login; nothing is written."""

import json

import pytest

from rig import product, tokens
from rig.machine import Machine

CONFIG = {**product.ID_TOKEN, "allowed_groups": ["3f1c-staff", "other"]}
ANN = {"iss": "https://idp.test:8443", "sub": "ann", "preferred_username": "Ann",
       "groups": ["3f1c-staff", "nobody-mapped-this"]}


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release, config=CONFIG) as ready:
        yield ready


def explain(machine, name, claims=ANN, *options):
    machine.sandbox.write("/root/claims.json", json.dumps(claims))
    argv = ["oauth2ctl", "--json", "explain", name, "--claims", "/root/claims.json", *options]
    done = machine.sandbox.run(argv, check=False)
    return done.returncode, json.loads(done.stdout)


def verdicts(answer):
    return {rule["rule"]: rule["admits"] for rule in answer["rules"]}


def service(answer, name):
    return next(line for line in answer["services"] if line["service"] == name)


def test_somebody_new_is_admitted_with_everything_they_would_get(machine):
    before = machine.store("select count(*) from event")
    watch = machine.watch()
    status, answer = explain(machine, "ann")
    assert status == 0, answer
    assert answer["admitted"] and not answer["changed"] and not answer["verified"]
    assert all(verdicts(answer).values()) and len(verdicts(answer)) == 10, answer["rules"]
    assert answer["account"]["home"] == "/home/ann"
    assert {group["name"] for group in answer["groups"]} == {"idp-staff", "oauth2-users"}
    assert answer["groups_left_out"][0]["name"] == "nobody-mapped-this"
    watch.assert_no_network()
    assert machine.store("select count(*) from identity") == "0"
    assert machine.store("select count(*) from event") == before


def test_what_pam_would_answer_is_said_for_each_service(machine):
    _, answer = explain(machine, "ann")
    assert service(answer, "sshd") == {
        "service": "sshd", "auth": "PAM_SUCCESS", "account": "PAM_SUCCESS", "setcred": "PAM_SUCCESS",
        "session": "PAM_SUCCESS", "account_without_sign_in": "PAM_PERM_DENIED"}
    for other in ("cron", "su", "sudo"):
        assert service(answer, other)["auth"] == "PAM_IGNORE"
        assert service(answer, other)["account"] == "PAM_SUCCESS"
        assert service(answer, other)["account_without_sign_in"] == "PAM_IGNORE"


@pytest.mark.parametrize("change, name, rule, reason", [
    ({"preferred_username": "bob"}, "ann", "requested_name", "wrong_person"),
    ({"groups": ["no"]}, "ann", "allowed_groups", "not_allowed"),
    ({"groups": []}, "ann", "allowed_groups", "no_groups"),
    ({"preferred_username": "a/b"}, "ann", "mapping", "name_not_admissible"),
    ({"preferred_username": "redis"}, "redis", "account", "reserved_name"),
])
def test_a_refusal_names_its_rule(machine, change, name, rule, reason):
    status, answer = explain(machine, name, {**ANN, **change})
    assert status == 7
    assert not answer["admitted"] and answer["reason"] == reason
    assert not verdicts(answer)[rule]


def test_the_explanation_is_what_the_login_does(machine):
    ended = machine.person.first_login("ann", command="id -u; id -Gn; pwd")
    assert ended.status == 0, ended.screen
    uid, groups, home = ended.output.split("\n")[:3]
    subject = machine.store("select subject from identity where login_name = 'ann'")
    status, answer = explain(machine, "ann", {**ANN, "sub": subject})
    assert status == 0
    assert (answer["account"]["uid"], answer["account"]["home"]) == (int(uid), home)
    assert {group["name"] for group in answer["groups"]} | {"ann"} == set(groups.split())
    assert service(answer, "sshd")["account_without_sign_in"] == "PAM_SUCCESS"
    status, answer = explain(machine, "ann", {**ANN, "sub": "somebody-else"})
    assert (status, answer["reason"]) == (7, "subject_mismatch")
    assert "user bind" in answer["error"]["message"]


def test_somebody_locked_is_refused_everywhere(machine):
    machine.sandbox.run("oauth2ctl user add lena && oauth2ctl user lock lena")
    status, answer = explain(machine, "lena", {**ANN, "preferred_username": "lena", "sub": "lena"})
    assert (status, answer["reason"]) == (7, "locked")
    assert service(answer, "sshd")["auth"] == "PAM_PERM_DENIED"
    assert service(answer, "cron")["account"] == "PAM_PERM_DENIED"
    assert "user unlock lena" in answer["rules"][0]["detail"]


def test_a_user_of_the_machine_is_left_alone(machine):
    status, answer = explain(machine, "localu", {**ANN, "preferred_username": "localu"})
    assert (status, answer["reason"]) == (7, "not_ours")
    assert service(answer, "sshd")["auth"] == "PAM_IGNORE"


def test_a_token_is_verified_as_in_a_login(machine):
    token = tokens.id_token(machine, "ann")
    argv = ["oauth2ctl", "--json", "explain", "ann", "--token", "-"]
    done = machine.sandbox.run(argv, check=False, input=token + "\n")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["verified"], answer
    head, body, signature = token.split(".")
    forged = ".".join([head, body, signature[::-1]])
    done = machine.sandbox.run(argv, check=False, input=forged)
    assert done.returncode == 7 and "bad_token" in done.stdout, done.stdout
    assert body not in done.stdout + done.stderr
    done = machine.sandbox.run([*argv, "--unverified"], check=False, input=forged)
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and not answer["verified"]
    assert "NOT VERIFIED" in done.stderr and "NOT VERIFIED" in answer["warnings"][0]


def test_it_is_readable(machine):
    machine.sandbox.write("/root/claims.json", json.dumps(ANN))
    done = machine.sandbox.run("oauth2ctl explain eve --claims /root/claims.json", check=False)
    assert done.returncode == 7
    for text in ("NOT VERIFIED", "requested_name", "refuses", "SERVICE", "PAM_AUTH_ERR"):
        assert text in done.stdout, done.stdout
    assert "eve would be refused (wrong_person)" in done.stderr


def test_a_token_on_the_command_line_is_refused(machine):
    done = machine.sandbox.run("oauth2ctl explain ann --token eyJhbGciOi", check=False)
    assert done.returncode == 2
    done = machine.sandbox.run("oauth2ctl explain ann", check=False)
    assert done.returncode == 2
