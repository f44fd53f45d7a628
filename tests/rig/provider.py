"""Starts the test identity provider inside a sandbox's network, with the machine's own files."""

import json
import subprocess
from pathlib import Path

from .browser import Browser, Control

SCRIPT = Path(__file__).resolve().parents[1] / "provider" / "provider.mjs"
PEOPLE = {
    # Anybody can sign in; only what differs from the defaults stands here.
    "ann": {"groups": ["3f1c-staff"]},
    "mallory": {"groups": ["9999-nobody-mapped-this"]},
}


class Provider:
    """`control` and `browser` work as if they sat in the sandbox."""

    script = SCRIPT
    first_people = PEOPLE
    control_type = Control

    def __init__(self, sandbox, interval=1, device_ttl=600, host="idp.test", port=8443):
        self.state = sandbox.directory / "provider"
        self.state.mkdir(exist_ok=True)
        self.issuer = f"https://{host}:{port}"
        self.people(self.first_people)
        self._call = sandbox.in_network
        self._log = open(self.state / "provider.log", "ab")
        self._command = [
            "nsenter", "--target", str(sandbox.pid), "--net", "setpriv", "--pdeathsig", "KILL", "--",
            "node", str(self.script), "--state", str(self.state), "--host", host,
            "--listen", f"127.0.0.1:{port}", "--control", f"127.0.0.1:{port + 1}",
            "--interval", str(interval), "--device-ttl", str(device_ttl), "--exit-with-stdin",
        ]
        self._process = None
        self.start()
        self.ca = self.state / "ca.pem"
        self.control = _Inside(self.control_type(f"http://127.0.0.1:{port + 1}"), self._call)
        self.browser = _Inside(Browser(str(self.ca), {host: "127.0.0.1"}), self._call)

    def people(self, accounts):
        """Says what the provider tells about its people; see tests/provider/accounts.mjs."""
        (self.state / "accounts.json").write_text(json.dumps(accounts))

    def start(self):
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )
        if self._process.stdout.readline() != b"ready\n":
            self.stop()
            raise AssertionError("the provider did not start:\n" + self.log())

    def stop(self):
        """After this, connections to its port are refused."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def close(self):
        self.stop()
        self._log.close()

    def log(self):
        return (self.state / "provider.log").read_text(errors="replace")

    # What arrived from the machine that signs people in, the browser's own requests left out

    def machine_requests(self):
        """Paths in order, without those that only a browser asks for."""
        return [line["path"] for line in self.control.log() if not _is_a_page(line["path"])]

    def handshakes(self):
        return self.control.counters()["tls_handshakes"]


def _is_a_page(path):
    return path == "/device" or path.startswith(("/device/", "/interaction/", "/auth/")) \
        and path != "/device/auth"


class _Inside:
    """An object whose methods are called in the sandbox's network."""

    def __init__(self, target, call):
        self._target = target
        self._call = call

    def __getattr__(self, name):
        method = getattr(self._target, name)
        return lambda *arguments, **named: self._call(method, *arguments, **named)
