"""`proxy`: the provider is reached through it, and only through it."""

import pytest

from rig import product
from rig.machine import Machine
from rig.patience import wait_until

PORT = 3128
LOG = "/var/log/proxy.log"
# The name of the provider is known to the proxy only.
PROXY = f"""
import socket, threading

def pump(source, target):
    while True:
        try:
            piece = source.recv(65536)
        except OSError:
            piece = b""
        if not piece:
            target.shutdown(socket.SHUT_WR) if target.fileno() >= 0 else None
            return
        target.sendall(piece)

def serve(client):
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"):
        head += client.recv(1)
    with open("{LOG}", "ab") as log:
        log.write(head.split(b"\\r\\n")[0] + b"\\n")
    name, port = head.split()[1].decode().rsplit(":", 1)
    assert name == "idp.test", name
    server = socket.create_connection(("127.0.0.1", int(port)))
    client.sendall(b"HTTP/1.1 200 Go\\r\\n\\r\\n")
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)

with socket.create_server(("127.0.0.1", {PORT})) as listener:
    open("{LOG}", "x").close()
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


@pytest.fixture
def machine(release):
    config = {**product.ID_TOKEN, "proxy": f"http://127.0.0.1:{PORT}"}
    with Machine(release, config=config) as ready:
        hosts = ready.sandbox.read("/etc/hosts").replace(" idp.test", "")
        ready.sandbox.write("/etc/hosts", hosts)
        yield ready


def test_the_provider_is_reached_through_the_proxy_and_not_without_it(machine):
    machine.sandbox.write("/srv/proxy.py", PROXY)
    proxy = machine.sandbox.output("python3 /srv/proxy.py >/dev/null 2>&1 & echo $!")
    try:
        wait_until(lambda: machine.sandbox.succeeds(f"test -e {LOG}"), "the proxy")
        assert machine.person.first_login("ann").status == 0
    finally:
        machine.sandbox.run(["kill", proxy])
    asked = set(machine.sandbox.read(LOG).splitlines())
    assert asked == {"CONNECT idp.test:8443 HTTP/1.1"}
    watch = machine.watch()
    with machine.person.ssh("ann", "true") as terminal:
        terminal.shows("cannot be reached|(?i:password:)", timeout=30)
    watch.one_verdict("unavailable", "provider_unreachable")
    watch.assert_no_network()
