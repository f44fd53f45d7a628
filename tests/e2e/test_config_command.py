"""`oauth2ctl config`: what is in effect, where it comes from, and what is wrong with it."""

import json

import pytest

from rig import product
from rig.machine import Machine

DROP_IN = f"{product.CONFIG_DIR}/config.d/20-site.json"
SECRET = "hunter2-is-not-shown"


@pytest.fixture(scope="module")
def machine():
    with Machine("bookworm", config={**product.ID_TOKEN, "client_secret": SECRET}, enabled=False) as ready:
        ready.sandbox.write(DROP_IN, '{"group_map": {"other": "idp-other"}, "shell": "/bin/sh"}', 0o600)
        yield ready


def ask(machine, *arguments, json_too=True):
    argv = ["oauth2ctl", *(["--json"] if json_too else []), "config", *arguments]
    done = machine.sandbox.run(argv, check=False)
    return done.returncode, json.loads(done.stdout) if json_too else done.stdout + done.stderr


def test_every_value_says_where_it_comes_from(machine):
    status, answer = ask(machine, "show")
    assert status == 0 and not answer["changed"]
    config = answer["config"]
    assert config["shell"] == {"value": "/bin/sh", "default": False, "origin": [DROP_IN]}
    assert config["home"] == {"value": "/home/{name}", "default": True, "origin": ["default"]}
    assert config["group_map"]["value"] == {"3f1c-staff": "idp-staff", "other": "idp-other"}
    assert config["group_map"]["origin"] == [product.CONFIG, DROP_IN]
    assert config["limits"]["value"]["starts_per_minute"] == 60


def test_a_secret_is_never_shown(machine):
    for arguments in (["show"], ["show", "--origin"], ["get", "client_secret"], ["validate"]):
        for json_too in (True, False):
            status, answer = ask(machine, *arguments, json_too=json_too)
            assert status == 0 and SECRET not in str(answer), answer
    assert ask(machine, "get", "client_secret", json_too=False)[1] == "***\n"


def test_one_key_can_be_asked_for(machine):
    assert ask(machine, "get", "shell", json_too=False) == (0, "/bin/sh\n")
    assert ask(machine, "get", "limits.starts_per_minute", json_too=False) == (0, "60\n")
    assert ask(machine, "get", "services", json_too=False) == (0, '["sshd"]\n')
    assert ask(machine, "get", "proxy", json_too=False) == (0, "")
    status, answer = ask(machine, "get", "shel")
    assert status == 4 and 'did you mean \\"shell\\"' in json.dumps(answer["error"]["message"])


@pytest.fixture
def written(machine):
    """Another text in config.json, and the old one back afterwards."""
    before = machine.sandbox.read(product.CONFIG)
    yield lambda text: machine.sandbox.write(product.CONFIG, text, 0o600)
    machine.sandbox.write(product.CONFIG, before, 0o600)


def test_a_broken_text_is_named_by_line_and_column(machine, written):
    written('{\n  "client_id": }')
    status, answer = ask(machine, "validate")
    assert status == 1 and not answer["valid"]
    (fault,) = answer["faults"]
    assert (fault["file"], fault["line"], fault["column"]) == (product.CONFIG, 2, 16)


def test_every_file_that_is_broken_is_named(machine, written):
    written("{")
    machine.sandbox.write(f"{product.CONFIG_DIR}/config.d/90-bad.json", "[]", 0o600)
    try:
        _, answer = ask(machine, "validate")
        assert [fault["file"].rpartition("/")[2] for fault in answer["faults"]] == ["config.json", "90-bad.json"]
    finally:
        machine.sandbox.run(["rm", f"{product.CONFIG_DIR}/config.d/90-bad.json"])


def test_every_fault_is_listed_with_its_key_and_the_nearest_known_one(machine, written):
    written('{"client_id": "c", "issuer": "https://x.test", "alowed_groups": ["a"], "umask": "9", '
            '"limits": {"starts_per_minuet": 5}}')
    status, answer = ask(machine, "validate")
    assert status == 1
    faults = {fault["key"]: fault for fault in answer["faults"]}
    assert faults["alowed_groups"]["nearest"] == "allowed_groups"
    assert faults["limits.starts_per_minuet"]["nearest"] == "starts_per_minute"
    assert "octal" in faults["umask"]["message"]
    assert ask(machine, "show")[0] == 1


def test_a_fault_of_a_drop_in_names_that_file(machine):
    machine.sandbox.write(f"{product.CONFIG_DIR}/config.d/90-bad.json", '{"umask": "rwx"}', 0o600)
    try:
        _, answer = ask(machine, "validate")
        assert answer["faults"][0]["file"].endswith("90-bad.json")
    finally:
        machine.sandbox.run(["rm", f"{product.CONFIG_DIR}/config.d/90-bad.json"])


def test_a_machine_without_a_configuration_says_so(machine, written):
    machine.sandbox.run(["rm", product.CONFIG])
    assert ask(machine, "validate")[0] == 5
    assert ask(machine, "show")[0] == 5


def test_the_schema_needs_neither_root_nor_a_configuration(machine):
    done = machine.sandbox.run(["oauth2ctl", "config", "schema"], user="localu")
    schema = json.loads(done.stdout)
    assert schema["$schema"].endswith("2020-12/schema") and schema["required"] == ["client_id"]
    assert schema["additionalProperties"] is False
    assert set(json.loads(machine.sandbox.read(product.CONFIG))) <= set(schema["properties"])
