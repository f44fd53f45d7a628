"""What can go wrong at which endpoint, and how a login must end then."""

from collections.abc import Callable
from dataclasses import dataclass

from rig import entra, product
from rig.faults import SILENT_NAME, Cell

HEALTHY = "https://idp.test:8443"
FIRST_PORT = 8450
HTTP_TIMEOUT = 2  # seconds
DEADLINE = 9  # seconds, as oauth_device_token_polling_timeout
RETRY_AFTER = 3  # seconds
MIB = 1024 * 1024

HASTE = {"http_timeout": HTTP_TIMEOUT, "oauth_device_token_polling_timeout": DEADLINE}
DISCOVERED = {**product.INTROSPECTION, **HASTE}
ID_TOKEN = {**DISCOVERED, "validation": "id_token"}
# Introspection without an issuer asks nothing but the addresses given, so each of them can be a door.
GIVEN = {
    **{key: value for key, value in DISCOVERED.items() if key != "issuer"},
    "oauth_device_url": f"{HEALTHY}/device/auth",
    "oauth_token_url": f"{HEALTHY}/token",
    "oauth_token_introspect_url": f"{HEALTHY}/token/introspection",
}
# Microsoft Entra ID, of a person in so many groups that Graph has to tell them.
ENTRA = entra.config(
    client_id=entra.WITH_SECRET, client_secret=entra.SECRET, allowed_groups=[entra.STAFF], **HASTE,
)
ENTRA_PEOPLE = {entra.ANN: {"groups": [entra.STAFF], "group_count": 250}}
# One page: the next one's address would lead away from the door.
ENTRA_SETTINGS = {"graph": {"page_size": 999}}


@dataclass(frozen=True)
class End:
    """What the host, the log and the person are told."""

    code: int
    result: str
    reason: str
    sentence: str


ADMITTED = End(0, "admitted", "sign_in", "")
UNREACHABLE = End(9, "unavailable", "provider_unreachable", "cannot be reached at the moment")
CERTIFICATE = End(9, "unavailable", "provider_certificate", "cannot be reached at the moment")
UNUSABLE = End(3, "error", "provider_answer", "not set up correctly")
EXPIRED = End(7, "refused", "expired", "not approved in time")


@dataclass(frozen=True)
class Endpoint:
    path: str
    name: str  # in the log
    late: bool  # asked after the person was: an outage is worth another try

    @property
    def pattern(self):
        return f"^{self.path}$".replace(".", r"\.")


ENDPOINTS = {
    "discovery": Endpoint("/.well-known/openid-configuration", "discovery", late=False),
    "device": Endpoint("/device/auth", "device authorization endpoint", late=False),
    "token": Endpoint("/token", "token endpoint", late=True),
    "introspection": Endpoint("/token/introspection", "introspection endpoint", late=True),
    "keys": Endpoint("/jwks", "key set", late=True),
    "graph": Endpoint(entra.GROUPS_PATH, "Microsoft Graph", late=True),
}


@dataclass(frozen=True)
class Fault:
    """`door` makes a door from an endpoint's pattern; without one nobody listens at the address."""

    end: End
    door: Callable[[str], dict] | None = None
    host: str = "idp.test"


def _answers(status, **more):
    return lambda path: {"fault": {"path": path, "status": status, **more}}


def _does(what, **more):
    return lambda path: {"fault": {what: path, **more}}


def _shows(certificate):
    return lambda _path: {"certificate": certificate}


