"""Starts the second test provider, django-oauth-toolkit, inside a sandbox's network."""

import re
import subprocess
from pathlib import Path

from . import product
from .browser import Browser, _fetch
from .machine import Machine
from .ssh_client import Person

TESTS = Path(__file__).resolve().parents[1]
PYTHON = TESTS.parent / "target" / "second-provider" / "bin" / "python"
SCRIPT = TESTS / "provider" / "django" / "start.py"

HOST = "idp.test"
SITE = f"https://{HOST}:8443"
CODE = r"\b[0-9A-V]{8}\b"  # the toolkit's own, with nothing between the halves

ID_TOKEN = {
    **product.ID_TOKEN,
    "issuer": f"{SITE}/o",
    # The toolkit's discovery document has no device_authorization_endpoint.
    "oauth_device_url": f"{SITE}/o/device-authorization/",
}
INTROSPECTION = {
    **ID_TOKEN,
    "client_id": "linux-login-secret",
    "client_secret": "linux-login-test-secret",
    "validation": "introspection",
    # Nor an introspection_endpoint, and what that one answers has no sub.
    "oauth_token_introspect_url": f"{SITE}/o/introspect/",
    "subject_from_username": True,
}


class SecondMachine(Machine):
    """A machine whose provider is the toolkit; `provider` holds arguments of SecondProvider."""

    def _set_up(self, config, enabled, provider, sshd):
        super()._set_up(None, enabled, None, sshd)
        self.provider = SecondProvider(self.sandbox, **dict(provider))
        product.configure(self.sandbox, config, self.provider.ca)
        if enabled:
            product.enable(self.sandbox)
        self.person = SecondPerson(self.sandbox, self.provider)

    def reconfigure(self, config):
        product.configure(self.sandbox, config)
        self.sandbox.run("oauth2ctl publish")


class SecondPerson(Person):
    code = CODE


class SecondProvider:
    """`id_token=False` is the toolkit as it comes; see tests/provider/django/id_token.py."""

    def __init__(self, sandbox, interval=1, id_token=True):
        self.interval = interval
        self.state = sandbox.directory / "provider"
        self.state.mkdir()
        self._errors = open(self.state / "provider.log", "ab")
        self._process = subprocess.Popen(
            ["nsenter", "--target", str(sandbox.pid), "--net", "setpriv", "--pdeathsig", "KILL", "--",
             PYTHON, SCRIPT, "--state", self.state, "--host", HOST, "--listen", "127.0.0.1:8443",
             "--interval", str(interval), *(["--id-token"] if id_token else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )
        if self._process.stdout.readline() != b"ready\n":
            self.close()
            raise AssertionError("the second provider did not start:\n" + self.log())
        self.ca = self.state / "ca.pem"
        self.browser = SecondBrowser(self.ca, sandbox.in_network)
        self.control = RequestLog(self.state / "provider.log")

    def close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._errors.close()

    def log(self):
        return (self.state / "provider.log").read_text(errors="replace")

    def machine_requests(self):
        """Paths in order, without the site's prefix and without the pages of a browser."""
        paths = [path for _, _, path, _ in self.control.lines()]
        return [path.removeprefix("/o") for path in paths
                if not path.startswith(("/login/", "/o/device/", "/o/device-confirm/", "/o/device-grant"))]

    def database(self, statement):
        return subprocess.run(
            ["sqlite3", "-cmd", ".timeout 5000", self.state / "db.sqlite3", statement],
            check=True, stdout=subprocess.PIPE, text=True,
        ).stdout.strip()


class RequestLog:
    """What the provider wrote of its requests since the last reset."""

    def __init__(self, path):
        self._path = path
        self._start = 0

    def reset(self):
        self._start = len(self._path.read_text(errors="replace"))

    def lines(self):
        """[(seconds, method, path, status)]"""
        text = self._path.read_text(errors="replace")[self._start:]
        found = re.findall(r"(?m)^(\d+\.\d+) ([A-Z]+) (\S+) (\d+)$", text)
        return [(float(at), method, path, int(status)) for at, method, path, status in found]

    def times(self, path):
        """[(seconds, status)] of the requests for one path."""
        return [(at, status) for at, _, asked, status in self.lines() if asked == path]


class SecondBrowser(Browser):
    """Walks the pages of the toolkit and of Django's login, as they are shipped."""

    def __init__(self, ca_file, in_network):
        super().__init__(str(ca_file), {HOST: "127.0.0.1"})
        self._in_network = in_network

    def approve(self, verification_uri, user_code, login, password="any"):
        page = self._in_network(self._answer, verification_uri, user_code, login, password, "accept")
        assert page.heading.strip() == "Device Authorized", page.summary()

    def deny(self, verification_uri, user_code, login):
        page = self._in_network(self._answer, verification_uri, user_code, login, "any", "deny")
        assert page.heading.strip() == "Device Denied", page.summary()

    def type_code(self, verification_uri, user_code, login):
        """Stops before the answer; returns the page that asks for it, or the code's page again."""
        return self._in_network(self._sign_in, verification_uri, user_code, login, "any")[1]

    def _answer(self, verification_uri, user_code, login, password, action):
        opener, page = self._sign_in(verification_uri, user_code, login, password)
        assert "/device-confirm/" in page.url, page.summary()
        return _fetch(opener, *page.form().submit(action=action))

    def _sign_in(self, verification_uri, user_code, login, password):
        opener = self._opener()
        # Django's forms are taken only from a page of the site itself.
        opener.addheaders = [("Origin", SITE)]
        page = _fetch(opener, verification_uri)
        assert "/login/" in page.url, page.summary()
        page = _fetch(opener, *page.form().submit(username=login, password=password))
        return opener, _fetch(opener, *page.form().submit(user_code=user_code))
