"""The attacks, as data: what is forged, which rule of the design refuses it, and the words that prove it.

`forge` is a plan of tests/provider/forge.mjs. Everything that a row does not mention is genuine: whoever
approves is the person who asks, and every claim is the real provider's.
"""

from dataclasses import dataclass, field
from itertools import count

ADMITTED = "admitted"
BAD_TOKEN = "bad_token"
WRONG_PERSON = "wrong_person"
NOT_ADMISSIBLE = "name_not_admissible"

VICTIM = "ann"
ATTACKER = "mallory"
# Signed in before the attacks begin.
KNOWN = "known"
SYSTEM_USER = "sysop"
MISSING = object()


@dataclass(frozen=True)
class Row:
    name: str
    rule: str
    expect: str = BAD_TOKEN
    detail: str = ""
    forge: dict = field(default_factory=dict)
    person: str = VICTIM
    approver: str = ""  # the person
    says: object = MISSING  # the provider's name for the approver
    key_sets: int = 1  # how often the machine asks for the provider's keys
    userinfo: bool = False  # is that endpoint asked?


# How a detail of the log begins, for each rule that an id_token can break

ALGORITHM = "id_token: its alg is none of"
UNFIT = "id_token: the key of its kid is not one for its alg"
SMALL = "id_token: the key of its kid has fewer than 2048 bits"
NO_KID = "id_token: it has no kid"
UNKNOWN = "id_token: its kid is not in the key set"
SIGNATURE = "id_token: the signature is wrong"
CRITICAL = "id_token: it has a crit header"
KIND = "id_token: its typ is not JWT"
MALFORMED = "id_token: no signed JSON Web Token"
ISSUER = "id_token: iss is not the configured issuer"
AUDIENCE = "id_token: aud is not this client"
PARTY = "id_token: azp is not this client"
EXPIRED = "id_token: it has expired"
TOO_EARLY = "id_token: it is not valid yet"
STALE = "id_token: it was issued before this login began"


def bad(claim):
    return f"id_token: {claim} is missing or malformed"


_numbers = count(1)


def good(name, rule, forge=None, **more):
    """A row that must be let in: without such, refusing everything would pass. A person of its own."""
    person = f"good{next(_numbers)}"
    return Row(name, rule, ADMITTED, f"{person} signs in for the first time", forge or {}, person, **more)


def signed(key, alg, kid=None, **more):
    """An id_token signed by a key under an alg; the header's kid is the key's name unless told."""
    header = {"set": {"alg": alg, "kid": kid or key}}
    return {"id_token": {"key": key, "header": header, **more}}


def header(**members):
    return {"id_token": {"header": {"set": members}}}


def claims(*without, times=None, raw=(), **members):
    """The real token with other claims, signed by the provider's own key."""
    edit = {"set": members, "without": without, "times": times or {}, "raw": list(raw)}
    return {"id_token": {"payload": edit}}


# Key sets; "signing" is the provider's own key.

REAL = {"key": "signing", "alg": "RS256"}


def keys(*more):
    return {"keys": [REAL, *more]}


def twin(key, **members):
    """A key under the kid of the real one."""
    return {"key": key, "kid": "signing", **members}


def lured(*lures, kid="signing"):
    plan = signed("attacker", "RS256", kid)
    plan["id_token"]["lures"] = list(lures)
    return plan


CLIENT = "linux-login"

R_ALG = "1 alg allow-list"
R_FAMILY = "1 alg of the key's family"
R_BITS = "1 keys of 2048 bits"
R_USE = "1 use absent or sig"
R_OCT = "1 oct never verifies"
R_KID = "1 kid required"
R_REFETCH = "1 unknown kid refetches once"
R_HEADER_KEY = "1 keys from the key set only"
R_CRIT = "1 crit refused"
R_KIND = "1 typ is JWT"
R_SIGNATURE = "1 signature"
R_ISS = "1 iss"
R_AUD = "1 aud"
R_AZP = "1 several aud need azp"
R_EXP = "1 exp required"
R_NBF = "1 nbf checked"
R_IAT = "1 iat not before this login"
R_SUB = "1 sub required"
R_TOKEN = "1 an id_token"
R_BINDING = "4 subject binding"
R_USERINFO = "4 userinfo of the same subject"

