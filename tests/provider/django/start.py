"""Serves the second test provider over TLS until its standard input ends:

    start.py --state DIR [--host idp.test] [--listen 127.0.0.1:8443] [--interval 5] [--id-token]

It prints "ready" when it listens. DIR is new and then holds ca.pem (trust this) and db.sqlite3. Standard
error has one line per request: seconds on the monotonic clock, method, path, status.
"""

import argparse
import os
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import django
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

MAKE_CERTS = Path(__file__).resolve().parents[1] / "make-certs.sh"


def main():
    arguments = parse()
    state = Path(arguments.state)
    make_keys(state, arguments.host)
    address, port = arguments.listen.rsplit(":", 1)
    os.environ.update(
        DJANGO_SETTINGS_MODULE="settings",
        PROVIDER_STATE=str(state),
        PROVIDER_ISSUER=f"https://{arguments.host}:{port}",
        PROVIDER_INTERVAL=str(arguments.interval),
        PROVIDER_ID_TOKEN="yes" if arguments.id_token else "no",
    )
    django.setup()
    fill_database()
    server = TlsServer((address, int(port)), state)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", required=True)
    parser.add_argument("--host", default="idp.test")
    parser.add_argument("--listen", default="127.0.0.1:8443")
    parser.add_argument("--interval", type=int, default=5)
    parser.add_argument("--id-token", action="store_true")
    return parser.parse_args()


def make_keys(state, host):
    subprocess.run([MAKE_CERTS, state, host], check=True)
    key = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    subprocess.run([*key, "-out", state / "signing.pem"], check=True, stderr=subprocess.DEVNULL)


def fill_database():
    call_command("migrate", run_syncdb=True, verbosity=0)
    import clients  # its models exist only after django.setup()
    clients.register()


class TlsServer(ThreadedWSGIServer):
    def __init__(self, address, state):
        super().__init__(address, LoggedRequest)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(state / "server.pem", state / "server.key")
        # The handshake is left to the connection's own thread: one that stalls must not stop the others.
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.set_app(get_wsgi_application())


class LoggedRequest(WSGIRequestHandler):
    def get_environ(self):
        return {**super().get_environ(), "HTTPS": "on"}

    def log_message(self, text, *arguments):
        if not hasattr(self, "path"):  # no request came of this connection
            return
        status = arguments[1] if len(arguments) > 1 else "-"
        path = self.path.partition("?")[0]
        print(f"{time.monotonic():.3f} {self.command} {path} {status}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
