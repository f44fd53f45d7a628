"""A machine whose root is really booted: systemd is process 1, with dbus, logind, journald and ssh.service."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
from pathlib import Path

from .namespaces import cgroups
from .patience import wait_until
from .sandbox import ENVIRONMENT, HERE, CommandFailed, Sandbox
from .setup import SetupMachine

BOOT = 60  # seconds, on a machine that is busy with other things
# Beside Debian's own sshd_config, which stays as it is.
SSHD = "/etc/ssh/sshd_config.d/00-rig.conf"
# What systemd itself goes on writing.
SYSTEMD_STATE = ("/var/lib/systemd", "/var/tmp", "/etc/machine-id", "/etc/.updated", "/var/.updated", "/etc/resolv.conf")


@functools.cache
def booted_layer(release):
    made = subprocess.run([HERE / "make-booted", release], stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.strip())


class BootedSandbox(Sandbox):
    """A sandbox in two shells: namespaces that stay, and in them, by systemd-nspawn, the machine that boots and ends.

    `pid` is systemd's.
    """

    @classmethod
    def below(cls, release):
        return (booted_layer(release),)

    def _start(self, own_network):
        assert own_network, "a booted machine has a network of its own"
        if not shutil.which("systemd-nspawn"):
            raise CommandFailed("systemd-nspawn is missing: run tests/setup")
        self.console = self.directory / "console.log"
        self._nspawn = None
        try:
            self._cgroup = cgroups() / self.directory.name
            self._cgroup.mkdir()
        except (OSError, subprocess.CalledProcessError) as error:
            raise CommandFailed(f"systemd cannot be booted here, for want of control groups: {error}") from error
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL",
             "unshare", "--mount", "--pid", "--net", "--cgroup", "--fork", "--kill-child", "--mount-proc",
             HERE / "booted-init.sh"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
            preexec_fn=self._enter_cgroup,
        )
        if self._holder.stdout.readline() != "ready\n":
            self._holder.kill()
            why = self._holder.stderr.read()
            self._end()
            raise CommandFailed(f"systemd cannot be booted here, for want of namespaces:\n{why}")
        try:
            self.boot()
        except BaseException:
            self._end()
            raise

    def _enter_cgroup(self):
        (self._cgroup / "cgroup.procs").write_text(str(os.getpid()))

    def inside(self, *argv, user=None):
        """Beside systemd in its control groups, too: logind refuses whom it cannot place in them."""
        place = self._cgroup / "payload/init.scope/cgroup.procs"
        enter = super().inside(*argv, user=user)
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(place), enter[0], "--cgroup", *enter[1:]]

    # Power

    def boot(self):
        holder = _only_child(self._holder.pid)
        with open(self.console, "ab") as console:
            self._nspawn = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL",
                 "nsenter", "--target", str(holder), "--mount", "--pid", "--net", "--cgroup", "--",
                 "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", f"--directory={self.root}",
                 "--machine=sandbox", "--network-namespace-path=/proc/self/ns/net", "--resolv-conf=off", "--timezone=off",
                 "--link-journal=no", "--capability=CAP_NET_ADMIN", "systemd.show_status=yes"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=ENVIRONMENT, preexec_fn=self._enter_cgroup,
            )
        self.pid = wait_until(self._find_systemd, lambda: f"systemd to start:\n{self._console()}", BOOT)
        wait_until(self._is_up, lambda: f"systemd to be up:\n{self._console()}", BOOT)

    def _find_systemd(self):
        if self._nspawn.poll() is not None:
            raise CommandFailed(f"systemd-nspawn cannot boot a machine here:\n{self._console()}")
        nspawn = _only_child(self._nspawn.pid)
        leader = nspawn and _only_child(nspawn)
        return leader if leader and _name(leader) == "systemd" else None

    def _is_up(self):
        if self._nspawn.poll() is not None:
            raise CommandFailed(f"the machine ended while it booted:\n{self._console()}")
        return self.run(["systemctl", "is-system-running"], check=False).stdout.strip() in ("running", "degraded")

    def cut_power(self):
        """Every process ends at one moment, and /run and /tmp are gone."""
        if self._nspawn and self._nspawn.poll() is None:
            nspawn = _children(self._nspawn.pid)
            for pid in [*(leader for pid in nspawn for leader in _children(pid)), *nspawn]:
                _kill(pid)
            self._nspawn.wait(30)

    def reboot(self):
        self.cut_power()
        self.boot()

    def _end(self):
        self.cut_power()
        super()._end()
        wait_until(self._remove_cgroup, "the last process to be gone")

    def _remove_cgroup(self):
        try:
            for directory, _, _ in os.walk(self._cgroup, topdown=False):
                os.rmdir(directory)
        except OSError:
            return False
        return True

    def freeze(self):
        raise NotImplementedError("a booted machine is no layer for others")

    # Words

    def _console(self):
        return self.console.read_text(errors="replace")[-6000:]

    def log(self):
        """The journal since the machine was booted."""
        done = self.run(["journalctl", "--boot", "--quiet", "--no-pager", "--output=short-precise"], check=False)
        return done.stdout if done.returncode == 0 else self._console()

    # sshd

    def start_sshd(self, port=22, **options):
        """Debian's sshd_config and ssh.service; options are keywords that come before its own."""
        assert port == 22
        settings = {"PermitRootLogin": "yes", "LogLevel": "VERBOSE", "MaxStartups": "100"}
        if self.release != "bookworm":
            settings["PerSourcePenalties"] = "no"
        lines = [f"{key} {value}" for key, value in {**settings, **options}.items()]
        self.write(SSHD, "\n".join(lines) + "\n")
        with self.sshd_reads_again():
            self.run("systemctl reload ssh")
        self.let_ssh_know_the_host(port)
        self.sshd_port = port

    def stop_sshd(self):
        self.run("systemctl stop ssh")

    @contextlib.contextmanager
    def sshd_reads_again(self):
        """A reload has sent a signal when it returns; sshd listens anew a moment later."""
        start = len(self.log())
        yield
        wait_until(lambda: "Server listening on 0.0.0.0" in self.log()[start:], "sshd to listen again")


class BootedMachine(SetupMachine):
    """As it is after `make install`: what follows is `oauth2ctl setup`."""

    sandbox_type = BootedSandbox

    def files(self):
        return [line for line in super().files() if not any(place in line for place in SYSTEMD_STATE)]

    def set_up(self, more="", check=True, **options):
        with self.sandbox.sshd_reads_again():
            return super().set_up(more, check, **options)

    def systemctl(self, line, check=True):
        return self.sandbox.run(f"systemctl {line}", check=check).stdout.strip()


def _children(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _only_child(pid):
    children = _children(pid)
    return children[0] if len(children) == 1 else None


def _name(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
