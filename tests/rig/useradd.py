"""Machines where useradd(8) makes the accounts."""

import contextlib

from . import product
from .machine import Machine

CONFIG = {**product.ID_TOKEN, "provisioning": "useradd"}
# Keys outside home directories too: an account that has none yet may be opened by one of these.
KEYS = "/etc/ssh/keys"
SSHD = {"AuthorizedKeysFile": f"{KEYS}/%u .ssh/authorized_keys"}
USERADD = "/usr/sbin/useradd"


class UseraddMachine(Machine):
    def __init__(self, release, **changes):
        super().__init__(release, config={**CONFIG, **changes}, enabled=False, sshd=SSHD)
        self.sandbox.run("pam-auth-update --package --disable oauth2 --enable oauth2-local")
        product.enable(self.sandbox)

    def passwd_line(self, name):
        lines = self.sandbox.read("/etc/passwd").splitlines()
        return next((line for line in lines if line.startswith(name + ":")), None)

    def expiry(self, name):
        """The account's own day of expiry, as shadow(5) has it."""
        return self.sandbox.output(["getent", "shadow", name]).strip().split(":")[7]

    def give_key(self, name):
        """A key of this person outside the home directory."""
        self.sandbox.write(f"{KEYS}/{name}", self.sandbox.read(product.ROOT_KEY + ".pub"))

    def key_opens(self, name):
        return self.person.key_login(name, product.ROOT_KEY).status == 0

    def ctl(self, command):
        return self.sandbox.output(f"oauth2ctl {command}")

    @contextlib.contextmanager
    def useradd(self, script):
        """Another useradd meanwhile: a shell script, which finds the real one as $real."""
        real = USERADD + ".real"
        self.sandbox.run(["mv", USERADD, real])
        self.sandbox.write(USERADD, f"#!/bin/sh\nreal={real}\n{script}\n", 0o755)
        try:
            yield
        finally:
            self.sandbox.run(["mv", real, USERADD])