ID_TOKEN = [
    good("nothing forged", "control"),

    *(Row(f"alg {alg}, no signature", R_ALG, detail=ALGORITHM,
          forge={"id_token": {"header": {"set": {"alg": alg}}, "signature": "none"}})
      for alg in ("none", "None", "NONE", "nOnE", "")),
    Row("alg none, the real signature", R_ALG, detail=ALGORITHM,
        forge={"id_token": {"header": {"set": {"alg": "none"}}, "signature": "kept"}}),
    Row("no alg", R_ALG, detail=ALGORITHM,
        forge={"id_token": {"header": {"without": ["alg"]}, "signature": "kept"}}),
    Row("alg twice, none last", R_ALG, detail=MALFORMED,
        forge={"id_token": {"header": {"raw": [["alg", '"none"']]}, "signature": "none"}}),
    *(Row(f"{alg} by the public key in {form}", R_ALG, detail=ALGORITHM,
          forge=signed(f"public-{form}", alg, "signing"))
      for form in ("pem", "der") for alg in ("HS256", "HS512")),
    Row("HS256 by an oct key of the key set", R_OCT, detail=ALGORITHM,
        forge={**signed("oct", "HS256"), **keys({"key": "oct", "alg": "HS256"})}),
    Row("RS256 under the kid of an oct key", R_OCT, detail=UNFIT,
        forge={**signed("signing", "RS256", "oct"), **keys({"key": "oct", "alg": "RS256"})}),
    *(good(f"{alg} by a fit key", R_ALG, {**signed(key, alg), **keys({"key": key})})
      for alg, key in (("PS256", "other"), ("RS512", "other"), ("ES256", "p256"), ("ES384", "p384"),
                       ("EdDSA", "ed25519"))),

    Row("RS256 under the kid of an EC key", R_FAMILY, detail=UNFIT,
        forge={**signed("p256", "RS256"), **keys({"key": "p256"})}),
    Row("ES256 under the kid of the RSA key", R_FAMILY, detail=UNFIT, forge=signed("p256", "ES256", "signing")),
    Row("ES256 under the kid of a P-384 key", R_FAMILY, detail=UNFIT,
        forge={**signed("p384", "ES256"), **keys({"key": "p384"})}),
    Row("EdDSA under the kid of the RSA key", R_FAMILY, detail=UNFIT,
        forge=signed("ed25519", "EdDSA", "signing")),
    Row("PS256 by a key of alg RS256", R_FAMILY, detail=UNFIT, forge=signed("signing", "PS256")),
    Row("RS256 by an RSA key of alg ES256", R_FAMILY, detail=UNFIT,
        forge={**signed("other", "RS256"), **keys({"key": "other", "alg": "ES256"})}),
    Row("RS256 by a key of alg RSA-OAEP", R_FAMILY, detail=UNFIT,
        forge={**signed("other", "RS256"), **keys({"key": "other", "alg": "RSA-OAEP"})}),
    Row("a key of 1024 bits", R_BITS, detail=SMALL,
        forge={**signed("small", "RS256"), **keys({"key": "small"})}),
    Row("a key for encryption", R_USE, detail=UNFIT,
        forge={**signed("other", "RS256"), **keys({"key": "other", "use": "enc"})}),
    Row("a key whose key_ops lack verify", R_USE, detail=UNFIT,
        forge={**signed("other", "RS256"), **keys({"key": "other", "use": None, "key_ops": ["encrypt"]})}),
    good("a key without use", R_USE, {**signed("other", "RS256"), **keys({"key": "other", "use": None})}),

    # One kid, two keys: the first fit one is taken, in whatever order they stand.
    *(good(f"a true token, {what} of the same kid first", R_USE, {"keys": [unfit, REAL]})
      for what, unfit in (("an encryption key", twin("other", use="enc")), ("an EC key", twin("p256")),
                          ("an oct key", twin("oct")), ("a key of no known kind", twin("other", kty="XYZ")))),
    good("a true token, an encryption key of the same kid second", R_USE, keys(twin("other", use="enc"))),
    *(Row(f"signed by an encryption key, the true one of its kid {place}", R_USE, detail=SIGNATURE,
          forge={**signed("other", "RS256", "signing"), "keys": order})
      for place, order in (("first", [REAL, twin("other", use="enc")]),
                           ("second", [twin("other", use="enc"), REAL]))),
    Row("signed by a small key, the true one of its kid first", R_BITS, detail=SIGNATURE,
        forge={**signed("small", "RS256", "signing"), **keys(twin("small"))}),
    Row("signed by a small key, the true one of its kid second", R_BITS, detail=SMALL,
        forge={**signed("small", "RS256", "signing"), "keys": [twin("small"), REAL]}),
    # Size is looked at last: a provider that publishes such a set is refused, not guessed at.
    Row("a true token, a small key of its kid first", R_BITS, detail=SMALL,
        forge={"keys": [twin("small"), REAL]}),

    Row("no kid", R_KID, detail=NO_KID, forge={"id_token": {"header": {"without": ["kid"]}}}),
    Row("an empty kid", R_KID, detail=NO_KID, forge=header(kid="")),
    Row("an unknown kid", R_REFETCH, detail=UNKNOWN, forge=header(kid="nobody"), key_sets=2),
    Row("a kid that is a path", R_REFETCH, detail=UNKNOWN, forge=signed("other", "RS256", "../../dev/null"),
        key_sets=2),
    Row("the provider's keys gone", R_REFETCH, detail=UNKNOWN, forge={"keys": []}, key_sets=2),
    good("a kid of the second key set", R_REFETCH,
         {**signed("p256", "ES256"), **keys(), "keys_later": [REAL, {"key": "p256"}]}, key_sets=2),

    *(Row(f"{lure} of the attacker, the true kid", R_HEADER_KEY, detail=SIGNATURE, forge=lured(lure))
      for lure in ("jku", "x5u", "jwk", "x5c")),
    Row("every lure of the attacker, a kid of their own", R_HEADER_KEY, detail=UNKNOWN, key_sets=2,
        forge=lured("jku", "x5u", "jwk", "x5c", kid="attacker")),

    Row("crit exp", R_CRIT, detail=CRITICAL, forge=header(crit=["exp"])),
    Row("crit b64", R_CRIT, detail=CRITICAL, forge=header(crit=["b64"], b64=False)),
    Row("an empty crit", R_CRIT, detail=CRITICAL, forge=header(crit=[])),
    Row("crit is a string", R_CRIT, detail=CRITICAL, forge=header(crit="exp")),
    Row("crit is null", R_CRIT, detail=CRITICAL, forge=header(crit=None)),
    Row("kid is a number", R_KID, detail=NO_KID, forge=header(kid=5)),

    Row("an access token by its typ", R_KIND, detail=KIND, forge=header(typ="at+jwt")),
    Row("a logout token by its typ", R_KIND, detail=KIND, forge=header(typ="logout+jwt")),
    Row("typ is a number", R_KIND, detail=KIND, forge=header(typ=5)),

    Row("one byte of the signature changed", R_SIGNATURE, detail=SIGNATURE,
        forge={"id_token": {"signature": "changed"}}),
    Row("half a signature", R_SIGNATURE, detail=SIGNATURE, forge={"id_token": {"signature": "short"}}),
    Row("no signature", R_SIGNATURE, detail=SIGNATURE, forge={"id_token": {"signature": "none"}}),
    Row("the attacker's own key under the true kid", R_SIGNATURE, detail=SIGNATURE,
        forge=signed("attacker", "RS256", "signing")),
    Row("the name changed after signing", R_SIGNATURE, detail=SIGNATURE, approver=ATTACKER,
        forge={"id_token": {"payload": {"set": {"preferred_username": VICTIM}}, "signature": "kept"}}),

    Row("another iss", R_ISS, detail=ISSUER, forge=claims(iss="https://evil.test")),
    Row("iss with a slash more", R_ISS, detail=ISSUER, forge=claims(iss="https://idp.test:8443/")),
    Row("iss over http", R_ISS, detail=ISSUER, forge=claims(iss="http://idp.test:8443")),
    Row("no iss", R_ISS, detail=bad("iss"), forge=claims("iss")),
    Row("iss is a number", R_ISS, detail=bad("iss"), forge=claims(iss=5)),
    Row("iss is null", R_ISS, detail=bad("iss"), forge=claims(iss=None)),
    Row("iss is a list", R_ISS, detail=ISSUER, forge=claims(iss=["https://idp.test:8443"])),
    Row("iss is a list of two", R_ISS, detail=ISSUER,
        forge=claims(iss=["https://evil.test", "https://idp.test:8443"])),

    Row("aud is another client", R_AUD, detail=AUDIENCE, forge=claims(aud="linux-login-secret")),
    Row("aud in capitals", R_AUD, detail=AUDIENCE, forge=claims(aud=CLIENT.upper())),
    Row("aud is a list of others", R_AUD, detail=AUDIENCE, forge=claims(aud=["a", "b"])),
    Row("aud is an empty list", R_AUD, detail=AUDIENCE, forge=claims(aud=[])),
    Row("no aud", R_AUD, detail=bad("aud"), forge=claims("aud")),
    Row("aud is a number", R_AUD, detail=bad("aud"), forge=claims(aud=5)),
    good("aud is a list of this client alone", R_AUD, claims(aud=[CLIENT])),
    Row("several aud, no azp", R_AZP, detail=PARTY, forge=claims("azp", aud=[CLIENT, "other"])),
    Row("several aud, another azp", R_AZP, detail=PARTY, forge=claims(aud=[CLIENT, "other"], azp="other")),
    Row("several aud, azp is a list", R_AZP, detail=PARTY, forge=claims(aud=[CLIENT, "other"], azp=[CLIENT])),
    Row("one aud, another azp", R_AZP, detail=PARTY, forge=claims(azp="other")),
    good("several aud, azp is this client", R_AZP, claims(aud=["other", CLIENT], azp=CLIENT)),

    Row("expired", R_EXP, detail=EXPIRED, forge=claims(times={"exp": -90})),
    good("expired within the leeway", R_EXP, claims(times={"exp": -20})),
    Row("no exp", R_EXP, detail=bad("exp"), forge=claims("exp")),
    Row("exp is null", R_EXP, detail=bad("exp"), forge=claims(exp=None)),
    Row("exp is a string", R_EXP, detail=bad("exp"), forge=claims(exp="9999999999")),
    Row("exp is negative", R_EXP, detail=bad("exp"), forge=claims(exp=-1)),
    Row("exp is 0", R_EXP, detail=EXPIRED, forge=claims(exp=0)),
    Row("exp is 1e400", R_EXP, detail=MALFORMED, forge=claims("exp", raw=[("exp", "1e400")])),
    Row("exp is 2^64", R_EXP, detail=bad("exp"), forge=claims("exp", raw=[("exp", str(2**64))])),
    Row("not valid yet", R_NBF, detail=TOO_EARLY, forge=claims(times={"nbf": 600})),
    Row("nbf is a string", R_NBF, detail=bad("nbf"), forge=claims(nbf="0")),
    good("valid within the leeway", R_NBF, claims(times={"nbf": 40})),
    Row("iat of a former login", R_IAT, detail=STALE, forge=claims(times={"iat": -600})),
    Row("no iat", R_IAT, detail=bad("iat"), forge=claims("iat")),
    Row("iat is a string", R_IAT, detail=bad("iat"), forge=claims(iat="9999999999")),
    Row("no sub", R_SUB, detail=bad("sub"), forge=claims("sub")),
    Row("sub is a number", R_SUB, detail=bad("sub"), forge=claims(sub=5)),
    Row("an empty sub", R_SUB, detail="claims: the subject is empty", forge=claims(sub="")),
    Row("sub with a NUL", R_SUB, detail="claims: the subject is empty, longer", forge=claims(sub="a\0b")),
    Row("another sub for a known name", R_BINDING, "subject_mismatch", "bound to another subject",
        claims(sub="somebody-else"), person=KNOWN),
    Row("a known sub for another name", R_BINDING, "renamed", f"known here as {KNOWN}",
        claims(preferred_username=VICTIM), approver=KNOWN),

    Row("the payload is a list", R_TOKEN, detail=MALFORMED, forge={"id_token": {"payload": {"text": "[]"}}}),
    Row("the payload is no JSON", R_TOKEN, detail=MALFORMED, forge={"id_token": {"payload": {"text": "{"}}}),
    *(Row(f"{name} twice", R_TOKEN, detail=MALFORMED, forge=claims(raw=[(name, '"x"')]))
      for name in ("iss", "aud", "sub", "exp")),
    # RFC 7519 §4 lets the last of two count; here nobody has to know which one does.
    Row("the name twice, the victim first", R_TOKEN, detail=MALFORMED,
        forge=claims(raw=[("preferred_username", f'"{ATTACKER}"')])),
    Row("the access token instead", R_TOKEN, detail=MALFORMED, forge={"swap": True}),
    Row("a JWT access token instead", R_TOKEN, detail=AUDIENCE, forge={"id_token": {
        "payload": {"set": {"aud": "https://api.test", "client_id": CLIENT}}}}),
    Row("five parts, as if encrypted", R_TOKEN, detail=ALGORITHM,
        forge={"token_answer": {"set": {"id_token": "e30.e30.e30.e30.e30"}}}),
    Row("an empty id_token", R_TOKEN, detail=MALFORMED, forge={"token_answer": {"set": {"id_token": ""}}}),
    *(Row(f"id_token is {what}", R_TOKEN, detail="id_token: the provider sent none", key_sets=0,
          forge={"token_answer": edit})
      for what, edit in (("missing", {"without": ["id_token"]}), ("null", {"set": {"id_token": None}}),
                         ("an object", {"set": {"id_token": {}}}))),

    good("the name in userinfo", R_USERINFO, claims("preferred_username"), userinfo=True),
    Row("userinfo of another sub", R_USERINFO, detail="claims: userinfo is about another subject", userinfo=True,
        forge={**claims("preferred_username"), "userinfo": {"set": {"sub": "somebody-else"}}}),
    Row("userinfo without sub", R_USERINFO, detail="claims: userinfo is about another subject", userinfo=True,
        forge={**claims("preferred_username"), "userinfo": {"without": ["sub"]}}),
    Row("userinfo of another name", R_USERINFO, WRONG_PERSON, ATTACKER, userinfo=True,
        forge={**claims("preferred_username"), "userinfo": {"set": {"preferred_username": ATTACKER}}}),
]
