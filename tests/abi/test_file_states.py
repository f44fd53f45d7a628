"""What the file at the path may be, for a process that has just begun and for one that had a good one mapped."""

import multiprocessing
import os
import socket
import sqlite3
import stat
import time

import pytest

import make_db
from conftest import remove
from make_db import Group, Person
from module import DATABASE, NOTFOUND, SUCCESS, UNAVAIL, UNTOUCHED, Module

ENOENT, EIO = 2, 5
ANN = Person("ann", 1879050000)
MISSING = (UNAVAIL, ENOENT, None)
UNREADABLE = (UNAVAIL, EIO, None)


def in_a_new_process(question):
    """The answer of a process that has not looked up anything yet, and that must not die of it."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=lambda: queue.put(question(Module.unused())))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    return queue.get()


def by_name(module):
    return module.getpwnam("ann")


def test_without_a_file_the_service_is_unavailable(publish):
    assert in_a_new_process(by_name) == MISSING
    assert in_a_new_process(lambda m: m.getpwuid(ANN.uid)) == MISSING
    assert in_a_new_process(lambda m: m.getgrnam("ann")) == MISSING
    assert in_a_new_process(lambda m: m.getgrgid(ANN.uid)) == MISSING
    assert in_a_new_process(lambda m: m.getpwent()) == MISSING
    assert in_a_new_process(lambda m: m.getgrent()) == MISSING
    assert in_a_new_process(lambda m: m.initgroups("ann")[:3]) == (UNAVAIL, ENOENT, [7])


def as_fifo():
    os.mkfifo(DATABASE)


def as_directory():
    os.mkdir(DATABASE)


def as_link():
    make_db.write(DATABASE + ".target", [ANN])
    os.symlink(DATABASE + ".target", DATABASE)


def as_link_to_nowhere():
    os.symlink("nowhere", DATABASE)


def as_link_to_itself():
    os.symlink(os.path.basename(DATABASE), DATABASE)


def as_socket():
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(DATABASE)


def as_character_device():
    os.mknod(DATABASE, 0o644 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero


def as_block_device():
    os.mknod(DATABASE, 0o644 | stat.S_IFBLK, os.makedev(7, 200))


def as_empty():
    open(DATABASE, "w").close()


def as_strangers():
    make_db.write(DATABASE, [ANN])
    os.chown(DATABASE, 1234, 0)


def as_writable():
    make_db.write(DATABASE, [ANN], mode=0o664)


def as_writable_by_everybody():
    make_db.write(DATABASE, [ANN], mode=0o646)


def as_unreadable_by_its_size():
    make_db.write(DATABASE, [ANN])
    os.truncate(DATABASE, (1 << 31) + 4096)


def as_text():
    with open(DATABASE, "w") as file:
        file.write("hello\n" * 10000)


def as_another_format():
    make_db.write(DATABASE, [ANN], user_version=2)


def as_another_application():
    make_db.write(DATABASE, [ANN], application_id=1)


def with_journal_of_another_kind():
    make_db.write(DATABASE, [ANN])
    with open(DATABASE, "r+b") as file:
        file.seek(18)
        file.write(b"\x02\x02")


BAD = [as_fifo, as_directory, as_link, as_link_to_nowhere, as_link_to_itself, as_socket, as_character_device,
       as_block_device, as_empty, as_strangers, as_writable, as_writable_by_everybody, as_unreadable_by_its_size, as_text, as_another_format,
       as_another_application, with_journal_of_another_kind]


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_what_is_no_published_database_is_an_error(publish, make):
    make()
    assert in_a_new_process(by_name) == UNREADABLE
    every = in_a_new_process(lambda m: [
        m.getpwuid(ANN.uid), m.getgrnam("ann"), m.getgrgid(ANN.uid), m.getpwent(), m.getgrent(), m.getpwnam("nobody"),
        (*m.initgroups("ann")[:2], None)])
    assert every == [UNREADABLE] * 7


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_process_with_a_good_one_mapped_gives_it_up_within_a_second(publish, module, make):
    publish([ANN])
    assert by_name(module)[0] == SUCCESS
    old = os.stat(DATABASE).st_ino
    os.rename(DATABASE, DATABASE + ".old")
    make()
    assert os.lstat(DATABASE).st_ino != old
    until_it_is_given_up(module)
    assert by_name(module) == UNREADABLE
    assert module.getpwnam("nobody-has-this") == UNREADABLE
    remove()
    publish([ANN])
    assert by_name(module)[0] == SUCCESS


def test_a_file_that_vanishes_is_noticed_within_a_second(publish, module):
    publish([ANN])
    assert by_name(module)[0] == SUCCESS
    os.unlink(DATABASE)
    until_it_is_given_up(module)
    assert by_name(module) == MISSING


def until_it_is_given_up(module):
    began = time.monotonic()
    while by_name(module)[0] == SUCCESS:
        assert time.monotonic() - began < 2


def test_a_truncated_file_gives_an_error_and_never_a_crash(publish):
    make_db.write(DATABASE, [Person(f"p{n}", 5000 + n, supplementary=[9000] * 1500) for n in range(20)],
                  [Group("g", 9000, [f"p{n}" for n in range(20)])])
    whole = open(DATABASE, "rb").read()
    lengths = [*range(0, 4200, 7), *range(4096, len(whole), 509), len(whole) - 1]

    def every_length(module):
        answers = set()
        for length in lengths:
            with open(DATABASE + ".new", "wb") as file:
                file.write(whole[:length])
            os.rename(DATABASE + ".new", DATABASE)
            answers.add(module.getpwnam("nobody"))
            answers.add(module.getpwnam("p3"))
        return answers

    assert in_a_new_process(every_length) == {UNREADABLE}


@pytest.mark.parametrize("start", range(8))
def test_a_file_with_any_byte_changed_gives_an_answer_and_never_a_crash(publish, start):
    people = [Person(f"p{n}", 5000 + n, supplementary=[9000] * (1500 if n == 2 else 3)) for n in range(20)]
    make_db.write(DATABASE, people, [Group("g", 9000, [f"p{n}" for n in range(20)])], removed=["x", 7000])
    whole = open(DATABASE, "rb").read()

    def every_byte(module):
        for at in range(start, len(whole), 8):
            with open(DATABASE + ".new", "wb") as file:
                file.write(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1:])
            os.rename(DATABASE + ".new", DATABASE)
            module.getpwnam("nobody")  # looks at the path
            statuses = [module.getpwnam("p2")[0], module.getpwuid(5019)[0], module.getgrnam("g")[0],
                        module.getgrgid(9000)[0], module.initgroups("p2")[0]]
            module.rewind()
            statuses += [module.getpwent()[0], module.getgrent()[0]]
            assert set(statuses) <= {SUCCESS, NOTFOUND, UNAVAIL}, at
        return "alive"

    assert in_a_new_process(every_byte) == "alive"


@pytest.mark.parametrize("bad", [
    Person("toor", 0), Person("low", 999), Person("nobody2", 65534), Person("x", 65535), Person("max", 2**32 - 1),
    Person("low-group", 5000, gid=999), Person("root-group", 5000, gid=0xFFFFFFFF),
    Person("colon", 5000, gecos="a:b"), Person("line", 5000, home="/a\nroot::0:0::/:/bin/sh"),
    Person("nul", 5000, shell="/bin/sh\0x"), Person("state", 5000, state=4), Person("boolean", 5000, visible=2),
    Person("-rf", 5000), Person("a b", 5000), Person("0", 5000), Person("a" * 65, 5000), Person("a:b", 5000),
], ids=lambda person: person.name[:10])
def test_a_row_that_breaks_a_rule_is_not_served(publish, bad):
    publish([bad, ANN])
    name_answer, uid_answer = in_a_new_process(lambda m: (m.getpwnam(bad.name), m.getpwuid(bad.uid)))
    assert name_answer[0] in (NOTFOUND, UNAVAIL)
    assert uid_answer == UNREADABLE
    assert in_a_new_process(by_name)[0] == SUCCESS


def test_roots_group_is_nobodys_supplementary_group(publish):
    publish([Person("ann", 5000, supplementary=[9000, 0])], [Group("zero", 0)])
    assert in_a_new_process(lambda m: m.initgroups("ann")[:3]) == (UNAVAIL, EIO, [7])
    assert in_a_new_process(lambda m: m.getgrgid(0)) == UNREADABLE


@pytest.mark.parametrize("members", [["a b"], ["x:y"], [""], ["a", ""], ["é"]])
def test_a_member_that_is_no_name_spoils_the_list(publish, members):
    publish([], [Group("g", 9000, members)])
    assert in_a_new_process(lambda m: m.getgrgid(9000)) == UNREADABLE


def test_names_of_one_bucket_are_kept_apart(publish):
    """Forced by hand: names do not collide by themselves."""
    people = [Person(f"p{n}", 5000 + n) for n in range(4)]
    make_db.write(DATABASE + ".x", people)
    with open(DATABASE + ".x", "r+b") as file:
        file.seek(18)
        file.write(b"\x01")
    db = sqlite3.connect(DATABASE + ".x")
    home = make_db.bucket(bytes(range(16)), "p3")
    db.execute("UPDATE passwd_name SET hash = ? WHERE name = 'p3'", (home + 3,))
    db.execute("UPDATE passwd_name SET hash = ? WHERE name = 'p0'", (home,))
    db.commit()
    db.close()
    os.rename(DATABASE + ".x", DATABASE)
    assert in_a_new_process(lambda m: m.getpwnam("p3"))[2][2] == 5003
    assert in_a_new_process(lambda m: m.getpwnam("p0"))[0] == NOTFOUND
