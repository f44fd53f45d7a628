"""The attacks on what an introspection answer says, and on the names that a provider asserts."""

from attacks import (
    ATTACKER, BAD_TOKEN, KNOWN, NOT_ADMISSIBLE, R_BINDING, SYSTEM_USER, VICTIM, WRONG_PERSON, Row, good,
)

CLIENT = "linux-login-secret"

MALFORMED = "introspection: the answer is not one of RFC 7662"
INACTIVE = "introspection: the token is not active"
EXPIRED = "introspection: the token has expired"
OTHER_CLIENT = "introspection: client_id is not this client"
AUDIENCE = "introspection: aud is not this client"
ISSUER = "introspection: iss is not the configured issuer"
NAMELESS = "claims: none of username_claims holds a username"

R_ACTIVE = "3 active is true"
R_EXP = "3 exp when given"
R_CLIENT = "3 client_id, aud when given"
R_ISSUER = "3 iss is the configured one"
R_SCOPE = "3 every configured scope"
R_NAME = "3 username"
R_SUB = "5 sub required"
R_ANSWER = "3 an RFC 7662 answer"


def answer(*without, times=None, raw=(), **members):
    edit = {"set": members, "without": without, "times": times or {}, "raw": list(raw)}
    return {"introspection": edit}


def _row(name, rule, detail, forge, expect=BAD_TOKEN, **more):
    return Row(name, rule, expect, detail, forge, key_sets=0, **more)


def _good(name, rule, forge=None):
    return good(name, rule, forge, key_sets=0)


INTROSPECTION = [
    _good("nothing forged", "control"),

    _row("active is false", R_ACTIVE, INACTIVE, answer(active=False)),
    _row("active twice, false last", R_ACTIVE, INACTIVE, answer(raw=[("active", "false")])),
    *(_row(f"active is {what}", R_ACTIVE, MALFORMED, answer(active=value))
      for what, value in (('"true"', "true"), ("1", 1), ("null", None), ("[true]", [True]))),
    _row("no active", R_ACTIVE, MALFORMED, answer("active")),

    _row("expired", R_EXP, EXPIRED, answer(times={"exp": -5})),
    _row("exp is negative", R_EXP, EXPIRED, answer(exp=-1)),
    *(_row(f"exp is {what}", R_EXP, MALFORMED, answer(exp=value))
      for what, value in (("a word", "soon"), ("a string", "9999999999"), ("a list", [9999999999]))),
    _good("no exp", R_EXP, answer("exp")),

    _row("another client_id", R_CLIENT, OTHER_CLIENT, answer(client_id="linux-login")),
    _row("another client_id, aud is this client", R_CLIENT, OTHER_CLIENT,
         answer(client_id="linux-login", aud=CLIENT)),
    _row("client_id is a list", R_CLIENT, MALFORMED, answer(client_id=[CLIENT])),
    _row("no client_id, another aud", R_CLIENT, AUDIENCE, answer("client_id", aud="linux-login")),
    _row("no client_id, aud is an empty list", R_CLIENT, AUDIENCE, answer("client_id", aud=[])),
    _good("no client_id, no aud", R_CLIENT, answer("client_id", "aud")),
    _good("no client_id, aud holds this client", R_CLIENT, answer("client_id", aud=["api", CLIENT])),

    _row("another iss", R_ISSUER, ISSUER, answer(iss="https://evil.test")),
    _row("iss is a list", R_ISSUER, MALFORMED, answer(iss=["https://idp.test:8443"])),
    _good("no iss", R_ISSUER, answer("iss")),

    _row("a scope is missing", R_SCOPE, 'introspection: scope "groups" was not granted',
         answer(scope="openid profile")),
    _row("an empty scope", R_SCOPE, 'introspection: scope "openid" was not granted', answer(scope="")),
    _row("scope is a list", R_SCOPE, MALFORMED, answer(scope=["openid", "profile", "groups"])),
    _good("scopes more than asked for", R_SCOPE, answer(scope="admin openid profile groups email")),

    _row("no name at all", R_NAME, NAMELESS, answer("username", "preferred_username")),
    _row("an empty name", R_NAME, NAMELESS, answer(username="", preferred_username="")),
    _row("the name is a number", R_NAME, MALFORMED, answer("preferred_username", username=5)),
    _row("username of somebody else", R_NAME, ATTACKER, answer("preferred_username", username=ATTACKER),
         WRONG_PERSON),
    _row("the configured claim of somebody else", R_NAME, ATTACKER,
         answer(username=VICTIM, preferred_username=ATTACKER), WRONG_PERSON),
    _row("approved by somebody else", R_NAME, ATTACKER, {}, WRONG_PERSON, approver=ATTACKER),
    _good("no username, but the configured claim", R_NAME, answer("username")),

    _row("no sub", R_SUB, "claims: no sub", answer("sub")),
    _row("sub is a number", R_SUB, MALFORMED, answer(sub=5)),
    _row("an empty sub", R_SUB, "claims: the subject is empty", answer(sub="")),
    _row("another sub for a known name", R_BINDING, "bound to another subject",
         answer(sub="somebody-else"), "subject_mismatch", person=KNOWN),

    _row("the answer is a list", R_ANSWER, "no JSON object", {"introspection": {"text": "[]"}},
         "provider_answer"),
    _row("the answer is no JSON", R_ANSWER, "no JSON object", {"introspection": {"text": "active"}},
         "provider_answer"),
]

