"""The file every process reads: sound, silent about secrets, noticed at once."""

import hashlib
import subprocess

import pytest

from rig import product
from rig.machine import Machine

ASK_TWICE = """
import pwd, sys
def ask():
    try:
        return str(pwd.getpwnam("nora").pw_uid)
    except KeyError:
        return "absent"
for line in sys.stdin:
    print(ask(), flush=True)
"""


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release) as ready:
        ready.provider.people({
            "ann": {"groups": ["3f1c-staff"], "email": "ann.secret@mail.example", "sub": "subject-of-ann-77"},
        })
        assert ready.person.first_login("ann").status == 0
        assert ready.person.first_login("bob").status == 0
        yield ready


def test_sqlite_finds_the_file_sound(machine):
    assert machine.published("pragma integrity_check") == "ok"
    assert machine.store("pragma integrity_check") == "ok"


def test_an_unprivileged_sqlite_reads_it_too_and_nobody_writes_it(machine):
    query = ["sqlite3", product.PUBLISHED]
    assert machine.sandbox.output([*query, "pragma integrity_check"], user=1000) == "ok"
    before = machine.sandbox.path(product.PUBLISHED).read_bytes()
    assert not machine.sandbox.succeeds([*query, "pragma user_version = 99"])
    assert machine.sandbox.path(product.PUBLISHED).read_bytes() == before
    assert before[18] == 3


def test_no_token_email_or_subject_is_in_it(machine):
    published = machine.sandbox.path(product.PUBLISHED).read_bytes()
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


def test_a_process_that_had_it_mapped_sees_a_new_person_on_its_next_call(machine):
    asker = machine.sandbox.popen(
        ["python3", "-c", ASK_TWICE], user=1000, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    try:
        assert _ask(asker) == "absent"
        uid = machine.person.first_login("nora", command="id -u").output.strip()
        assert _ask(asker) == uid
    finally:
        asker.stdin.close()
        asker.wait(timeout=10)
        asker.stdout.close()


def _ask(asker):
    asker.stdin.write("\n")
    asker.stdin.flush()
    return asker.stdout.readline().strip()


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
    machine.sandbox.path(product.PUBLISHED).unlink()
    assert machine.resolves("ann") is None
    machine.sandbox.run("oauth2ctl publish")
    assert machine.sandbox.output("getent passwd | sort") == before
