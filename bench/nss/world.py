"""A sandbox with one user set in the form of every name service, and what runs in it."""

import os
import shutil
import subprocess
from pathlib import Path

from rig import product
from rig.sandbox import ENVIRONMENT, Sandbox

import peers
import users

HERE = Path(__file__).resolve().parent
PROGRAMS = peers.SCRATCH / "programs"
OURS = f"{peers.LIBRARIES}/libnss_oauth2.so.2"
# How many people are asked for: sssd's backend needs the longer for each to fill the cache, the more people there are.
KEYS = {True: 1000, False: 500}
CFLAGS = ["-O2", "-Wall", "-Wextra"]


class WrongAnswer(Exception):
    """Somebody's answer is not the truth, or a peer does not answer: figures would mean nothing."""


def build():
    """The programs that measure; they and the sandbox have the same libc."""
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    lookups = sorted((HERE / "lookups").glob("*.c"))
    subprocess.run(["gcc", *CFLAGS, "-pthread", "-o", PROGRAMS / "lookups", *lookups], check=True)
    for program in ("process", "keep"):
        subprocess.run(["gcc", *CFLAGS, "-o", PROGRAMS / program, HERE / f"{program}.c"], check=True)


class World(Sandbox):
    """/var lies on the disk of the repository, not under the overlay: lookups map and stat real files, by a path of a real
    machine."""

    def __init__(self, count, module=None, also=(), with_sss=True, keys=None):
        self.users = users.UserSet(count)
        self.people = peers.SCRATCH / f"people-{count}"
        self.var = self.people / "var"
        self.state = self.var / Path(product.STATE).relative_to("/var")
        self._write(keys or KEYS[count <= 10_000])
        super().__init__(peers.RELEASE, layers=[peers.layer()])
        self._install(module)
        self.services = {"oauth2": OURS, **({"sss": peers.MODULES["sss"]} if with_sss else {}),
                         "cache": peers.MODULES["cache"]}
        self.fast = [*self.services]
        self.services["extrausers"] = peers.MODULES["extrausers"]
        for label, path in also:
            shutil.copyfile(path, self.path(f"/srv/{label}.so"))
            self.services[f"{label}:oauth2"] = f"/srv/{label}.so"
            self.fast.append(f"{label}:oauth2")
        self._publish()
        # At once: what idles while sssd's cache is filled would be gone by then.
        self._keepers = [self._keep([self.people / "passwd", self.people / "group", *self.people.glob("*.cache*"),
                                     *(self.people / "extrausers").iterdir(), self.state / "nss.db"])]
        if with_sss:
            self._warm_sss()
            self._keepers.append(self._keep(self.var.glob("lib/sss/mc/*")))

    def _keep(self, files):
        """What the services read stays in memory, as one piece as it is."""
        keeper = subprocess.Popen([PROGRAMS / "keep", *files], stdout=subprocess.PIPE)
        if keeper.stdout.readline() != b"kept\n":
            raise AssertionError("keep: see above")
        return keeper

    def _write(self, keys):
        shutil.rmtree(self.people, ignore_errors=True)
        self.people.mkdir(parents=True)
        users.write_files(self.users, self.people)
        users.write_keys(self.users, self.people, keys)

    def _mount(self, lower):
        super()._mount(lower)
        subprocess.run(["cp", "-a", self.path("/var"), self.var], check=True)
        self.state.mkdir(parents=True, exist_ok=True)
        cache = self.people.glob("*.cache*")
        places = {"/var": self.var, "/srv/people": self.people, "/srv/programs": PROGRAMS,
                  "/var/lib/extrausers": self.people / "extrausers", **{f"/etc/{file.name}": file for file in cache}}
        for place, source in places.items():
            target = self.path(place)
            if source.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.touch()
            subprocess.run(["mount", "--bind", source, target], check=True)

    def stop(self):
        for keeper in self._keepers:
            keeper.kill()
            keeper.communicate()
        super().stop()
        shutil.rmtree(self.people, ignore_errors=True)

    def _install(self, module):
        product.install(self, switched_on=False)
        if module:
            subprocess.run(["install", "-s", "-m", "0644", module, self.path(OURS)], check=True)

    def _publish(self):
        """The published database is the product's own work, from a store as many first logins leave it."""
        product.prepare(self)
        self.run(["mkdir", "-p", product.CONFIG_DIR])
        self.write(product.CONFIG, users.configuration(self.users), 0o600)
        self.run("oauth2ctl store migrate")
        users.fill_store(self.users, self.path(product.STORE))
        self.run("oauth2ctl publish", timeout=1800)

    def _warm_sss(self):
        self.sssd = peers.Sssd(self)
        self.lookups("check", "name-hit,group,initgroups-5,initgroups-500", services=["sss"], timeout=1800)
        calls = self.system_calls("name-hit", "sss")
        if calls > 2:
            raise WrongAnswer(f"sssd's memory cache is not what answers: {calls} system calls a lookup")

    # Measurements

    def lookups(self, mode, *arguments, services=(), large_etc=False, timeout=600):
        """The words of each line that the program prints."""
        specs = [self.spec(service) for service in services]
        argv = ["/srv/programs/lookups", mode, "/srv/people", *arguments, *specs]
        return self.measured(argv, large_etc, timeout)

    def spec(self, service):
        return service if service == "files" else f"{service}={self.services[service]}"

    def measured(self, argv, large_etc=False, timeout=600):
        if large_etc:
            argv = ["unshare", "--mount", "bash", "-c", f"{peers.LARGE_ETC} && exec \"$@\"", "bash", *argv]
        done = self.run(list(map(str, argv)), check=False, timeout=timeout)
        if done.returncode != 0:
            raise WrongAnswer(done.stderr.strip() or f"{argv} ended with {done.returncode}")
        return [line.split() for line in done.stdout.splitlines()]

    def system_calls(self, operation, service):
        """System calls of one lookup: what a hundred more of them add."""
        few, many = (self._calls(operation, service, number) for number in (20, 120))
        return abs(round((many - few) / 100, 1))

    def _calls(self, operation, service, number):
        log = self.directory / "calls"
        argv = self.inside("/srv/programs/lookups", "loop", "/srv/people", operation, number, self.spec(service))
        subprocess.run(["strace", "-f", "-qq", "-o", log, "--", *argv], env=ENVIRONMENT, check=True,
                       stdin=subprocess.DEVNULL)
        return len(log.read_bytes().splitlines())

    def size(self):
        return self.path(OURS).stat().st_size

    def needed(self):
        listed = subprocess.run(["readelf", "-d", self.path(OURS)], capture_output=True, text=True, check=True).stdout
        return sorted(line.split("[")[1].rstrip("]") for line in listed.splitlines() if "(NEEDED)" in line)

    def owned_files(self, where, number, neighbours):
        """A directory with files of so many people, with uids beside each other or all over; returns their names."""
        directory = self.path(where)
        directory.mkdir()
        people = sorted(self.users.people, key=lambda person: person[1])
        step = 1 if neighbours else max(1, len(people) // number)
        owners = people[::step][:number]
        for n, owner in enumerate(owners):
            file = directory / f"file{n:03}"
            file.touch()
            os.chown(file, owner[1], 0)
        return [owner[0] for owner in owners]