# What the provider says, for the person ann: the name in the table, and what refuses it.

CYRILLIC_ANN = "\N{CYRILLIC SMALL LETTER A}nn"
CHARACTER = "holds a character other than"

_WRONG = ["root", "daemon", SYSTEM_USER, "localu", "annn", "ann@example.test", "0ann", "sudo"]
_NO_NAME = {
    "ann NUL": ("ann\0", CHARACTER), "NUL root": ("ann\0root", CHARACTER),
    "newline": ("ann\nroot", CHARACTER), "newline at the end": ("ann\n", CHARACTER),
    "colon": ("ann:0:0", CHARACTER), "slash": ("../ann", CHARACTER),
    "control characters": ("\x1b[2Jann", CHARACTER), "backspaces": ("root\b\b\b\bann", CHARACTER),
    "space behind": ("ann ", CHARACTER), "space before": (" ann", CHARACTER), "a space": (" ", CHARACTER),
    "tab": ("ann\t", CHARACTER), "Cyrillic a": (CYRILLIC_ANN, CHARACTER),
    "full width a": ("\N{FULLWIDTH LATIN SMALL LETTER A}nn", CHARACTER),
    "zero width space": ("ann\N{ZERO WIDTH SPACE}", CHARACTER),
    "leading dash": ("-ann", "begins with a character other than"),
    "leading dot": (".ann", "begins with a character other than"),
    "256 bytes": ("a" * 256, "longer than 64 bytes"), "a final dot": ("ann.", "two dots in a row or ends in one"),
    "0": ("0", "holds no letter"), "0.ann": ("0.ann", "the part before the first dot is a number"),
}
_NO_TEXT = {
    "empty": "", "a number": 5, "a list": ["ann"], "an object": {"ann": "ann"}, "true": True, "null": None,
}

R_EQUAL = "4 requested == mapped name"
R_SYNTAX = "5 login name syntax"

NAMES = [
    *(Row(f"says {name}", R_EQUAL, WRONG_PERSON, f"the person who approved is {name}", says=name)
      for name in _WRONG),
    Row("says Root", R_EQUAL, WRONG_PERSON, "the person who approved is root", says="Root"),
    *(Row(f"says {what}", R_SYNTAX, NOT_ADMISSIBLE, words, says=name)
      for what, (name, words) in _NO_NAME.items()),
    *(Row(f"the name is {what}", R_SYNTAX, BAD_TOKEN, NAMELESS, says=value, userinfo=True)
      for what, value in _NO_TEXT.items()),
    Row("approved by somebody else", R_EQUAL, WRONG_PERSON, ATTACKER, approver=ATTACKER),
    good("says the name in capitals", R_EQUAL, says=str.upper),
]

# Names that a person asks for themselves. Not one of them may reach the provider.
ASKED_FOR = {
    "root": "root", "daemon": "daemon", "a user of uid 999": SYSTEM_USER, "a local user": "localu",
    "Root": "Root", "a reserved name": "sudo", "a number": "0", "dotted below a number": "0.ann",
    "newline": "ann\nroot", "colon": "ann:0:0", "slash": "../ann", "leading dash": "-ann",
    "control characters": "\x1b[2Jann", "256 bytes": "a" * 256, "Cyrillic a": CYRILLIC_ANN,
    "empty": "", "a space": " ", "space behind": "ann ",
}
