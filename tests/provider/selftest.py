#!/usr/bin/python3
"""Proves that the test identity provider does what the end-to-end tests rely on.

    /usr/bin/python3 tests/provider/selftest.py        (or: python3 -m pytest tests/provider/selftest.py)
"""

import base64
import json
import pathlib
import socket
import ssl
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from provider.process import ProviderProcess  # noqa: E402
from rig.browser import BrowserError, HttpsHandler  # noqa: E402

PUBLIC = ("linux-login", None)
CONFIDENTIAL = ("linux-login-secret", "linux-login-test-secret")
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "openid profile email groups"


class Device:
    """The machine's side of RFC 8628, small and strict."""

    def __init__(self, idp, client=PUBLIC, ca_file=None, timeout=5):
        self._idp = idp
        self._client_id, self._secret = client
        tls = ssl.create_default_context(cafile=ca_file or idp.ca_file)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), HttpsHandler(tls, {idp.host: "127.0.0.1"}))
        self._timeout = timeout
        self.discovery = None

    def discover(self):
        _, self.discovery = self.get(self._idp.issuer + "/.well-known/openid-configuration")
        return self.discovery

    def authorize(self):
        status, answer = self.post("device_authorization_endpoint", scope=SCOPE)
        assert status == 200, answer
        return answer

    def poll(self, device_code):
        return self.post("token_endpoint", grant_type=DEVICE_GRANT, device_code=device_code)

    def introspect(self, token):
        return self.post("introspection_endpoint", token=token)

    def post(self, endpoint, **fields):
        url = (self.discovery or self.discover())[endpoint]
        headers = {}
        if self._secret:
            pair = f"{self._client_id}:{self._secret}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        else:
            fields["client_id"] = self._client_id
        return self._send(urllib.request.Request(url, urllib.parse.urlencode(fields).encode(), headers))

    def get(self, url, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._send(urllib.request.Request(url, headers=headers))

    def _send(self, request):
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


def payload(jwt):
    return segment(jwt, 1)


def segment(jwt, index):
    part = jwt.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class ProviderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.idp = ProviderProcess(interval=1).start()
        cls.addClassCleanup(cls.idp.__exit__)

    def setUp(self):
        self.idp.control.reset()
        self.idp.accounts({"ann": {"groups": ["3f1c-staff", "77aa-dev"]}})

    def sign_in(self, login, client=PUBLIC):
        device = Device(self.idp, client)
        codes = device.authorize()
        self.idp.browser.approve(codes["verification_uri_complete"], codes["user_code"], login)
        status, tokens = device.poll(codes["device_code"])
        self.assertEqual(status, 200, tokens)
        return device, tokens


class SignIn(ProviderTest):
    def test_discovery_names_every_endpoint(self):
        found = Device(self.idp).discover()
        self.assertEqual(found["issuer"], self.idp.issuer)
        for name in ("device_authorization", "token", "introspection", "userinfo"):
            self.assertTrue(found[name + "_endpoint"].startswith(self.idp.issuer + "/"), name)

    def test_device_authorization_has_both_uris_and_the_interval(self):
        codes = Device(self.idp).authorize()
        self.assertEqual(codes["verification_uri"], self.idp.issuer + "/device")
        self.assertIn(codes["user_code"], codes["verification_uri_complete"])
        self.assertEqual((codes["interval"], codes["expires_in"]), (1, 600))

    def test_pending_until_the_person_has_typed_the_code(self):
        device = Device(self.idp)
        codes = device.authorize()
        self.assertEqual(device.poll(codes["device_code"])[1]["error"], "authorization_pending")
        self.idp.browser.approve(codes["verification_uri"], codes["user_code"], "ann")
        self.assertEqual(device.poll(codes["device_code"])[0], 200)
        self.assertEqual(device.poll(codes["device_code"])[1]["error"], "invalid_grant")

    def test_id_token_carries_name_groups_and_an_opaque_subject(self):
        device, tokens = self.sign_in("ann")
        claims = payload(tokens["id_token"])
        self.assertEqual(claims["preferred_username"], "ann")
        self.assertEqual(claims["groups"], ["3f1c-staff", "77aa-dev"])
        self.assertEqual(claims["email"], "ann@example.test")
        self.assertEqual((claims["iss"], claims["aud"]), (self.idp.issuer, "linux-login"))
        self.assertNotIn("ann", claims["sub"])
        header = segment(tokens["id_token"], 0)
        _, keys = device.get(device.discovery["jwks_uri"])
        self.assertEqual(header["alg"], "RS256")
        self.assertIn(header["kid"], [key["kid"] for key in keys["keys"]])

    def test_the_subject_is_stable_and_everybody_has_their_own(self):
        subjects = [payload(self.sign_in(name)[1]["id_token"])["sub"] for name in ("ann", "ann", "bob")]
        self.assertEqual(subjects[0], subjects[1])
        self.assertNotEqual(subjects[0], subjects[2])

    def test_introspection_answers_both_kinds_of_client(self):
        for client in (PUBLIC, CONFIDENTIAL):
            device, tokens = self.sign_in("ann", client)
            status, answer = device.introspect(tokens["access_token"])
            self.assertEqual(status, 200)
            self.assertIs(answer["active"], True)
            self.assertEqual((answer["username"], answer["client_id"]), ("ann", client[0]))
            self.assertEqual(answer["groups"], ["3f1c-staff", "77aa-dev"])
            self.assertEqual(answer["sub"], payload(tokens["id_token"])["sub"])
            self.assertEqual(answer["scope"], SCOPE)
            self.assertGreater(answer["exp"], time.time())

    def test_introspection_of_nonsense_is_inactive_and_needs_the_secret(self):
        self.assertEqual(Device(self.idp, CONFIDENTIAL).introspect("nonsense"), (200, {"active": False}))
        status, _ = Device(self.idp, (CONFIDENTIAL[0], "wrong")).introspect("nonsense")
        self.assertEqual(status, 401)

    def test_userinfo_agrees_with_the_id_token(self):
        device, tokens = self.sign_in("ann")
        _, person = device.get(device.discovery["userinfo_endpoint"], tokens["access_token"])
        claims = payload(tokens["id_token"])
        for name in ("sub", "preferred_username", "groups", "email"):
            self.assertEqual(person[name], claims[name])

    def test_accounts_are_read_anew_and_may_hold_odd_names(self):
        self.assertEqual(payload(self.sign_in("cleo")[1]["id_token"])["groups"], [])
        odd = "\u001b[31mroot\n"
        self.idp.accounts({"cleo": {"preferred_username": odd, "groups": None, "sub": "another"}})
        claims = payload(self.sign_in("cleo")[1]["id_token"])
        self.assertEqual((claims["preferred_username"], claims["sub"]), (odd, "another"))
        self.assertNotIn("groups", claims)


class Refusal(ProviderTest):
    def test_denied_at_the_code_and_after_signing_in(self):
        for login in (None, "ann"):
            device = Device(self.idp)
            codes = device.authorize()
            self.idp.browser.deny(codes["verification_uri"], codes["user_code"], login)
            self.assertEqual(device.poll(codes["device_code"])[1]["error"], "access_denied")

    def test_a_wrong_code_is_a_clear_error(self):
        with self.assertRaisesRegex(BrowserError, "NotFoundError"):
            self.idp.browser.approve(self.idp.issuer + "/device", "XXXX-XXXX", "ann")

    def test_an_expired_code_says_so(self):
        with ProviderProcess(device_ttl=1) as idp:
            device = Device(idp)
            codes = device.authorize()
            deadline = time.monotonic() + 10
            while device.poll(codes["device_code"])[1]["error"] == "authorization_pending":
                self.assertLess(time.monotonic(), deadline, "the code never expired")
            self.assertEqual(device.poll(codes["device_code"])[1]["error"], "expired_token")


class FaultsAndCounters(ProviderTest):
    def test_a_503_strikes_as_often_as_asked(self):
        device = Device(self.idp)
        codes = device.authorize()
        self.idp.control.answer("^/token$", 503, count=2)
        seen = [device.poll(codes["device_code"])[0] for _ in range(3)]
        self.assertEqual(seen, [503, 503, 400])

    def test_an_answer_can_be_anything(self):
        self.idp.control.answer("^/jwks$", 200, body={"keys": []}, headers={"x-test": "1"})
        device = Device(self.idp)
        self.assertEqual(device.get(device.discover()["jwks_uri"]), (200, {"keys": []}))

    def test_slow_down_comes_first_and_then_the_truth(self):
        device = Device(self.idp)
        codes = device.authorize()
        self.idp.control.slow_down(1)
        errors = [device.poll(codes["device_code"])[1]["error"] for _ in range(2)]
        self.assertEqual(errors, ["slow_down", "authorization_pending"])

    def test_an_unknown_authority_is_seen_by_the_next_connection(self):
        self.idp.control.unknown_ca()
        with self.assertRaises(urllib.error.URLError) as caught:
            Device(self.idp).discover()
        self.assertIsInstance(caught.exception.reason, ssl.SSLCertVerificationError)
        with self.assertRaisesRegex(BrowserError, "CERTIFICATE_VERIFY_FAILED"):
            self.idp.browser.approve(self.idp.issuer + "/device", "XXXX-XXXX", "ann")
        self.assertEqual(self.idp.control.counters()["requests"], {})
        # Nothing but the authority is wrong with that certificate.
        Device(self.idp, ca_file=self.idp.unknown_ca_file).discover()
        self.idp.control.unknown_ca(False)
        Device(self.idp).discover()

    def test_hang_and_stall_last_until_they_are_cleared(self):
        self.idp.control.hang("openid-configuration")
        with self.assertRaises(TimeoutError):
            Device(self.idp, timeout=0.3).discover()
        self.idp.control.clear_faults()
        self.idp.control.stall_tls()
        with self.assertRaises((TimeoutError, urllib.error.URLError)):
            Device(self.idp, timeout=0.3).discover()
        self.idp.control.clear_faults()
        Device(self.idp).discover()

    def test_drop_ends_the_connection(self):
        self.idp.control.drop("openid-configuration", count=1)
        with self.assertRaises((ConnectionError, urllib.error.URLError)):
            Device(self.idp).discover()
        Device(self.idp).discover()

    def test_counters_and_log_show_paths_and_no_codes(self):
        device, tokens = self.sign_in("ann")
        counters = self.idp.control.counters()
        self.assertEqual(counters["requests"]["/token"], 1)
        self.assertGreaterEqual(counters["tls_handshakes"], 3)
        self.assertEqual(counters["requests"]["/interaction/ID"], 4)
        machine = self.idp.control.machine_log()
        self.assertEqual([(line["method"], line["path"], line["status"]) for line in machine], [
            ("GET", "/.well-known/openid-configuration", 200),
            ("POST", "/device/auth", 200),
            ("POST", "/token", 200),
        ])
        self.assertEqual(len({line["connection"] for line in machine}), 3)
        self.assertNotIn(tokens["access_token"], json.dumps(self.idp.control.log()))
        self.assertNotIn("user_code", json.dumps(self.idp.control.log()))
        self.idp.control.reset()
        self.assertEqual(self.idp.control.counters()["requests"], {})

    def test_a_mistyped_fault_is_refused(self):
        with self.assertRaisesRegex(ValueError, "needs path and status"):
            self.idp.control._add(paht="^/token$", status=503)


class Exposure(unittest.TestCase):
    def test_it_ends_with_the_process_that_started_it(self):
        with ProviderProcess() as idp:
            idp._process.stdin.close()
            self.assertEqual(idp._process.wait(10), 0)

    def test_it_refuses_to_listen_beyond_loopback(self):
        idp = ProviderProcess(listen="0.0.0.0:0")
        with self.assertRaisesRegex(RuntimeError, "is not 127"):
            idp.__enter__()
        idp.__exit__()

    def test_a_restart_keeps_authority_port_and_subjects(self):
        with ProviderProcess() as first:
            authority = pathlib.Path(first.ca_file).read_text()
            address = f"127.0.0.1:{first.port}"
            first.stop()
            with ProviderProcess(first.state_dir, listen=address) as second:
                self.assertEqual(pathlib.Path(second.ca_file).read_text(), authority)
                self.assertEqual(second.issuer, first.issuer)
                Device(second).discover()
            with self.assertRaises(OSError):
                socket.create_connection(("127.0.0.1", first.port), 1).close()


if __name__ == "__main__":
    unittest.main()
