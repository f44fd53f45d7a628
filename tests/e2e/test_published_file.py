"""The file every process reads: sound, silent about secrets, noticed at once."""

import contextlib
import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from rig import product
from rig.machine import Machine

ASK = """
import pwd, sys
for line in sys.stdin:
    try:
        print(pwd.getpwnam(line.strip()).pw_uid, flush=True)
    except KeyError:
        print("absent", flush=True)
"""
HOLD_A_LEASE = """
import fcntl, os, signal, sys
state = ["held"]
signal.signal(signal.SIGIO, lambda *_: state.append("wanted"))
descriptor = os.open(sys.argv[1], os.O_RDONLY)
fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
print("ready", flush=True)
for line in sys.stdin:
    print(state[-1], flush=True)
"""
RETIRED_BYTE = 72


@pytest.fixture(scope="module", params=["overlay", "tmpfs"])
def machine(release, request):
    """On overlayfs a process looks at the path before it says that somebody is absent; on a disk, or tmpfs, it does not."""
    with Machine(release) as ready:
        if request.param == "tmpfs":
            ready.sandbox.run(f"mount -t tmpfs -o mode=0755 state /mnt && cp -a {product.STATE}/. /mnt"
                              f" && mount --move /mnt {product.STATE}")
        ready.provider.people({
            "ann": {"groups": ["3f1c-staff"], "email": "ann.secret@mail.example", "sub": "subject-of-ann-77"},
        })
        assert ready.person.first_login("ann").status == 0
        assert ready.person.first_login("bob").status == 0
        yield ready


def published_file(machine):
    """As the machine sees it, whatever it has mounted there."""
    return Path(f"/proc/{machine.sandbox.pid}/root{product.PUBLISHED}")


@pytest.fixture
def ask(machine):
    """A process that has the file mapped; it is asked for names."""
    asker = machine.sandbox.popen(["python3", "-c", ASK], user=1000, text=True, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)

    def question(name):
        asker.stdin.write(f"{name}\n")
        asker.stdin.flush()
        return asker.stdout.readline().strip()

    assert question("ann") != "absent"
    yield question
    asker.stdin.close()
    asker.wait(timeout=10)
    asker.stdout.close()


def test_sqlite_finds_the_file_sound(machine):
    assert machine.published("pragma integrity_check") == "ok"
    assert machine.store("pragma integrity_check") == "ok"


def test_an_unprivileged_sqlite_reads_it_too_and_nobody_writes_it(machine):
    query = ["sqlite3", product.PUBLISHED]
    assert machine.sandbox.output([*query, "pragma integrity_check"], user=1000) == "ok"
    before = published_file(machine).read_bytes()
    assert not machine.sandbox.succeeds([*query, "pragma user_version = 99"])
    assert published_file(machine).read_bytes() == before
    assert before[18] == 3


def test_no_token_email_or_subject_is_in_it(machine):
    published = published_file(machine).read_bytes()
    subject_of_bob = hashlib.sha256(b"subject of bob").hexdigest()[:32]
    secrets = ["ann.secret@mail.example", "mail.example", "subject-of-ann-77", "bob@example.test",
               subject_of_bob, "eyJ", "idp.test"]
    found = [text for text in secrets if text.encode() in published]
    assert not found
    assert bytes.fromhex(subject_of_bob) not in published


def test_modes_keep_the_store_private_and_the_published_file_readable(machine):
    stat = "stat -c '%a %U' " + " ".join(
        [f"{product.STATE}/private", product.STORE, product.PUBLISHED, product.PARAMETERS, product.CONFIG])
    modes = machine.sandbox.output(stat).splitlines()
    assert modes[:3] == ["700 root", "600 root", "644 root"]
    assert modes[4] == "600 root"
    assert not machine.sandbox.succeeds(["cat", product.STORE], user=1000)
    assert not machine.sandbox.succeeds(["cat", product.PARAMETERS], user=1000)


