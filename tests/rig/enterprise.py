"""A machine set up as Enterprise Linux is where the packages look: authselect, its profile `local`, /usr/lib64, the includes of
the service files. Below that it stays Debian: libpam, libc, sshd."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from . import product
from .machine import Machine
from .namespaces import workspace
from .setup import SetupMachine

PACKAGES = ("pam-oauth2", "nss-oauth2", "oauth2ctl", "pam-oauth2-selinux")
PAM_MODULE = "/usr/lib64/security/pam_oauth2_device.so"
VENDOR = "/usr/share/authselect/vendor/oauth2"
SELECTED = "local with-faillock"

_HERE = Path(__file__).resolve().parent
_DEBIAN = "/usr/lib/x86_64-linux-gnu"
_SSHD = """\
auth       substack     password-auth
auth       include      postlogin
account    required     pam_nologin.so
account    include      password-auth
password   include      password-auth
session    required     pam_loginuid.so
session    optional     pam_keyinit.so force revoke
session    include      password-auth
session    include      postlogin
"""
# So that a scriptlet of the packages can be watched.
_NOTES = "/var/log/noted-commands"
_NOTING = f'#!/bin/sh\necho "${{0##*/}} $*" >>{_NOTES}\n'


class EnterpriseMachine(SetupMachine):
    """`installed` says whether the packages are; the profile is never selected by them."""

    def __init__(self, installed=True):
        Machine.__init__(self, "bookworm", config=None, enabled=False, installed=False)
        _make(self.sandbox)
        self.sandbox.write("/srv/idp-ca.pem", self.provider.ca.read_text())
        if installed:
            self.rpm("--install", *packages())

    def rpm(self, *arguments, check=True):
        """rpm(8) with this machine as its root; the scriptlets run in there."""
        root = self.sandbox.root
        script = f"mount -t proc proc {root}/proc && exec \"$@\""
        command = ["unshare", "--mount", "bash", "-c", script, "rpm", "rpm", "--root", root, "--nodeps", *arguments]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=environment, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def version_of(self, package):
        command = ["rpm", "--root", self.sandbox.root, "--query", "--queryformat", "%{version}-%{release}", package]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout

    def selected(self):
        return self.sandbox.output("authselect current --raw")

    def noted(self):
        """What scriptlets called, since the last time this was asked."""
        path = self.sandbox.path(_NOTES)
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def set_up_by_hand(self, config=product.ID_TOKEN):
        product.configure(self.sandbox, config, self.provider.ca)
        product.prepare(self.sandbox)
        self.sandbox.run("oauth2ctl store migrate && oauth2ctl enable pam && oauth2ctl enable sshd --no-drop-in")


def packages(directory=product.REPOSITORY / "dist"):
    found = {path.name.rsplit("-", 2)[0]: path for path in directory.glob("*.rpm") if ".src." not in path.name}
    if not found.keys() >= set(PACKAGES):
        raise AssertionError(f"packages are missing in {directory}: run `make rpm`")
    return [found[name] for name in PACKAGES]


def newer_packages():
    """The same objects under a higher release, as an upgrade brings them."""
    made = workspace() / "newer"
    command = ["make", "--no-print-directory", "-C", product.REPOSITORY, "-o", "build", "rpm", "RPM_DIST=.1",
               f"RPM_TREE={workspace()}/rpm", f"RPM_OUT={made}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout
    return packages(made)


def without_us(template):
    """A template of our profile as it would be without our lines: what authselect's own profile `local` says."""
    lines = [line for line in template.splitlines(keepends=True)
             if "pam_oauth2_device" not in line and "with-local-sign-in" not in line]
    return re.sub(r" oauth2( \[SUCCESS=merge\])?", "", "".join(lines))


def _make(sandbox):
    shutil.copy(_HERE / "authselect", sandbox.path("/usr/bin/authselect"))
    os.unlink(sandbox.path("/usr/sbin/pam-auth-update"))
    for template in (product.REPOSITORY / "rpm/authselect").iterdir():
        sandbox.write(f"/usr/share/authselect/default/local/{template.name}", without_us(template.read_text()))
    for name in ("semodule", "load_policy", "restorecon", "selinuxenabled"):
        sandbox.write(f"/usr/sbin/{name}", _NOTING, 0o755)
    # Where the loader and libpam of Enterprise Linux look.
    for name in ("security/pam_oauth2_device.so", "security/pam_oauth2.so", "libnss_oauth2.so.2"):
        os.symlink(f"/usr/lib64/{name}", sandbox.path(f"{_DEBIAN}/{name}"))
    for phase in ("auth", "account", "password", "session", "session-noninteractive"):
        include = "substack" if phase == "auth" else "include"
        sandbox.write(f"/etc/pam.d/common-{phase}", f"{phase.split('-')[0]} {include} system-auth\n")
    sandbox.write("/etc/pam.d/sshd", _SSHD)
    sandbox.run(f"authselect select {SELECTED} --force")
