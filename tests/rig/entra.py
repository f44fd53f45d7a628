"""A machine whose people come from Microsoft Entra ID, as the test provider plays it."""

import json
import os
import re
import uuid
from pathlib import Path

from . import product, texts
from .browser import Control
from .machine import Machine
from .provider import Provider
from .ssh_client import Ended, Person, Prompt

SCRIPT = Path(__file__).resolve().parents[1] / "provider" / "entra" / "server.mjs"
BASE = "https://idp.test:8443"

# As in directory.mjs and keys.mjs beside that script.
CONTOSO = "4e0a3c52-7d1b-4c59-9b0e-6a1f0c2d3e41"
FABRIKAM = "8b7d61f0-2f3e-4a6c-8d5b-1c9e7f4a2b63"
TAILSPIN = "c3f5e9a4-5b6d-4f70-a1c2-d3e4f5a6b7c8"
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
PUBLIC = "11112222-aaaa-4bbb-8ccc-333344445555"
WITH_SECRET = "66667777-dddd-4eee-8fff-888899990000"
SECRET = "entra-test-secret"
GROUPS_PATH = "/v1.0/me/transitiveMemberOf"

ANN = "ann@contoso.test"

# Nine characters in one word, unlike the other provider's.
CODE = r"\b[A-Z2-9]{9}\b"


def group(name):
    """A group's object id, always the same for a name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


STAFF = group("staff")

ENTRA = {
    "client_id": PUBLIC,
    "tenant_id": CONTOSO,
    "azure_authority": BASE,
    "graph_url": BASE,
    "ca_file": product.CA,
    "provisioning": "store",
    "first_login": ["*"],
    "group_map": {STAFF: "entra-staff"},
    "login_grace": 120,
}


def config(*without, **more):
    """The usual configuration with other or further keys, and without some."""
    return {key: value for key, value in {**ENTRA, **more}.items() if key not in without}


def path(endpoint, tenant=CONTOSO):
    """An endpoint of a tenant as it stands in the provider's log."""
    return f"/{tenant}/oauth2/v2.0/{endpoint}"


def write_json(file, content):
    """In one step, because the provider reads its files at every request."""
    partial = file.with_suffix(".new")
    partial.write_text(json.dumps(content))
    os.replace(partial, file)


class EntraControl(Control):
    def forms(self):
        """What the requests carried, by name; journal.mjs beside the provider says how."""
        return self._ask("GET", "/forms")

    def handed_out(self):
        """Every code and token so far: [{"member", "value"}]."""
        return self._ask("GET", "/secrets")


class EntraProvider(Provider):
    script = SCRIPT
    control_type = EntraControl
    first_people = {ANN: {"groups": [STAFF]}}

    def people(self, accounts):
        """See directory.mjs beside the provider."""
        write_json(self.state / "accounts.json", accounts)

    def settings(self, **wishes):
        """What the provider does for everybody from now on; see settings.mjs. Without arguments: as usual."""
        write_json(self.state / "settings.json", wishes)

    def forms(self, last_part):
        """The requests to addresses that end so, as the journal has them."""
        return [form for form in self.control.forms() if form["path"].endswith(last_part)]


class EntraPerson(Person):
    code = CODE


class EntraMachine(Machine):
    provider_type = EntraProvider
    person_type = EntraPerson

    def __init__(self, release, config=ENTRA, **options):
        self._configuration = config
        super().__init__(release, config=config, **options)

    def reconfigure(self, configuration):
        """As an administrator does it: write, then publish."""
        if configuration != self._configuration:
            product.configure(self.sandbox, configuration)
            self.sandbox.run("oauth2ctl publish")
            self._configuration = configuration

    def as_usual(self):
        """Takes back what a test has changed; who has signed in stays known."""
        self.provider.control.clear_faults()
        self.provider.people(self.provider.first_people)
        self.provider.settings()
        self.reconfigure(ENTRA)

    def attempt(self, name, approve_as=None, gate=True):
        """A login over ssh that may end anywhere, with pam_unix's question answered by Enter."""
        with self.person.ssh(name, "true") as terminal:
            return self._go_on(terminal, name, approve_as, gate)

    def trial(self, name, approve_as=None):
        """`oauth2ctl login`: the whole pipeline, and nothing recorded."""
        with self.person.start(["oauth2ctl", "login", name]) as terminal:
            return self._go_on(terminal, name, approve_as)

    def _go_on(self, terminal, name, approve_as, gate=True):
        if gate:
            terminal.expect(texts.PRESS_ENTER)
            terminal.send_line()
        seen = terminal.shows(rf"(?P<code>{CODE})|(?P<asked>{texts.PASSWORD})|{texts.PERMISSION_DENIED}", timeout=30)
        if seen and seen["code"]:
            url = re.search(texts.URL, terminal.screen).group()
            self.person.approve(Prompt(url, seen["code"], ""), approve_as or name)
            terminal.expect(texts.PRESS_ENTER)
            return self.person.finish_or_password(terminal)
        if seen and seen["asked"]:
            terminal.send_line()
        return Ended(terminal.wait(), "", terminal.screen)
