"""Programs that are not like others: setuid, chrooted, with closed or reused descriptors, enumerating in threads."""

import os
import re
import shutil
import subprocess
import time
import threading

import make_db
from conftest import retire
from drivers import built
from make_db import Group, Person
from module import DATABASE, NOTFOUND, PATH, SUCCESS, UNAVAIL, Module, found
from test_republication import in_a_child

ANN = Person("ann", 1879050000)
HOSTILE = {
    "LD_PRELOAD": "/nonexistent.so", "LD_LIBRARY_PATH": "/tmp", "RUST_BACKTRACE": "full", "RUST_LIB_BACKTRACE": "1",
    "RUST_LOG": "trace", "RUST_MIN_STACK": "1", "HOME": "/tmp", "TMPDIR": "/tmp", "TZ": "/etc/shadow",
    "MALLOC_TRACE": "/tmp/trace", "NSS_MODULE": "/tmp/x.so", "SQLITE_TMPDIR": "/tmp", "GCONV_PATH": "/tmp",
    "NSS_DB": "/tmp/nss.db", "PATH": "/tmp",
}


def setuid_program():
    """In /var/lib, where the tests have a file system of their own."""
    program = "/var/lib/pam_oauth2_device/privileged"
    shutil.copyfile(built("privileged", f'-DMODULE="{PATH}"'), program)
    os.chmod(program, 0o4755)
    return program


def as_nobody(*argv, environment, wrapper=(), **options):
    drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
    return subprocess.run([*wrapper, *map(shutil.which, drop[:1]), *drop[1:], *argv], env=environment,
                          capture_output=True, text=True, timeout=60, **options)


def test_a_setuid_program_answers_the_same_whatever_its_environment_says(publish):
    publish([ANN])
    program = setuid_program()
    for environment in ({}, HOSTILE):
        done = as_nobody(program, "ann", environment=environment)
        # The loader says that it ignores LD_PRELOAD; the module says nothing.
        assert (done.returncode, done.stdout) == (0, "1 4711 ann 1879050000 /home/ann /bin/sh\n"), done.stderr
        assert all("ld.so" in line for line in done.stderr.splitlines()), done.stderr
        assert as_nobody(program, "nobody", environment=environment).stdout == "0 2\n"


def test_in_a_setuid_program_the_module_opens_one_file_and_no_other(publish, tmp_path):
    publish([ANN])
    log = tmp_path / "trace"
    strace = [shutil.which("strace"), "-f", "-o", str(log)]
    del HOSTILE["LD_PRELOAD"]  # strace itself would read it
    done = as_nobody(setuid_program(), "ann", environment=HOSTILE, wrapper=strace)
    assert done.stdout.startswith("1 4711 ann"), done.stderr
    calls = log.read_text().split("/from-here-on")[1].split("/up-to-here")[0]
    names = re.findall(r"^\d+ +(\w+)\(", calls, re.M)  # the last one is the program's own access(2)
    assert set(names) <= {"open", "openat", "fstat", "newfstatat", "statx", "fstatfs", "mmap", "close", "access", "rt_sigaction"}, calls
    assert re.findall(r'"(/[^"]*)"', calls) == [DATABASE], calls


def test_a_setuid_program_whose_standard_descriptors_are_closed_loses_nothing(publish):
    publish([ANN])
    program = setuid_program()
    done = as_nobody("/bin/sh", "-c", f"{program} ann 0<&- 2>&-", environment={})
    assert done.stdout.startswith("1 4711 ann")


def test_a_chrooted_process_believes_the_file_of_its_own_root_alone(publish, tmp_path):
    publish([ANN])
    inside = tmp_path / DATABASE.lstrip("/")
    inside.parent.mkdir(parents=True)

    def chrooted(expected_before, expected):
        def body():
            module = Module.unused()
            if expected_before:
                assert module.getpwnam("ann")[0] == SUCCESS
            os.chroot(tmp_path)
            os.chdir("/")
            # What it had mapped is compared with the path within a second, and that is another file now.
            began = time.monotonic()
            while module.getpwnam("bob")[:2] != expected:
                assert expected_before and time.monotonic() - began < 2
            ann = module.getpwnam("ann")
            assert ann[0] == (NOTFOUND if expected[0] == SUCCESS else UNAVAIL), ann
        return body

    for before in (True, False):
        assert in_a_child(chrooted(before, (UNAVAIL, 2)))
    make_db.write(str(inside), [Person("bob", 5000)])
    for before in (True, False):
        assert in_a_child(chrooted(before, (SUCCESS, 4711)))
    os.chown(inside, 65534, 0)
    for before in (True, False):
        assert in_a_child(chrooted(before, (UNAVAIL, 5)))


