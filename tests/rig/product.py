"""Puts the built product and the people of the tests into sandboxes."""

import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from .namespaces import workspace
from .sandbox import Sandbox

REPOSITORY = Path(__file__).resolve().parents[2]

CONFIG_DIR = "/etc/pam_oauth2_device"
CONFIG = f"{CONFIG_DIR}/config.json"
CA = f"{CONFIG_DIR}/ca.pem"
STATE = "/var/lib/pam_oauth2_device"
STORE = f"{STATE}/private/store.db"
PARAMETERS = f"{STATE}/private/first-login"
PUBLISHED = f"{STATE}/nss.db"
PACKAGES = ("libpam-oauth2", "libnss-oauth2", "oauth2ctl")
MODULE = "/usr/lib/x86_64-linux-gnu/security/pam_oauth2_device.so"

LOCAL_PASSWORD = "local-Secret-1"
ROOT_PASSWORD = "root-Secret-1"
ROOT_KEY = "/srv/key"

ID_TOKEN = {
    "client_id": "linux-login",
    "issuer": "https://idp.test:8443",
    "ca_file": CA,
    "scope": "openid profile groups",
    "provisioning": "store",
    "first_login": ["*"],
    "group_map": {"3f1c-staff": "idp-staff"},
    "login_grace": 120,
}
INTROSPECTION = {
    **ID_TOKEN,
    "client_id": "linux-login-secret",
    "client_secret": "linux-login-test-secret",
    "validation": "introspection",
}


@functools.cache
def staged():
    """One `make install` into a directory of the run's own, as a package build would do it.

    RIG_STAGE names a directory already installed into, to test a build from elsewhere.
    """
    if "RIG_STAGE" in os.environ:
        return Path(os.environ["RIG_STAGE"])
    stage = workspace() / "stage"
    command = ["make", "--no-print-directory", "-C", str(REPOSITORY), "install", f"DESTDIR={stage}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError("`make install` failed (is the product built?):\n" + done.stdout)
    return stage


@functools.cache
def bare_layer(release, below=()):
    """A layer with local people and no product, over the base root and the layers `below`."""
    sandbox = Sandbox(release, layers=below)
    _add_local_people(sandbox)
    return sandbox.freeze()


@functools.cache
def product_layer(release, below=()):
    """The layer with the product installed by hand, as the README says, but not configured."""
    sandbox = Sandbox(release, layers=[bare_layer(release, below), *below])
    install(sandbox)
    return sandbox.freeze()


@functools.cache
def files_layer(release, below=()):
    """A layer with the product's files alone: neither PAM nor the name service has heard of it."""
    sandbox = Sandbox(release, layers=[bare_layer(release, below), *below])
    install(sandbox, switched_on=False)
    return sandbox.freeze()


@functools.cache
def packages_layer(release, below=()):
    """The layer with the packages of `make deb` installed by apt, but not configured."""
    sandbox = Sandbox(release, layers=[bare_layer(release, below), *below])
    install_packages(sandbox)
    return sandbox.freeze()


def packages(version=None):
    """The newest packages in dist/, or those of a version."""
    found = [REPOSITORY.glob(f"dist/{name}_{version or '*'}_*.deb") for name in PACKAGES]
    newest = [max(some, key=lambda path: path.stat().st_mtime, default=None) for some in map(list, found)]
    if None in newest:
        raise AssertionError("packages are missing in dist/: run `make deb`")
    return newest


def install_packages(sandbox, debs=None, options=""):
    """`apt-get install` as a script runs it: no terminal, no question, no network."""
    place = sandbox.path("/srv/packages")
    place.mkdir(exist_ok=True)
    names = []
    for deb in debs or packages():
        shutil.copy(deb, place)
        names.append(f"/srv/packages/{deb.name}")
    return sandbox.run(f"apt-get install -y --no-install-recommends {options} {' '.join(names)}",
                       timeout=300)


def install(sandbox, switched_on=True):
    # Not cp: a staged /lib must not take the place of the link of that name.
    subprocess.run(
        f"tar -C '{staged()}' --owner=0 --group=0 -c . | "
        f"tar -C '{sandbox.root}' -x --keep-directory-symlink --no-overwrite-dir",
        shell=True, check=True,
    )
    sandbox.run("ldconfig")
    if not switched_on:
        return
    sandbox.run("pam-auth-update --package --enable oauth2")
    text = sandbox.read("/etc/nsswitch.conf")
    text = re.sub(r"(?m)^((?:passwd|group):\s+files)\b", r"\1 oauth2", text)
    sandbox.write("/etc/nsswitch.conf", text)


def _add_local_people(sandbox):
    sandbox.run("useradd -m -u 1000 -s /bin/bash localu")
    sandbox.run("chpasswd", input=f"localu:{LOCAL_PASSWORD}\nroot:{ROOT_PASSWORD}\n")
    sandbox.write("/etc/sudoers.d/localu", "localu ALL=(ALL) ALL\n", 0o440)
    sandbox.run(
        f"mkdir -m 700 -p ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f {ROOT_KEY}"
        f" && cp {ROOT_KEY}.pub ~/.ssh/authorized_keys"
    )


def prepare(sandbox):
    """What is needed at every start of the machine: /run is empty then."""
    sandbox.run("if ls /usr/lib/tmpfiles.d/*oauth2* >/dev/null 2>&1; then systemd-tmpfiles --create; fi")


def configure(sandbox, config, ca=None):
    """Writes the configuration, and the provider's CA where the configuration names it."""
    sandbox.run(["mkdir", "-p", CONFIG_DIR])
    sandbox.write(CONFIG, json.dumps(config, indent=2), 0o600)
    if ca is not None:
        sandbox.write(CA, Path(ca).read_text(), 0o644)


def enable(sandbox):
    """The steps by hand that make first logins possible. Without our own sshd drop-in: the rig's
    sshd_config says the same."""
    sandbox.run("oauth2ctl store migrate")
    sandbox.run("oauth2ctl config validate")
    sandbox.run("oauth2ctl enable sshd --no-drop-in")


def remove_account_line(sandbox):
    """Takes our account line, and the jump that counts it, out of the stack."""
    path = "/etc/pam.d/common-account"
    lines = sandbox.read(path).splitlines(keepends=True)
    ours = next(n for n, line in enumerate(lines) if "pam_oauth2" in line and line[0] != "#")
    kept = lines[:ours] + lines[ours + 1:]
    if "pam_localuser" in lines[ours - 1]:
        del kept[ours - 1]
    sandbox.write(path, "".join(kept))
