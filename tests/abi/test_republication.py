import ctypes
import errno
import os
import resource
import subprocess
import threading
import time
import traceback

import make_db
from conftest import open_file, retire
from make_db import Group, Person
from module import DATABASE, NOTFOUND, SUCCESS, TRYAGAIN, UNAVAIL, Module

ANN = Person("ann", 1879050000)
SLOTS = 6  # of shared/src/snapshot/map/slots.rs
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
OVERFLOW = 65534


def maps():
    return sum(DATABASE in line for line in open("/proc/self/maps"))


def test_a_new_publication_is_seen_by_the_very_next_call(publish, module):
    for generation in range(50):
        publish([Person("ann", 1879050000, gecos=str(generation))])
        assert module.getpwnam("ann")[2][4] == str(generation)
        assert maps() == 1


def test_a_publisher_that_died_before_its_rename_does_no_harm_and_the_next_one_is_seen_at_once(publish, module):
    publish([ANN])
    assert module.getpwnam("bob")[0] == NOTFOUND
    retire(open_file())
    for _ in range(3):
        assert module.getpwnam("ann")[0] == SUCCESS
        assert module.getpwnam("bob")[0] == NOTFOUND
        assert maps() == 1
    publish([ANN, Person("bob", 1879060000)], told=False)
    assert module.getpwnam("bob")[0] == SUCCESS


def test_a_file_that_was_replaced_by_anybody_else_is_seen_within_a_second(publish, module):
    publish([ANN])
    for shell in ("/a", "/b", "/c"):
        publish([Person("ann", 1879050000, shell=shell), Person(f"bob{shell[1]}", 1879060000)], told=False)
        within_a_second(lambda: module.getpwnam("ann")[2][6] == shell)
        assert module.getpwnam(f"bob{shell[1]}")[0] == SUCCESS
        publish([Person(f"carl{shell[1]}", 1879070000), ANN], told=False)
        within_a_second(lambda: module.getpwnam(f"carl{shell[1]}")[0] == SUCCESS)


def within_a_second(condition):
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < 2


def test_a_warm_miss_does_not_look_at_the_path(publish, module, tmp_path):
    publish([ANN])
    assert looks_at_the_path(module, tmp_path / "calls", misses=50) <= 2  # one a second


def test_where_a_mapping_may_miss_a_write_the_path_is_asked_before_anybody_is_said_to_be_absent(publish, tmp_path):
    """On overlayfs, marking a file of the lower layer makes a copy, which those who have the lower one mapped never see."""
    def in_a_container():
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(CLONE_NEWNS) == 0, ctypes.get_errno()
        subprocess.run(["mount", "-t", "tmpfs", "layers", tmp_path], check=True)
        for layer in ("lower", "upper", "work"):
            (tmp_path / layer).mkdir()
        lower = tmp_path / "lower" / os.path.basename(DATABASE)
        make_db.write(lower, [ANN])
        options = ",".join(f"{layer}dir={tmp_path / layer}" for layer in ("lower", "upper", "work"))
        subprocess.run(["mount", "-t", "overlay", "-o", options, "container", os.path.dirname(DATABASE)], check=True)
        module = Module.unused()
        assert (module.getpwnam("ann")[0], module.getpwnam("bob")[0]) == (SUCCESS, NOTFOUND)
        publish([ANN, Person("bob", 1879060000)])
        assert lower.read_bytes()[72] == 0, "the mark reached the lower layer: this shows nothing"
        assert module.getpwnam("bob")[0] == SUCCESS
        assert looks_at_the_path(module, tmp_path / "calls", misses=50) >= 50

    assert in_a_child(in_a_container)


def looks_at_the_path(module, log, misses):
    """How many system calls of so many misses name the file."""
    # Not of every call: reading the trace would write to it.
    tracer = subprocess.Popen(["strace", "-qq", "-e", "trace=%file", "-o", log, "-p", str(os.getpid())])
    await_in(log, "/from-here-on")
    for _ in range(misses):
        assert module.getpwnam("nobody-has-this")[0] == NOTFOUND
    await_in(log, "/up-to-here")
    tracer.terminate()
    tracer.wait()
    calls = log.read_text().rsplit("/from-here-on", 1)[1].split("/up-to-here")[0]
    return sum(DATABASE in line for line in calls.splitlines())


def await_in(log, sentinel):
    """Asks for a path until the trace shows it."""
    began = time.monotonic()
    while not (log.exists() and sentinel in log.read_text()):
        os.path.exists(sentinel)
        time.sleep(0.01)
        assert time.monotonic() - began < 20, "strace shows nothing"


def test_an_enumeration_goes_on_over_a_publication(publish, module):
    people = [Person(f"p{n}", 5000 + n) for n in range(10)]
    publish(people)
    module.rewind()
    seen = [module.getpwent()[2][0] for _ in range(5)]
    publish([p for p in people if p.name != "p7"] + [Person("new", 6000)])
    seen += [line[0] for line in iter(lambda: module.getpwent()[2], None)]
    assert seen == ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p8", "p9", "new"]


def test_readers_see_no_torn_answer_while_it_is_published_over_and_over(publish, module):
    """Every generation has its number in all fields; ctypes releases the interpreter lock during a call."""
    def generation(n):
        return [Person("ann", 1879050000, gecos=str(n), home=f"/home/{n}", shell=f"/bin/{n}")], \
            [Group("g", 9000, [f"m{n}"] * 300)]

    publish(*generation(0))
    stop, faults, last = threading.Event(), [], [0]

    def read():
        newest = 0
        while not stop.is_set():
            status, _, line = module.getpwnam("ann")
            members = module.getgrgid(9000)[2]
            fields = {line[4], line[5][6:], line[6][5:]} if status == SUCCESS else {"absent"}
            if len(fields) != 1 or not (int(line[4]) >= newest) or len(set(members[3])) != 1:
                faults.append((status, line, members[3][:2]))
                return
            newest = int(line[4])

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    for n in range(1, 300):
        publish(*generation(n))
    stop.set()
    for reader in readers:
        reader.join()
    assert not faults
    assert module.getpwnam("ann")[2][4] == "299"
    assert maps() == 1


