"""Programs of other packages beside the product: nscd, systemd-userdbd, and systemd's own test of NSS modules.

None of them is installed: nscd conflicts with our package, and systemd does not run in a sandbox. `make-beside` unpacks
them, and a sandbox gets the files it needs."""

import contextlib
import functools
import json
import shutil
import subprocess
from pathlib import Path

from .patience import wait_until

HERE = Path(__file__).resolve().parent
NSCD = "/usr/sbin/nscd"
NSCD_SOCKET = "/run/nscd/socket"
USERDBD = "/usr/lib/systemd/systemd-userdbd"
LIBRARIES = "/opt/beside"
MULTIPLEXER = "/run/systemd/userdb/io.systemd.Multiplexer"

NSCD_CONF = """server-user root
paranoia no
enable-cache passwd {passwd}
enable-cache group {passwd}
enable-cache hosts no
enable-cache services no
enable-cache netgroup no
positive-time-to-live passwd 600
negative-time-to-live passwd 600
positive-time-to-live group 600
negative-time-to-live group 600
check-files passwd yes
check-files group yes
persistent passwd no
persistent group no
"""


@functools.cache
def _unpacked(release):
    made = subprocess.run([HERE / "make-beside", release], stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.strip())


def _bring_libraries(sandbox):
    """Those that a root lacks, where only the programs of this file look for them."""
    place = sandbox.path(LIBRARIES)
    place.mkdir(parents=True, exist_ok=True)
    for path in _unpacked(sandbox.release).rglob("lib*.so*"):
        if path.is_file() and not path.name.startswith("libnss_"):
            shutil.copy2(path, place)  # what a link leads to, under its name


def _bring(sandbox, *names):
    """Copies files whose paths end in `names` to where their package would put them."""
    for name in names:
        found = [path for path in _unpacked(sandbox.release).rglob(Path(name).name)
                 if path.match(name) and path.is_file() and not path.is_symlink()]
        assert found, f"none of the packages has {name}"
        for path in found:
            inside = "/" + str(path.relative_to(_unpacked(sandbox.release)))
            # /lib is a link inside, which copying through the plain path would replace.
            inside = "/usr" + inside if inside.startswith(("/lib/", "/sbin/", "/bin/")) else inside
            place = sandbox.path(inside)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


@contextlib.contextmanager
def _running(sandbox, argv, ready, environment=()):
    process = sandbox.popen(["env", *environment, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: sandbox.succeeds(["test", "-S", ready]), f"{argv[0]} to listen")
        yield process
    finally:
        sandbox.run(["pkill", "-x", Path(argv[0]).name[:15]], check=False)
        process.wait(30)
        sandbox.run(["rm", "-f", ready])


@contextlib.contextmanager
def nscd(sandbox, passwd="yes"):
    """A real nscd that caches people and groups, or neither."""
    _bring(sandbox, "sbin/nscd")
    sandbox.write("/etc/nscd.conf", NSCD_CONF.format(passwd=passwd))
    sandbox.run("mkdir -p /run/nscd /var/cache/nscd /var/db/nscd")
    with _running(sandbox, [NSCD, "--foreground"], NSCD_SOCKET):
        yield
    sandbox.run(["rm", NSCD, "/etc/nscd.conf"])


@contextlib.contextmanager
def userdbd(sandbox):
    """A real systemd-userdbd, which answers for the name service over Varlink; no systemd is running."""
    _bring(sandbox, "systemd/systemd-userdbd", "systemd/systemd-userwork", "bin/userdbctl")
    _bring_libraries(sandbox)
    # Without an id of the machine systemd reads no record of a user.
    sandbox.write("/etc/machine-id", "0123456789abcdef" * 2 + "\n", 0o444)
    sandbox.run("mkdir -p /run/systemd/userdb")
    with _running(sandbox, [USERDBD], MULTIPLEXER, [f"LD_LIBRARY_PATH={LIBRARIES}"]):
        yield


def userdb_record(sandbox, name):
    """What userdbd says about a login name when it asks the name service, or None."""
    argv = ["env", f"LD_LIBRARY_PATH={LIBRARIES}", "userdbctl", "--service=io.systemd.NameServiceSwitch", "--json=short", "user", name]
    done = sandbox.run(argv, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def run_test_nss_users(sandbox, *names):
    """Ends with an error where one of systemd's assertions about the module does not hold."""
    _bring(sandbox, "test-nss-users")
    _bring_libraries(sandbox)
    program = sandbox.output("ls /usr/lib/systemd/tests/test-nss-users /usr/lib/systemd/tests/*/test-nss-users", check=False)
    return sandbox.run(["env", f"LD_LIBRARY_PATH={LIBRARIES}", program, "oauth2", *map(str, names)])
