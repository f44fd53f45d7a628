"""The name service modules that ours is compared with, as Debian's packages bring them, and sssd with its cache filled."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from rig.patience import wait_until
from rig.sandbox import ENVIRONMENT, Sandbox, base_root

RELEASE = "bookworm"
PACKAGES = "sssd-common sssd-proxy libnss-sss libnss-cache libnss-extrausers"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
MODULES = {"sss": f"{LIBRARIES}/libnss_sss.so.2", "cache": f"{LIBRARIES}/libnss_cache.so.2",
           "extrausers": "/usr/lib/libnss_extrausers.so.2"}
SCRATCH = Path(__file__).resolve().parents[2] / "target" / "bench"
# In a mount namespace of its own: the people stand in /etc/passwd and /etc/group there.
LARGE_ETC = "mount --bind /srv/people/passwd /etc/passwd && mount --bind /srv/people/group /etc/group"

# A memory cache that holds everything that is asked for, for as long as the run takes.
SSSD = """\
[sssd]
services = nss
domains = people
[nss]
filter_users = root
filter_groups = root
memcache_timeout = 36000
memcache_size_passwd = 64
memcache_size_group = 64
memcache_size_initgroups = 64
entry_negative_timeout = 3600
entry_cache_nowait_percentage = 0
[domain/people]
id_provider = proxy
proxy_lib_name = files
auth_provider = none
access_provider = permit
cache_credentials = false
enumerate = false
entry_cache_timeout = 360000
min_id = 1000
"""


def layer():
    """The packages as a layer over the rig's Debian root; made once for each root and list of packages."""
    made = SCRATCH / ("peers-" + hashlib.sha256(f"{base_root(RELEASE).name} {PACKAGES}".encode()).hexdigest()[:12])
    if not made.is_dir():
        print(f"installing {PACKAGES} into a scratch root (once)", flush=True)
        half = made.with_name(f".{made.name}")
        shutil.rmtree(half, ignore_errors=True)
        SCRATCH.mkdir(parents=True, exist_ok=True)
        # Whiteouts and the marks of opaque directories are part of a layer: cp -a keeps them.
        subprocess.run(["cp", "-a", _install(), half], check=True)
        half.rename(made)
    return made


def _install():
    sandbox = Sandbox(RELEASE, own_network=False)
    shutil.copyfile("/etc/resolv.conf", sandbox.path("/etc/resolv.conf"))
    # The root's policy-rc.d lets no package start a service.
    apt = "apt-get -qq -o APT::Sandbox::User=root"
    sandbox.run(f"{apt} update && {apt} install -y --no-install-recommends {PACKAGES} && apt-get clean", timeout=600)
    sandbox.run("rm -rf /var/lib/apt/lists/* /etc/resolv.conf")
    for module in MODULES.values():
        if not sandbox.path(module).is_file():
            raise AssertionError(f"the packages brought no {module}")
    return sandbox.freeze()


def versions(sandbox):
    listed = sandbox.output(f"dpkg-query -W -f '${{Package}} ${{Version}}\\n' libc6 {PACKAGES}")
    return dict(line.split() for line in listed.splitlines())


class Sssd:
    """sssd in the foreground, for as long as the sandbox runs. Its backend reads the people's files; nobody else does."""

    def __init__(self, sandbox):
        sandbox.write("/etc/sssd/sssd.conf", SSSD, 0o600)
        self._log = sandbox.directory / "sssd.log"
        script = f"{LARGE_ETC} && mkdir -p /run/dbus && exec /usr/sbin/sssd -i --logger=stderr"
        with open(self._log, "wb") as log:
            self._process = sandbox.popen(["unshare", "--mount", "bash", "-c", script], env=ENVIRONMENT,
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: self._answers(sandbox), self._complaint, timeout=60)

    def _answers(self, sandbox):
        if self._process.poll() is not None:
            raise AssertionError(self._complaint())
        return sandbox.succeeds("getent -s sss passwd heavy")

    def _complaint(self):
        return "sssd to answer:\n" + self._log.read_text(errors="replace")[-2000:]
