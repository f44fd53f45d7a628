"""A token of the test provider, for those who have one in hand: the device flow without the product."""

import json
import ssl
import urllib.parse
import urllib.request

from . import entra, product
from .browser import HttpsHandler

CLIENT = product.ID_TOKEN["client_id"]


def id_token(machine, approve_as):
    """Signs somebody in and returns the id_token."""
    return _id_token(machine, approve_as, "/device/auth", "/token", CLIENT, product.ID_TOKEN["scope"])


def entra_id_token(machine, approve_as):
    """The same of Microsoft Entra ID's."""
    return _id_token(machine, approve_as, entra.path("devicecode"), entra.path("token"), entra.PUBLIC, "openid profile")


def _id_token(machine, approve_as, device_path, token_path, client, scope):
    grant = _post(machine, device_path, {"client_id": client, "scope": scope})
    machine.provider.browser.approve(grant["verification_uri"], grant["user_code"], approve_as)
    fields = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": grant["device_code"],
        "client_id": client,
    }
    return _post(machine, token_path, fields)["id_token"]


def _post(machine, path, fields):
    provider = machine.provider
    tls = ssl.create_default_context(cafile=str(provider.ca))
    host = urllib.parse.urlparse(provider.issuer).hostname
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), HttpsHandler(tls, {host: "127.0.0.1"}))
    data = urllib.parse.urlencode(fields).encode()
    return machine.sandbox.in_network(_ask, opener, provider.issuer + path, data)


def _ask(opener, url, data):
    with opener.open(url, data, timeout=10) as answer:
        return json.loads(answer.read())
