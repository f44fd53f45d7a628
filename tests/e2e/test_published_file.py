"""The file every process reads: sound, silent about secrets, noticed at once."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from rig import product
from rig.machine import Machine
from rig.patience import wait_until

ASK = """
import pwd, sys
for line in sys.stdin:
    try:
        print(pwd.getpwnam(line.strip()).pw_uid, flush=True)
    except KeyError:
        print("absent", flush=True)
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


def test_a_process_that_had_it_mapped_sees_a_new_person_from_the_rename_on(machine, ask):
    """While the publisher has not even come back from it."""
    assert ask("olga") == "absent"
    published = published_file(machine)
    before = published.stat().st_ino
    slow = subprocess.Popen(_injected("rename:delay_exit=2000000", machine.sandbox, "user", "add", "olga"),
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_until(lambda: published.stat().st_ino != before, "the rename")
    found = ask("olga")
    assert slow.poll() is None, "the publisher had come back: this shows nothing"
    assert slow.wait(timeout=30) == 0
    assert found == ask("olga") != "absent"


def test_a_rename_that_fails_leaves_the_old_file_in_its_place_and_unmarked(machine, ask):
    done = subprocess.run(_injected("rename:error=EIO", machine.sandbox, "user", "add", "paul"),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert "nss.db" in done.stderr and "Input/output error" in done.stderr, done.stderr
    assert published_file(machine).read_bytes()[RETIRED_BYTE] == 0
    assert ask("paul") == "absent"
    machine.sandbox.run("oauth2ctl publish")
    assert ask("paul") != "absent"


def _injected(fault, sandbox, *words):
    """oauth2ctl under strace, with something done to a system call of its own."""
    call = fault.split(":")[0]
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={fault}", "--",
            *sandbox.inside("oauth2ctl", *words)]


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
