"""A machine that has the product's files and nothing else, and `oauth2ctl setup` on it."""

import json
import shlex

from .machine import Machine
from .patience import wait_until

CA = "/srv/idp-ca.pem"
ISSUER = "https://idp.test:8443"
ANSWERS = (
    f"setup oidc --issuer {ISSUER} --client-id linux-login --ca-file {CA}"
    " --scope 'openid profile groups' --first-login '*'"
)
JOURNAL = "/var/lib/pam_oauth2_device/private/undo/setup.json"

# Every file with its mode, owner, time and hash. Logs grow, and debconf notes what it was asked.
FILES = (
    "find /etc /var ! -path '/var/log/*' ! -path '/var/cache/*' \\( -type f -o -type l -o -type d \\)"
    " -printf '%p %y %m %U %G %l\\n' | sort; "
    "find /etc /var ! -path '/var/log/*' ! -path '/var/cache/*' -type f -print0 | sort -z | xargs -0 sha256sum"
)
TIMES = "find /etc /var ! -path '/var/log/*' -type f -printf '%p %T@ %C@\\n' | sort"


class SetupMachine(Machine):
    def __init__(self, release="bookworm", sshd=(), **options):
        super().__init__(release, config=None, enabled=False, switched_on=False, sshd=sshd, **options)
        if self.provider:
            self.sandbox.write(CA, self.provider.ca.read_text())

    def ctl(self, line, check=True, **options):
        return self.sandbox.run(["oauth2ctl", *shlex.split(line)], check=check, **options)

    def set_up(self, more="", check=True, **options):
        """The whole setup, without a question."""
        return self.ctl(f"{ANSWERS} --non-interactive {more}", check, **options)

    def set_up_json(self, more="", check=True):
        return json.loads(self.set_up(f"--json {more}", check).stdout)

    def files(self):
        return self.sandbox.output(FILES).splitlines()

    def times(self):
        return self.sandbox.output(TIMES).splitlines()

    def assert_untouched(self, before):
        now = self.files()
        assert now == before, sorted(set(now) ^ set(before))

    def reload_sshd(self):
        """What systemd would do."""
        stamp = "stat -c %z /run/sshd.pid"
        before = self.sandbox.output(stamp)
        self.sandbox.run("kill -HUP $(cat /run/sshd.pid)")

        def is_back():
            now = self.sandbox.run(f"{stamp} && test -s /run/sshd.pid", check=False)
            return now.returncode == 0 and now.stdout.strip() != before

        wait_until(is_back, "sshd to be back")
