"""Checks that the provider shaped like Microsoft Entra ID does what the end-to-end tests rely on.

    /usr/bin/python3 tests/provider/entra_selftest.py
"""

import base64
import hashlib
import pathlib
import subprocess
import sys
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from provider.process import ProviderProcess  # noqa: E402
from provider.selftest import DEVICE_GRANT, Device, payload, segment  # noqa: E402
from rig.browser import BrowserError  # noqa: E402
from rig.entra import (  # noqa: E402
    ANN, CONSUMERS, CONTOSO, FABRIKAM, PUBLIC, SCRIPT, SECRET, TAILSPIN, WITH_SECRET, EntraControl, group, write_json,
)

SCOPE = "openid profile offline_access https://graph.microsoft.com/User.Read"
UNKNOWN = str(uuid.UUID(int=7))


class EntraProcess(ProviderProcess):
    """The provider of this test instead of oidc-provider."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._command[1] = str(SCRIPT)

    def start(self):
        super().start()
        self.control = EntraControl(self.control._url)
        return self

    def settings(self, **wishes):
        write_json(self.state_dir / "settings.json", wishes)


class EntraDevice(Device):
    """A client that knows the addresses of a tenant without discovery."""

    def __init__(self, idp, tenant=CONTOSO, client_id=PUBLIC, secret=None):
        super().__init__(idp, (client_id, None))
        self.base = idp.issuer
        self._tenant = tenant
        self._form_secret = secret

    def post(self, endpoint, **fields):
        self.discovery = {endpoint: f"{self.base}/{self._tenant}/oauth2/v2.0/{endpoint}"}
        return super().post(endpoint, **fields)

    def ask(self, scope=SCOPE):
        return self.post("devicecode", scope=scope)

    def authorize(self):
        status, answer = self.ask()
        assert status == 200, answer
        return answer

    def poll(self, device_code):
        more = {} if self._form_secret is None else {"client_secret": self._form_secret}
        return self.post("token", grant_type=DEVICE_GRANT, device_code=device_code, **more)

    def at(self, path, token=None):
        return self.get(f"{self.base}{path}", token)


class EntraTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.idp = EntraProcess(interval=1).start()
        cls.addClassCleanup(cls.idp.__exit__)

    def setUp(self):
        self.idp.control.reset()
        self.idp.accounts({})
        self.idp.settings()

    def sign_in(self, login=ANN, account=None, device=None):
        if account is not None:
            self.idp.accounts({login: account})
        device = device or EntraDevice(self.idp)
        codes = device.authorize()
        self.idp.browser.approve(codes["verification_uri"], codes["user_code"], login)
        status, answer = device.poll(codes["device_code"])
        return device, status, answer

    def claims(self, login=ANN, account=None, device=None):
        _, status, answer = self.sign_in(login, account, device)
        self.assertEqual(status, 200, answer)
        return payload(answer["id_token"])

    def assert_aadsts(self, answer, status, number, error):
        self.assertEqual(answer[0], status, answer)
        body = answer[1]
        self.assertEqual((body["error"], body["error_codes"]), (error, [number]))
        self.assertRegex(body["error_description"], rf"^AADSTS{number}: .+ Trace ID: {body['trace_id']} "
                         rf"Correlation ID: {body['correlation_id']} Timestamp: {body['timestamp']}$")
        self.assertTrue(body["error_uri"].endswith(f"/error?code={number}"))


class DeviceFlow(EntraTest):
    def test_the_device_answer_has_no_complete_address_and_numbers_as_numbers(self):
        codes = EntraDevice(self.idp).authorize()
        self.assertEqual(set(codes), {"user_code", "device_code", "verification_uri", "expires_in", "interval", "message"})
        self.assertRegex(codes["user_code"], "^[A-Z2-9]{9}$")
        self.assertEqual((codes["expires_in"], codes["interval"]), (600, 1))
        self.assertIn(codes["user_code"], codes["message"])

    def test_pending_then_tokens_then_redeemed(self):
        device = EntraDevice(self.idp)
        codes = device.authorize()
        self.assert_aadsts(device.poll(codes["device_code"]), 400, 70016, "authorization_pending")
        self.idp.browser.approve(codes["verification_uri"], codes["user_code"], ANN)
        status, tokens = device.poll(codes["device_code"])
        self.assertEqual(status, 200)
        self.assertEqual((tokens["token_type"], tokens["expires_in"], tokens["ext_expires_in"]), ("Bearer", 3600, 3600))
        self.assertEqual(tokens["scope"], "openid profile https://graph.microsoft.com/User.Read")
        self.assertIn("refresh_token", tokens)
        self.assert_aadsts(device.poll(codes["device_code"]), 400, 70000, "invalid_grant")

    def test_declined_unknown_and_foreign_codes(self):
        device = EntraDevice(self.idp)
        codes = device.authorize()
        elsewhere = EntraDevice(self.idp, FABRIKAM).poll(codes["device_code"])
        self.assert_aadsts(elsewhere, 400, 70000, "invalid_grant")
        self.idp.browser.deny(codes["verification_uri"], codes["user_code"])
        self.assert_aadsts(device.poll(codes["device_code"]), 400, 70017, "authorization_declined")
        self.assert_aadsts(device.poll("nonsense"), 400, 70018, "bad_verification_code")

    def test_an_expired_code_says_so(self):
        with EntraProcess(device_ttl=1) as idp:
            device = EntraDevice(idp)
            codes = device.authorize()
            deadline = time.monotonic() + 10
            while (answer := device.poll(codes["device_code"]))[1]["error"] == "authorization_pending":
                self.assertLess(time.monotonic(), deadline, "the code never expired")
            self.assert_aadsts(answer, 400, 70020, "expired_token")

    def test_a_code_can_be_refused_after_signing_in_and_a_wrong_code_is_an_error(self):
        device = EntraDevice(self.idp)
        codes = device.authorize()
        self.idp.browser.deny(codes["verification_uri"], codes["user_code"], ANN)
        self.assertEqual(device.poll(codes["device_code"])[1]["error"], "authorization_declined")
        with self.assertRaisesRegex(BrowserError, "NotFoundError"):
            self.idp.browser.approve(self.idp.issuer + "/device", "XXXXXXXXX", ANN)

    def test_a_person_of_another_tenant_cannot_sign_in_at_a_tenants_own_address(self):
        for tenant, works in ((FABRIKAM, False), ("common", True), ("organizations", True), ("contoso.test", True)):
            device = EntraDevice(self.idp, tenant)
            if works:
                self.assertEqual(self.claims(device=device)["tid"], CONTOSO)
            else:
                with self.assertRaisesRegex(BrowserError, "AADSTS50020"):
                    self.sign_in(device=device)


class Clients(EntraTest):
    def poll_as(self, client_id, secret):
        device = EntraDevice(self.idp, client_id=client_id, secret=secret)
        return device.poll(device.authorize()["device_code"])

    def test_the_secret_is_wanted_from_whom_has_one_and_from_nobody_else(self):
        for client_id, secret, status, number, error in (
            (PUBLIC, None, 400, 70016, "authorization_pending"),
            (WITH_SECRET, SECRET, 400, 70016, "authorization_pending"),
            (PUBLIC, SECRET, 401, 700025, "invalid_client"),
            (WITH_SECRET, None, 401, 7000218, "invalid_client"),
            (WITH_SECRET, "wrong", 401, 7000215, "invalid_client"),
        ):
            self.assert_aadsts(self.poll_as(client_id, secret), status, number, error)

    def test_unknown_tenants_and_clients(self):
        self.assert_aadsts(EntraDevice(self.idp, UNKNOWN).ask(), 400, 90002, "invalid_request")
        stranger = EntraDevice(self.idp, client_id=UNKNOWN)
        self.assert_aadsts(stranger.ask(), 400, 700016, "unauthorized_client")
        self.assert_aadsts(stranger.poll("any"), 400, 700016, "unauthorized_client")
        self.assert_aadsts(EntraDevice(self.idp).ask(scope=""), 400, 900144, "invalid_request")

    def test_any_error_can_be_switched_on_at_an_endpoint_or_for_a_person(self):
        self.idp.settings(errors={"devicecode": 700016})
        self.assert_aadsts(EntraDevice(self.idp).ask(), 400, 700016, "unauthorized_client")
        self.idp.settings(errors={"token": 65001})
        answer = self.poll_as(PUBLIC, None)
        self.assert_aadsts(answer, 400, 65001, "invalid_grant")
        self.assertEqual(answer[1]["suberror"], "consent_required")
        self.idp.settings()
        for number in (53003, 50105, 50057):
            _, *answer = self.sign_in(account={"refusal": number})
            self.assert_aadsts(answer, 400, number, "invalid_grant")
            self.assertEqual(answer[1].get("suberror"), "message_only" if number == 53003 else None)
            self.assertEqual("claims" in answer[1], number == 53003)

    def test_the_journal_says_where_a_secret_went_and_not_what_it_is(self):
        self.poll_as(WITH_SECRET, SECRET)
        asked, polled = self.idp.control.forms()
        self.assertEqual((asked["fields"], asked["scope"]), (["scope", "client_id"], SCOPE))
        self.assertIn("client_secret", polled["fields"])
        self.assertNotIn(SECRET, str(self.idp.control.forms()))


class Discovery(EntraTest):
    def document(self, tenant):
        return EntraDevice(self.idp).at(f"/{tenant}/v2.0/.well-known/openid-configuration")[1]

    def test_the_issuer_holds_the_guid_or_braces(self):
        base = self.idp.issuer
        for tenant, issuer in (
            (CONTOSO, CONTOSO), ("contoso.test", CONTOSO), (CONTOSO.upper(), CONTOSO),
            ("common", "{tenantid}"), ("organizations", "{tenantid}"),
        ):
            found = self.document(tenant)
            self.assertEqual(found["issuer"], f"{base}/{issuer}/v2.0")
            self.assertIn("client_secret_post", found["token_endpoint_auth_methods_supported"])
            for name in ("token_endpoint", "device_authorization_endpoint", "jwks_uri"):
                realm = CONTOSO if issuer == CONTOSO else tenant
                self.assertTrue(found[name].startswith(f"{base}/{realm}/"), found[name])

    def test_an_unknown_tenant_has_no_document(self):
        answer = EntraDevice(self.idp).at("/nowhere.test/v2.0/.well-known/openid-configuration")
        self.assert_aadsts(answer, 400, 90002, "invalid_tenant")

    def test_every_key_has_its_certificate_and_its_issuer(self):
        for tenant, issuer in ((CONTOSO, CONTOSO), ("common", "{tenantid}")):
            _, found = EntraDevice(self.idp).at(f"/{tenant}/discovery/v2.0/keys")
            issuers = [key["issuer"] for key in found["keys"]]
            self.assertEqual(issuers, [f"{self.idp.issuer}/{name}/v2.0" for name in (issuer, issuer, CONSUMERS)])
            for key in found["keys"]:
                self.assertEqual((key["kty"], key["use"]), ("RSA", "sig"))
                certificate = base64.b64decode(key["x5c"][0])
                thumbprint = base64.urlsafe_b64encode(hashlib.sha1(certificate).digest()).rstrip(b"=").decode()
                self.assertEqual((key["kid"], key["x5t"]), (thumbprint, thumbprint))
                self.assertEqual(modulus_of(certificate), number(key["n"]))


class Tokens(EntraTest):
    def test_the_token_of_v2(self):
        before = int(time.time())
        claims = self.claims()
        self.assertEqual(claims["iss"], f"{self.idp.issuer}/{CONTOSO}/v2.0")
        self.assertEqual((claims["ver"], claims["aud"], claims["tid"]), ("2.0", PUBLIC, CONTOSO))
        self.assertEqual(claims["preferred_username"], ANN)
        self.assertEqual((claims["nbf"], claims["exp"]), (claims["iat"], claims["iat"] + 3900))
        self.assertTrue(before - 300 <= claims["iat"] <= time.time() - 300)
        uuid.UUID(claims["oid"])
        self.assertNotIn("ann", claims["sub"])
        self.assertTrue({"rh", "uti", "name"} <= set(claims))
        self.assertFalse({"groups", "idp", "acct", "upn"} & set(claims))

    def test_the_token_of_v1(self):
        claims = self.claims(account={"version": "1.0"})
        self.assertEqual((claims["ver"], claims["iss"]), ("1.0", f"https://sts.windows.net/{CONTOSO}/"))
        self.assertEqual((claims["upn"], claims["unique_name"]), (ANN, ANN))
        self.assertNotIn("preferred_username", claims)

    def test_object_and_subject_are_stable_and_pairwise(self):
        first, again = self.claims(), self.claims()
        other = self.claims(device=EntraDevice(self.idp, client_id=WITH_SECRET, secret=SECRET))
        self.assertEqual((first["oid"], first["sub"]), (again["oid"], again["sub"]))
        self.assertEqual(first["oid"], other["oid"])
        self.assertNotEqual(first["sub"], other["sub"])

    def test_two_tenants_may_use_the_same_name(self):
        account = {"tenant": "fabrikam", "preferred_username": ANN}
        claims = self.claims("impostor", account, EntraDevice(self.idp, "common"))
        self.assertEqual((claims["preferred_username"], claims["tid"]), (ANN, FABRIKAM))
        self.assertNotEqual(claims["oid"], self.claims()["oid"])
        self.assertEqual(self.claims("x@tailspin.test", device=EntraDevice(self.idp, "common"))["tid"], TAILSPIN)

    def test_guests_are_told_in_three_ways(self):
        self.assertIn("https://sts.windows.net/", self.claims(account={"guest": "idp"})["idp"])
        self.assertEqual(self.claims(account={"guest": "acct"})["acct"], 1)
        self.assertEqual(self.claims(account={"guest": "ext"})["upn"], "ann_contoso.test#EXT#@contoso.test")

    def test_claims_and_keys_can_be_anything(self):
        claims = self.claims(account={"claims": {"aud": "other", "oid": None}})
        self.assertEqual(claims["aud"], "other")
        self.assertNotIn("oid", claims)
        kids = {}
        for name in ("next", "current", "consumer", "unpublished"):
            _, _, tokens = self.sign_in(account={"signing_key": name})
            kids[name] = segment(tokens["id_token"], 0)["kid"]
        _, found = EntraDevice(self.idp).at("/common/discovery/v2.0/keys")
        self.assertEqual([key["kid"] for key in found["keys"]], [kids[name] for name in ("next", "current", "consumer")])
        self.assertNotIn(kids["unpublished"], [key["kid"] for key in found["keys"]])

    def test_groups_up_to_200_are_in_the_token(self):
        mine = [group("mine")]
        self.assertEqual(self.claims(account={"groups": mine})["groups"], mine)
        groups = self.claims(account={"groups": mine, "group_count": 200})["groups"]
        self.assertEqual((len(set(groups)), groups[-1]), (200, mine[0]))

    def test_more_groups_are_told_elsewhere(self):
        claims = self.claims(account={"group_count": 201})
        self.assertEqual(claims["_claim_names"], {"groups": "src1"})
        self.assertIn(claims["oid"], claims["_claim_sources"]["src1"]["endpoint"])
        self.assertNotIn("groups", claims)
        claims = self.claims(account={"groups": [group("a")], "overage": "hasgroups"})
        self.assertIs(claims["hasgroups"], True)
        self.assertFalse({"groups", "_claim_names"} & set(claims))


class Graph(EntraTest):
    PATH = "/v1.0/me/transitiveMemberOf?$select=id&$top=999"

    def signed_in(self, **account):
        device, _, tokens = self.sign_in(account=account)
        return device, tokens["access_token"]

    def pages(self, device, token):
        found, path = [], self.PATH
        while path:
            status, page = device.at(path, token)
            self.assertEqual(status, 200, page)
            found.append(page["value"])
            path = page.get("@odata.nextLink", "").removeprefix(self.idp.issuer)
        return found

    def test_pages_hold_groups_roles_and_units(self):
        mine, role, unit = group("mine"), group("role"), group("unit")
        device, token = self.signed_in(groups=[mine], group_count=250, roles=[role], units=[unit])
        pages = self.pages(device, token)
        self.assertEqual([len(page) for page in pages], [100, 100, 52])
        kinds = {entry["id"]: entry["@odata.type"] for page in pages for entry in page}
        self.assertEqual(len(kinds), 252)
        self.assertEqual(pages[2][-1]["id"], mine)
        self.assertEqual([kinds[key] for key in (mine, role, unit)],
                         [f"#microsoft.graph.{kind}" for kind in ("group", "directoryRole", "administrativeUnit")])

    def test_the_page_size_is_the_tests(self):
        self.idp.settings(graph={"page_size": 2})
        device, token = self.signed_in(group_count=3)
        self.assertEqual([len(page) for page in self.pages(device, token)], [2, 1])

    def test_a_bad_token_and_a_missing_permission(self):
        device, token = self.signed_in(group_count=3)
        status, body = device.at(self.PATH, token + "x")
        self.assertEqual((status, body["error"]["code"]), (401, "InvalidAuthenticationToken"))
        self.idp.settings(graph={"denied": True})
        status, body = device.at(self.PATH, token)
        self.assertEqual((status, body["error"]["code"]), (403, "Authorization_RequestDenied"))
        self.assertIn("request-id", body["error"]["innerError"])

    def test_a_page_can_be_throttled(self):
        self.idp.settings(graph={"page_size": 2, "throttle": {"page": 2, "times": 2, "retry_after": 1}})
        device, token = self.signed_in(group_count=3)
        _, first = device.at(self.PATH, token)
        following = first["@odata.nextLink"].removeprefix(self.idp.issuer)
        self.assertEqual([device.at(following, token)[0] for _ in range(3)], [429, 429, 200])

    def test_the_next_page_can_be_elsewhere_or_endless(self):
        self.idp.settings(graph={"page_size": 2, "next_origin": "https://localhost:1"})
        device, token = self.signed_in(group_count=3)
        self.assertTrue(device.at(self.PATH, token)[1]["@odata.nextLink"].startswith("https://localhost:1/v1.0/me/"))
        self.idp.settings(graph={"endless": True})
        self.assertIn("@odata.nextLink", device.at(self.PATH, token)[1])


def number(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def modulus_of(certificate):
    done = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-modulus"],
                          input=certificate, stdout=subprocess.PIPE, check=True)
    return int(done.stdout.decode().strip().split("=")[1], 16)


if __name__ == "__main__":
    unittest.main()