HTML = {"content-type": "text/html"}
FAULTS = {
    "refused": Fault(UNREACHABLE),
    "reset": Fault(UNREACHABLE, lambda _path: {"reset": True}),
    "closed unanswered": Fault(UNREACHABLE, _does("drop")),
    "no such name": Fault(UNREACHABLE, host="nowhere.test"),
    "silent name server": Fault(UNREACHABLE, host=SILENT_NAME),
    "drips": Fault(UNREACHABLE, _does("drip")),
    "hangs": Fault(UNREACHABLE, _does("hang")),
    "429": Fault(UNREACHABLE, _answers(429, headers={"retry-after": str(RETRY_AFTER)})),
    "500": Fault(UNREACHABLE, _answers(500)),
    # A page that repeats what was asked, so that whoever logs pages logs codes and tokens.
    "502 page": Fault(UNREACHABLE, _answers(502, body="<h1>Bad gateway</h1>", headers=HTML, echo=True)),
    "200 page": Fault(UNUSABLE, _answers(200, body="<h1>Please sign in</h1>", headers=HTML, echo=True)),
    "truncated": Fault(UNUSABLE, _does("change", cut=1)),
    "10 MB": Fault(UNUSABLE, _does("change", pad=10 * MIB)),
    "redirect": Fault(UNUSABLE, _answers(307, headers={"location": f"{HEALTHY}/redirected"})),
    "other host": Fault(CERTIFICATE, _shows("elsewhere")),
    "expired": Fault(CERTIFICATE, _shows("expired")),
    "unknown CA": Fault(CERTIFICATE, _shows("unknown")),
    # No answer is taken by its label: what is inside is checked.
    "content type": Fault(ADMITTED, _does("change", headers={"content-type": "text/plain"})),
}

# A fault that passes.
PASSING = {
    "once 429": Fault(ADMITTED, _answers(429, headers={"retry-after": str(RETRY_AFTER)}, count=1)),
    "once 500": Fault(ADMITTED, _answers(500, count=1)),
}

# JSON text of one member of the device answer; None leaves it out.
NUMBERS = {
    "interval": {
        '"1"': ADMITTED, "0": ADMITTED, "-1": ADMITTED, "18446744073709551615": EXPIRED,
        "1e400": UNUSABLE, "null": ADMITTED, None: ADMITTED,
    },
    "expires_in": {
        '"600"': ADMITTED, "0": EXPIRED, "-1": ADMITTED, "18446744073709551615": ADMITTED,
        "1e400": UNUSABLE, "null": ADMITTED, None: ADMITTED,
    },
}


@dataclass(frozen=True)
class Trial:
    """A cell of the table with all that belongs to it."""

    row: str
    column: str
    end: End
    cell: Cell
    door: dict | None

    @property
    def name(self):
        return f"{self.column}-{self.row}".replace(" ", "-")

    @property
    def waits(self):
        """Is it an outage that is waited out?"""
        return self.end is UNREACHABLE and ENDPOINTS[self.column].late


def trials():
    ports = iter(range(FIRST_PORT, FIRST_PORT + 1000))
    made = [_of_endpoint(column, row, FAULTS[row], next(ports)) for row in FAULTS for column in ENDPOINTS]
    made += [_of_endpoint(column, row, PASSING[row], next(ports))
             for row in PASSING for column, endpoint in ENDPOINTS.items() if endpoint.late]
    made += [_of_number(member, text, end, next(ports))
             for member, values in NUMBERS.items() for text, end in values.items()]
    return made


def _of_endpoint(column, row, fault, port):
    endpoint = ENDPOINTS[column]
    address = f"https://{fault.host}:{port}"
    door = fault.door and fault.door(endpoint.pattern)
    config, discovery = _leading_to(column, address, endpoint)
    if column == "discovery" and fault.end is ADMITTED:
        # An issuer has one address only: here the healthy port itself has the fault.
        config, discovery, door = ID_TOKEN, {"headers": {"content-type": "text/plain"}}, None
    return Trial(row, column, fault.end, Cell(f"f{port}", config, port, discovery), door)


def _leading_to(column, address, endpoint):
    """A configuration that finds one endpoint behind a door, and what is changed in the discovery
    document for that."""
    url = address + endpoint.path
    return {
        "discovery": ({**ID_TOKEN, "issuer": address}, None),
        "device": ({**GIVEN, "oauth_device_url": url}, None),
        # With an issuer, for otherwise the token endpoint's address would stand for one.
        "token": ({**DISCOVERED, "oauth_token_url": url}, None),
        "introspection": ({**GIVEN, "oauth_token_introspect_url": url}, None),
        "keys": (ID_TOKEN, {"set": {"jwks_uri": f'"{url}"'}}),
        "graph": ({**ENTRA, "graph_url": address}, None),
    }[column]


def _of_number(member, text, end, port):
    endpoint = ENDPOINTS["device"]
    config = {**GIVEN, "oauth_device_url": f"https://idp.test:{port}{endpoint.path}"}
    door = {"fault": {"change": endpoint.pattern, "set": {member: text}}}
    return Trial("missing" if text is None else text, member, end, Cell(f"n{port}", config, port), door)
