"""`oauth2ctl doctor`: the provider, one step at a time; the first that fails is the fault, and the rest is not asked."""

import time

import pytest

from rig import product
from rig.doctor import CONFIG, ask, healthy
from rig.entra import EntraMachine

STEPS = ["O1", "O2", "O3", "O4", "O5", "O6"]
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def machine():
    with healthy() as ready:
        ready.green = ask(ready.sandbox)
        assert ready.green.troubles() == {}
        yield ready


@pytest.fixture(autouse=True)
def healthy_again(machine):
    yield
    machine.provider.control.clear_faults()
    assert ask(machine.sandbox, "--check", "O").troubles() == {}


def _asked(machine, *, fault, words, others):
    """The one fault, its finding, and what the steps beside it are."""
    report = ask(machine.sandbox)
    found = report.checks[fault]
    assert found["state"] == "fault" and words in found["saw"] and found["remedy"], found
    assert found["consequence"].endswith(".")
    assert report.troubles() == {fault: "fault", **others}
    assert report.status == 1
    return found


def _silent(*steps):
    return {step: "not_asked" for step in steps}


def test_o1_a_provider_that_is_down_and_one_without_a_name_are_two_things(machine):
    machine.provider.stop()
    try:
        _asked(machine, fault="O1", words="TCP: no connection to idp.test:8443", others=_silent(*STEPS[1:]))
        file = "/root/x.prom"
        machine.sandbox.run(["oauth2ctl", "doctor", "--prom", file], check=False)
        assert "oauth2_provider_up 0" in machine.sandbox.read(file)
    finally:
        machine.provider.start()
    machine.sandbox.run("cp /etc/hosts /root/hosts && sed -i 's/ idp.test//' /etc/hosts")
    try:
        found = _asked(machine, fault="O1", words="DNS: idp.test does not resolve", others=_silent(*STEPS[1:]))
        assert found["remedy"] == "getent ahosts idp.test"
    finally:
        machine.sandbox.run("cp /root/hosts /etc/hosts")


def test_o2_a_certificate_of_an_unknown_authority_and_a_missing_bundle_are_named(machine):
    machine.provider.control.unknown_ca()
    found = _asked(machine, fault="O2", words="TLS: the certificate of idp.test", others=_silent(*STEPS[2:]))
    assert product.CA in found["remedy"]
    machine.provider.control.clear_faults()
    machine.sandbox.run(f"mv {product.CA} /root/ca")
    try:
        _asked(machine, fault="O2", words=product.CA, others=_silent(*STEPS[2:]))
    finally:
        machine.sandbox.run(f"mv /root/ca {product.CA}")


def test_o2_a_server_that_never_answers_costs_no_more_than_the_timeout(machine):
    machine.provider.control.stall_tls()
    begun = time.monotonic()
    _asked(machine, fault="O2", words="TLS: idp.test", others=_silent(*STEPS[2:]))
    assert time.monotonic() - begun < CONFIG["http_timeout"] + 4


def test_o3_discovery_that_fails_or_is_another_issuers(machine):
    machine.provider.control.answer(DISCOVERY, 503)
    _asked(machine, fault="O3", words="status 503", others=_silent("O4", "O5"))
    machine.provider.control.clear_faults()
    document = {"issuer": "https://evil.test"}
    machine.provider.control.answer(DISCOVERY, 200, document)
    found = _asked(machine, fault="O3", words="of issuer \"https://evil.test\"", others=_silent("O4", "O5"))
    assert "oauth2ctl publish" in found["remedy"]
    machine.provider.control.clear_faults()
    machine.provider.control.answer(DISCOVERY, 200, {"issuer": "https://x/'; reboot #"})
    found = _asked(machine, fault="O3", words="reboot", others=_silent("O4", "O5"))
    assert "reboot" not in found["remedy"], "a remedy is pasted into a root shell"


def test_o4_a_client_that_the_provider_does_not_know(machine):
    machine.provider.control.answer("/device/auth", 401, {"error": "invalid_client"})
    found = _asked(machine, fault="O4", words="invalid_client", others={})
    assert "oauth2ctl setup" in found["remedy"]


def test_o5_keys_that_verify_nothing(machine):
    machine.provider.control.answer("/jwks", 200, {"keys": []})
    _asked(machine, fault="O5", words="no key at https://idp.test:8443/jwks", others={})


def test_o6_a_clock_that_is_wrong(machine):
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - 120))
    machine.provider.control.answer(DISCOVERY, 404, {}, headers={"date": date}, count=1)
    found = _asked(machine, fault="O6", words="s apart", others={})
    assert found["remedy"] == "timedatectl set-ntp true"
    assert 118 <= int(found["saw"].split()[-3]) <= 122, found


def test_with_introspection_no_keys_are_needed(machine):
    machine.sandbox.run(f"cp -a {product.CONFIG} /root/config")
    try:
        product.configure(machine.sandbox, {**CONFIG, **product.INTROSPECTION})
        machine.sandbox.run("oauth2ctl publish")
        assert ask(machine.sandbox).troubles() == {"O5": "not_applicable"}
    finally:
        machine.sandbox.run(f"cp -a /root/config {product.CONFIG} && oauth2ctl publish")


def test_microsoft_entra_id_is_asked_the_same_way():
    with EntraMachine("bookworm") as machine:
        report = ask(machine.sandbox, "--check", "O")
        assert report.troubles() == {}, report.checks
