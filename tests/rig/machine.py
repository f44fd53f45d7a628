"""One machine of the tests: a sandbox with the product set up, sshd, and a provider beside it."""

import re

from . import authlog, product
from .patience import wait_until
from .provider import Provider
from .sandbox import Sandbox
from .ssh_client import Person
from .traces import Traces


class Machine:
    """`config=None` leaves the product unconfigured; `provider=None` starts no provider.

    With `enabled` the administrator has said `oauth2ctl enable sshd`; without `switched_on` not even
    the PAM profile and the word in nsswitch.conf are there. `installed` is True for `make install`,
    "packages" for the Debian packages, False for a machine without the product.
    """

    provider_type = Provider
    person_type = Person
    sandbox_type = Sandbox

    alive = []
    post_mortem = []  # (release, log) of machines that a failing test has closed

    def __init__(self, release, config=product.ID_TOKEN, enabled=True, provider=(), sshd=(),
                 installed=True, own_network=True, switched_on=True):
        layers = _layers(release, installed, switched_on, self.sandbox_type.below(release))
        self.sandbox = self.sandbox_type(release, layers=layers, own_network=own_network)
        self.provider = None
        Machine.alive.append(self)
        try:
            self._set_up(config, enabled, provider, dict(sshd))
        except BaseException:
            self.close()
            raise

    def _set_up(self, config, enabled, provider, sshd):
        self.sandbox.write("/etc/hosts", "127.0.0.1 localhost sandbox idp.test\n")
        product.prepare(self.sandbox)
        if provider is not None:
            self.provider = self.provider_type(self.sandbox, **dict(provider))
        if config is not None:
            product.configure(self.sandbox, config, self.provider and self.provider.ca)
            if enabled:
                product.enable(self.sandbox)
        self.sandbox.start_sshd(**sshd)
        self._idle = self.sandbox.processes()
        self.person = self.person_type(self.sandbox, self.provider)

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        if failure:
            Machine.post_mortem.append((self.sandbox.release, self.sandbox.log()))
        self.close()

    def close(self):
        """Does nothing the second time: a failing run closes machines before their fixtures do."""
        if self not in Machine.alive:
            return
        Machine.alive.remove(self)
        if self.provider:
            self.provider.close()
        self.sandbox.stop()

    # Questions

    def resolves(self, name, user=None):
        """What getpwnam says in a process that is not sshd, or None."""
        ask = "import pwd, sys; print(':'.join(map(str, pwd.getpwnam(sys.argv[1]))))"
        done = self.sandbox.run(["python3", "-c", ask, name], user=user, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
        assert "KeyError" in done.stderr, done.stderr
        return None

    def uid_of(self, name):
        return int(self.sandbox.output(["id", "-u", "--", name]))

    def store(self, query):
        """A query to the live store, which only root may open."""
        return self.sandbox.output(["sqlite3", product.STORE, query])

    def published(self, query):
        return self.sandbox.output(["sqlite3", product.PUBLISHED, query])

    def watch(self):
        return Watch(self)

    def traces(self):
        return Traces(self.sandbox, self._idle)


def _layers(release, installed, switched_on, below):
    bare = [product.bare_layer(release, below), *below]
    if not installed:
        return bare
    if installed == "packages":
        return [product.packages_layer(release, below), *bare]
    return [(product.product_layer if switched_on else product.files_layer)(release, below), *bare]


class Watch:
    """What happened since this was made: log lines, and requests to the provider."""

    def __init__(self, machine):
        self._machine = machine
        self._start = len(machine.sandbox.log())
        if machine.provider:
            machine.provider.control.reset()

    def log(self):
        return self._machine.sandbox.log()[self._start:]

    def verdicts(self, phase="auth"):
        return authlog.verdicts(self.log(), phase)

    def one_verdict(self, result, *reasons):
        """Waits for the log line of a login and checks that it is the only one."""
        wait_until(self.verdicts, lambda: f"a log line with a result; the log:\n{self.log()}")
        found = self.verdicts()
        assert len(found) == 1, f"{len(found)} lines for one login: {[line.text for line in found]}"
        line = found[0]
        assert line.fields["result"] == result, line.text
        if reasons:
            assert line.fields.get("reason") in reasons, line.text
        return line

    def wait_for(self, pattern):
        return wait_until(lambda: re.search(pattern, self.log()), lambda: f"{pattern!r} in:\n{self.log()}")

    def requests(self):
        return self._machine.provider.machine_requests()

    def assert_no_network(self):
        counters = self._machine.provider.control.counters()
        assert counters["tcp_connections"] == 0, counters