def test_a_strangers_file_on_the_number_that_was_ours_is_neither_read_nor_closed(publish):
    def body():
        module = Module.unused()
        ours = os.open("/dev/null", os.O_RDONLY)
        os.close(ours)  # the number that the next open gets
        assert module.getpwnam("ann")[0] == SUCCESS
        make_db.write(DATABASE + ".stranger", [Person("mallory", 5000)])
        stranger = os.open(DATABASE + ".stranger", os.O_RDWR)
        assert stranger == ours
        os.lseek(stranger, 42, os.SEEK_SET)
        before = os.fstat(stranger)
        for generation in range(5):
            publish([Person("ann", 1879050000, gecos=str(generation))])
            assert module.getpwnam("ann")[2][4] == str(generation)
            assert module.getpwnam("mallory")[0] == NOTFOUND
            assert [line[0] for line in module.people()] == ["ann"]
        after = os.fstat(stranger)
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert os.lseek(stranger, 0, os.SEEK_CUR) == 42

    publish([ANN])
    assert in_a_child(body)


def test_closing_every_descriptor_between_two_calls_changes_nothing(publish):
    def body():
        module = Module.unused()
        for generation in range(20):
            retire(os.open(DATABASE, os.O_RDWR))
            make_db.write(DATABASE, [Person("ann", 1879050000, gecos=str(generation))])
            os.closerange(0, 1 << 16)
            assert module.getpwnam("ann")[2][4] == str(generation)
            assert module.getpwnam("nobody")[0] == NOTFOUND
            # Lists and enumerations read on.
            assert [line[0] for line in module.people()] == ["ann"]
            assert os.open("/dev/null", os.O_RDONLY) == 0

    publish([ANN])
    assert in_a_child(body)


def test_lookups_between_two_entries_of_an_enumeration_do_not_move_it(publish, module):
    people = [Person(f"p{n:03}", 5000 + n) for n in range(300)]
    groups = [Group(f"g{n:03}", 9000 + n, [f"p{n:03}"]) for n in range(100)]
    publish(people, groups)
    module.rewind()
    seen, seen_groups = [], []
    for n in range(300):
        seen.append(found(module.getpwent())[0])
        assert module.getpwnam(f"p{299 - n:03}")[0] == SUCCESS and module.getpwuid(4999)[0] == NOTFOUND
        assert module.initgroups(f"p{n:03}")[0] == SUCCESS
        if n < 100:
            seen_groups.append(found(module.getgrent())[0])
            assert module.getgrgid(9099 - n)[0] == SUCCESS
    assert seen == [person.name for person in people] and module.getpwent()[0] == NOTFOUND
    assert seen_groups == [group.name for group in groups]
    # Two enumerations at once have a position each, and one that is begun anew begins at the start.
    assert module.library._nss_oauth2_setpwent(0) == SUCCESS
    assert found(module.getpwent())[0] == "p000" and found(module.getgrent())[0] == "p000"


def test_threads_that_enumerate_at_the_same_time_see_entries_and_nothing_else(publish, module):
    """libc has one position for all of them: who gets which entry is chance, that each is whole is not."""
    people = {f"p{n:03}": 5000 + n for n in range(200)}
    publish([Person(name, uid) for name, uid in people.items()], [Group("g", 9000, list(people))])
    faults = []

    def enumerate_over_and_over():
        for _ in range(20):
            module.library._nss_oauth2_setpwent(0)
            module.library._nss_oauth2_setgrent(0)
            for _ in range(100):
                person, group = module.getpwent(), module.getgrent()
                if person[0] == SUCCESS and people.get(person[2][0]) != person[2][2] \
                        or group[0] == SUCCESS and {**people, "g": 9000}.get(group[2][0]) != group[2][2] \
                        or {person[0], group[0]} - {SUCCESS, NOTFOUND}:
                    faults.append((person, group))
            module.library._nss_oauth2_endpwent()

    threads = [threading.Thread(target=enumerate_over_and_over) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults[:3]
    assert [line[0] for line in module.people()] == list(people)
