"""Starts the test provider as a child process and stops it again."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from rig.browser import Browser, Control  # noqa: E402

HOST = "idp.test"


class ProviderProcess:
    """with ProviderProcess(state_dir) as idp: ...

    state_dir    where certificates, accounts.json and provider.log live; None makes one to throw away
    listen, control   loopback addresses; port 0 takes a free one
    interval, device_ttl   seconds
    node         the Node.js to use; default is $NODE, else `node`

    Attributes once started: issuer, host, port, ca_file, unknown_ca_file, control, browser.
    """

    def __init__(self, state_dir=None, listen="127.0.0.1:0", control="127.0.0.1:0",
                 interval=1, device_ttl=600, node=None):
        self._scratch = None if state_dir else tempfile.TemporaryDirectory(prefix="idp-")
        self.state_dir = pathlib.Path(state_dir or self._scratch.name)
        self.ca_file = str(self.state_dir / "ca.pem")
        self.unknown_ca_file = str(self.state_dir / "unknown-ca.pem")
        self._process = None
        self._command = [
            node or os.environ.get("NODE", "node"), str(HERE / "provider.mjs"), "--exit-with-stdin",
            "--state", str(self.state_dir), "--host", HOST, "--listen", listen, "--control", control,
            "--interval", str(interval), "--device-ttl", str(device_ttl),
        ]

    def start(self):
        self.state_dir.mkdir(parents=True, exist_ok=True)
        log_path = self.state_dir / "provider.log"
        with open(log_path, "ab") as log:
            # Standard input stays open as long as this process lives: the provider ends with it.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        if self._process.stdout.readline() != "ready\n":
            self.stop()
            raise RuntimeError(f"the provider did not start:\n{log_path.read_text()}")
        urls = json.loads((self.state_dir / "urls.json").read_text())
        self.issuer = urls["issuer"]
        self.host = HOST
        self.port = int(self.issuer.rsplit(":", 1)[1])
        self.control = Control(urls["control"])
        self.browser = Browser(self.ca_file, resolve={HOST: "127.0.0.1"})
        return self

    def stop(self):
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None

    def accounts(self, table):
        """Replaces the accounts; accounts.mjs says what an entry may hold."""
        path = self.state_dir / "accounts.json"
        partial = path.with_suffix(".new")
        partial.write_text(json.dumps(table))
        partial.rename(path)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_exception):
        self.stop()
        if self._scratch:
            self._scratch.cleanup()