def test_a_child_forked_while_threads_look_up_goes_on(publish, module):
    publish([ANN])
    stop = threading.Event()

    def read():
        while not stop.is_set():
            module.getpwnam("ann")

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    statuses = []
    for generation in range(60):
        if generation % 5 == 0:
            publish([Person("ann", 1879050000, gecos=str(generation))])
        child = os.fork()
        if child == 0:
            ok = all(module.getpwnam("ann")[0] == SUCCESS for _ in range(20)) and module.getpwnam("x")[0] == NOTFOUND
            os._exit(0 if ok else 1)
        began = time.monotonic()
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            assert time.monotonic() - began < 20, "the child hangs"
            time.sleep(0.001)
        statuses.append(ended[1])
    stop.set()
    for reader in readers:
        reader.join()
    assert set(statuses) == {0}


def test_generations_of_children_with_frozen_pins_still_see_what_is_new(publish, module):
    """Every child inherits pins of threads that it does not have. When all slots are taken it maps for one call."""
    # A list so long that a thread is nearly always inside a lookup.
    everybody = Group("everybody", 1879060000, [f"member{n}" for n in range(20_000)])
    def look_up_until(stop):
        room, entry, code = (ctypes.c_char * (1 << 20))(), (ctypes.c_char * 64)(), ctypes.c_int()
        while not stop.is_set():
            module.library._nss_oauth2_getgrnam_r(b"everybody", entry, room, ctypes.c_size_t(1 << 20), ctypes.byref(code))

    def sees_what_is_silent():
        """The publisher died before it could tell: within a second, and never the old one again."""
        make_db.write(DATABASE + ".next", [Person("ann", 1879050000, gecos="silent")])
        os.rename(DATABASE + ".next", DATABASE)
        answers = []
        began = time.monotonic()
        while time.monotonic() - began < 3.5:
            answers.append((time.monotonic() - began, module.getpwnam("ann")[2][4]))
        late = [moment for moment, gecos in answers if gecos != "silent" and moment > 1.5]
        return 1 if late else 0

    def descend(depth):
        publish([Person("ann", 1879050000, gecos=str(depth))], [everybody])
        if module.getpwnam("ann")[2][4] != str(depth):
            return 1
        if maps() >= SLOTS:
            return sees_what_is_silent()
        if depth == 0:
            return 3
        stop = threading.Event()
        readers = [threading.Thread(target=look_up_until, args=[stop]) for _ in range(4)]
        for reader in readers:
            reader.start()
        time.sleep(0.005)
        child = os.fork()
        if child == 0:
            os._exit(descend(depth - 1))
        # The child has the pins of the moment it was made; these threads have nothing more to do.
        stop.set()
        for reader in readers:
            reader.join()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert descend(100) == 0


def test_a_process_without_descriptors_answers_from_what_it_has_or_says_try_again(publish):
    again = (TRYAGAIN, errno.EAGAIN)

    def exhausted():
        module, other = Module.unused(), Module.unused()
        publish([ANN])
        before, old = module.getpwnam("ann")[0], open_file()
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        assert (before, module.getpwnam("ann")[0]) == (SUCCESS, SUCCESS)
        assert module.getpwnam("nobody")[:2] == (NOTFOUND, errno.ENOENT)
        assert other.getpwnam("ann")[:2] == again
        os.pwrite(old, b"\x01", 72)
        os.rename(DATABASE + ".next", DATABASE)
        assert module.getpwnam("ann")[0] == SUCCESS
        assert module.getpwnam("nobody")[:2] == again

    make_db.write(DATABASE + ".next", [ANN])
    assert in_a_child(exhausted)


def in_a_child(body):
    child = os.fork()
    if child == 0:
        try:
            body()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_a_host_that_closes_every_descriptor_loses_nothing(publish, module):
    def closing():
        os.closerange(0, 4096)
        stranger = os.open("/etc/hostname", os.O_RDONLY)
        assert all(module.getpwnam("ann")[0] == SUCCESS for _ in range(3)) and os.fstat(stranger)

    publish([ANN])
    assert module.getpwnam("ann")[0] == SUCCESS
    assert in_a_child(closing)


def test_a_process_without_privileges_reads_it(publish):
    def unprivileged():
        module = Module.unused()
        become_nobody()
        assert module.getpwnam("ann")[0] == SUCCESS

    publish([ANN])
    assert in_a_child(unprivileged)


def test_in_a_user_namespace_the_file_is_still_roots(publish):
    def in_namespace():
        module = Module.unused()
        become_nobody()
        assert ctypes.CDLL(None).unshare(CLONE_NEWUSER) == 0
        assert os.stat(DATABASE).st_uid == OVERFLOW
        assert module.getpwnam("ann")[0] == SUCCESS

    publish([ANN])
    assert in_a_child(in_namespace)


def test_outside_of_a_user_namespace_the_overflow_user_is_a_stranger(publish):
    def elsewhere():
        assert Module.unused().getpwnam("ann")[:2] == (UNAVAIL, errno.EIO)

    publish([ANN])
    os.chown(DATABASE, OVERFLOW, 0)
    assert in_a_child(elsewhere)


def become_nobody():
    os.setgroups([])
    os.setgid(OVERFLOW)
    os.setuid(OVERFLOW)