def test_a_process_that_had_it_mapped_sees_a_new_person_on_its_next_call(machine, ask):
    assert ask("nora") == "absent"
    uid = machine.person.first_login("nora", command="id -u").output.strip()
    assert ask("nora") == uid


def test_the_old_file_is_marked_before_the_new_one_takes_its_place(machine, tmp_path):
    """Nobody can be told that somebody is absent whom another has seen already."""
    log = tmp_path / "calls"
    argv = machine.sandbox.inside("oauth2ctl", "user", "add", "olga")
    subprocess.run(["strace", "-f", "-qq", "-y", "-o", log, "-e", "trace=pwrite64,rename", "--", *argv],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    steps = re.findall(rf'(pwrite64\(\d+<{product.PUBLISHED}>, "\\1", 1, {RETIRED_BYTE}\)'
                       rf'|rename\("{product.PUBLISHED}.new", "{product.PUBLISHED}"\)) = ', log.read_text())
    assert [step.split("(")[0] for step in steps] == ["pwrite64", "rename"], log.read_text()


def test_a_rename_that_fails_leaves_the_old_file_in_its_place_and_unmarked(machine, ask):
    argv = machine.sandbox.inside("oauth2ctl", "user", "add", "paul")
    fault = ["-e", "trace=rename", "-e", "inject=rename:error=EIO"]
    done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", *fault, "--", *argv], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    assert "nss.db" in done.stderr and "Input/output error" in done.stderr, done.stderr
    assert published_file(machine).read_bytes()[RETIRED_BYTE] == 0
    assert ask("paul") == "absent"
    machine.sandbox.run("oauth2ctl publish")
    assert ask("paul") != "absent"


def test_where_the_old_file_cannot_be_marked_nobody_comes_back_from_a_publication_before_all_can_see_it(machine, ask):
    """A read lease on it, as Samba takes them, lets nobody open it for writing. The publisher waits until everybody must have
    looked at the path again: a login would be asked for the person's groups next."""
    with leased(machine) as is_held:
        publisher = machine.sandbox.popen(["oauth2ctl", "user", "add", "rita"], stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL)
        while publisher.poll() is None:  # so that the last look at the path is nearly always less than a second old
            ask("rita")
        assert publisher.returncode == 0
        assert ask("rita") != "absent"
        assert not is_held(), "nobody has tried to open it for writing: this shows nothing"


@contextlib.contextmanager
def leased(machine):
    holder = machine.sandbox.popen(["python3", "-c", HOLD_A_LEASE, product.PUBLISHED], text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)

    def is_held():
        """Until somebody has wanted to open it for writing; the holder has the lease on then, for 45 s."""
        holder.stdin.write("\n")
        holder.stdin.flush()
        return holder.stdout.readline().strip() == "held"

    if holder.stdout.readline() != "ready\n":
        pytest.fail("no lease")
    yield is_held
    holder.stdin.close()
    holder.wait(timeout=10)
    holder.stdout.close()


@pytest.mark.parametrize("user", [0, 1000])
def test_a_stranger_is_absent_in_every_other_process(machine, user):
    assert machine.resolves("stranger", user=user) is None
    for command in ("getent passwd stranger", "getent group stranger", "id stranger",
                    "getent initgroups stranger | grep '[0-9]'"):
        assert not machine.sandbox.succeeds(command, user=user), command


def test_a_program_called_sshd_in_another_place_sees_no_stranger(machine):
    machine.sandbox.run("mkdir -p /opt/bin && cp /usr/bin/getent /opt/bin/sshd")
    assert not machine.sandbox.succeeds("/opt/bin/sshd passwd stranger")
    assert machine.sandbox.succeeds("/opt/bin/sshd passwd ann")


def test_a_publication_by_hand_keeps_everybody(machine):
    before = machine.sandbox.output("getent passwd | sort")
    machine.sandbox.run("oauth2ctl publish")
    assert machine.sandbox.output("getent passwd | sort") == before
    published_file(machine).unlink()
    assert machine.resolves("ann") is None
    machine.sandbox.run("oauth2ctl publish")
    assert machine.sandbox.output("getent passwd | sort") == before
