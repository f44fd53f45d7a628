"""A small Debian machine made of namespaces: its own files, processes, network and log."""

import functools
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from .namespaces import in_network_of, workspace
from .patience import wait_until

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "xterm",
    "DEBIAN_FRONTEND": "noninteractive",
}
KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
RELEASES = ("bookworm", "trixie")


class CommandFailed(AssertionError):
    """A command in the sandbox ended with another status than 0."""


@functools.cache
def base_root(release):
    """The debootstrap'd system below every sandbox of a release; made when it is missing."""
    made = subprocess.run(
        [HERE / "make-root", release], stdout=subprocess.PIPE, text=True, check=True
    )
    return Path(made.stdout.strip())


class Sandbox:
    """`layers` lie over the base root, the first one on top; all writes go to a tmpfs.

    `root` is the sandbox's file system as a plain path of the test process (without /proc, /dev
    and /run, which exist only inside).
    """

    def __init__(self, release, layers=(), own_network=True):
        self.release = release
        self.directory = Path(tempfile.mkdtemp(prefix=f"{release}-", dir=workspace()))
        self.upper = self.directory / "upper"
        self.root = self.directory / "root"
        self._executor = None
        self._mount([*map(str, layers), str(base_root(release))])
        self._start(own_network)

    @classmethod
    def below(cls, release):
        """Layers between the base root and what the tests put over it."""
        return ()

    def _mount(self, lower):
        self.directory.chmod(0o755)
        work = self.directory / "work"
        for directory in (self.upper, work, self.root):
            directory.mkdir()
        options = f"lowerdir={':'.join(lower)},upperdir={self.upper},workdir={work}"
        subprocess.run(
            ["mount", "-t", "overlay", "-o", options, "sandbox", self.root], check=True
        )

    def _start(self, own_network):
        network = ["--net"] if own_network else []
        # --pdeathsig and --kill-child: however the tests end, nothing of a sandbox outlives them.
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL",
             "unshare", "--mount", "--pid", "--uts", "--ipc", *network, "--fork", "--kill-child",
             HERE / "sandbox-init.sh", self.root, "own" if own_network else "shared"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=ENVIRONMENT,
        )
        if self._holder.stdout.readline() != "ready\n":
            self._holder.kill()
            raise CommandFailed("the sandbox did not start:\n" + self._holder.stderr.read())
        holder = self._holder.pid
        self.pid = int(Path(f"/proc/{holder}/task/{holder}/children").read_text().split()[0])

    def stop(self):
        self._end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _end(self):
        if self._executor:
            self._executor.shutdown()
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()
        self._holder.stderr.close()
        subprocess.run(["umount", "--lazy", self.root], check=True)

    def running(self):
        return self._holder.poll() is None

    def freeze(self):
        """Ends the sandbox and returns what was written in it, as a layer for others."""
        self._end()
        return self.upper

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # Commands

    def inside(self, *argv, user=None):
        """The host's argv that runs `argv` inside, as `user` (a name or a number) if given."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net",
                 "--pid", "--root", "--wdns=/", "--"]
        if user is not None:
            enter += ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"]
        return [*enter, *map(str, argv)]

    def run(self, command, user=None, check=True, timeout=60, **options):
        """Runs a shell command line (or an argv) and returns it with its output as text."""
        argv = ["/bin/bash", "-c", command] if isinstance(command, str) else command
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            self.inside(*argv, user=user), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=ENVIRONMENT, timeout=timeout, **options,
        )
        if check and done.returncode != 0:
            line = command if isinstance(command, str) else shlex.join(map(str, command))
            raise CommandFailed(f"{line!r} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def output(self, command, **options):
        return self.run(command, **options).stdout.strip()

    def succeeds(self, command, **options):
        return self.run(command, check=False, **options).returncode == 0

    def popen(self, argv, user=None, **options):
        options.setdefault("env", ENVIRONMENT)
        return subprocess.Popen(self.inside(*argv, user=user), **options)

    def in_network(self, function, *arguments, **named):
        """Calls a function of the tests with the sandbox's network in the place of the machine's."""
        return self.network().submit(function, *arguments, **named).result()

    def network(self):
        if self._executor is None:
            self._executor = in_network_of(self.pid)
        return self._executor

    # Files

    def path(self, name):
        """A file of the sandbox as a path of the tests. Do not follow absolute links through it."""
        return self.root / str(name).lstrip("/")

    def read(self, name):
        return self.path(name).read_text(encoding="utf-8", errors="replace")

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def log(self):
        """Everything that was sent to syslog so far, one line per message."""
        return self.read("/var/log/auth.log")

    def files_with(self, text, *directories):
        """Files that hold a text, binary ones too, by name only."""
        found = self.run(["grep", "-rlaF", "--", text, *directories], check=False)
        return found.stdout.splitlines()

    # Processes

    def processes(self):
        """{pid inside: (command name, number of threads)} of every process in the sandbox."""
        lines = self.output("ps -e -o pid=,nlwp=,comm= | grep -vE ' (ps|grep|bash)$'")
        split = [line.split(None, 2) for line in lines.splitlines()]
        return {int(pid): (name, int(threads)) for pid, threads, name in split}

    # sshd

    def start_sshd(self, port=22, **options):
        """Starts sshd as a distribution sets it up; options are sshd_config keywords, None for sshd's own value."""
        settings = {
            "Port": port, "ListenAddress": "127.0.0.1", "PidFile": "/run/sshd.pid",
            "UsePAM": "yes", "KbdInteractiveAuthentication": "yes", "PasswordAuthentication": "yes",
            "PermitRootLogin": "yes", "LogLevel": "VERBOSE", "LoginGraceTime": "120",
            "MaxStartups": "100", "Subsystem": "sftp /usr/lib/openssh/sftp-server", "PrintMotd": "no",
        }
        if self.release != "bookworm":
            # OpenSSH 9.8 and later turn away an address after a few failures: here that is everybody.
            settings["PerSourcePenalties"] = "no"
        settings = {key: options[key] for key in ("Include",) if key in options} | settings | options
        lines = [f"{key} {value}" for key, value in settings.items() if value is not None]
        self.write("/etc/ssh/sshd_config", "\n".join(lines) + "\n")
        self.run("/usr/sbin/sshd -t && /usr/sbin/sshd")
        self.let_ssh_know_the_host(port)
        self.sshd_port = port
        wait_until(lambda: self.succeeds("test -s /run/sshd.pid"), "sshd to listen")

    def let_ssh_know_the_host(self, port):
        """So that no client has to be told to trust blindly, and none prints a warning."""
        host = "127.0.0.1" if port == 22 else f"[127.0.0.1]:{port}"
        key = self.read("/etc/ssh/ssh_host_ed25519_key.pub")
        self.write(KNOWN_HOSTS, f"{host} {key}")

    def stop_sshd(self):
        self.run("kill $(cat /run/sshd.pid)")
        wait_until(lambda: not self.succeeds("test -e /run/sshd.pid"), "sshd to end")
