"""Twenty strangers at the same moment."""

from concurrent.futures import ThreadPoolExecutor

from ids import derived_uid

NAMES = [f"stranger{number:02}" for number in range(20)]
# The shell has just started: everybody must be able to resolve its owner by name, id and group.
ABOUT_ME = "id -u; getent passwd $(id -u); getent group $(id -g); pwd"


def _log_in(machine, name):
    with machine.person.ssh(name, ABOUT_ME) as terminal:
        prompt = machine.person.read_prompt(terminal)
        machine.person.approve(prompt, name)
        return machine.person.finish(terminal, timeout=90)


def test_twenty_strangers_log_in_at_once(machine):
    watch = machine.watch()
    with ThreadPoolExecutor(len(NAMES)) as crowd:
        logins = list(crowd.map(lambda name: _log_in(machine, name), NAMES))
    for name, ended in zip(NAMES, logins, strict=True):
        uid = derived_uid(name)
        assert ended.status == 0, f"{name}: {ended.screen}"
        who, entry, group, home = ended.output.strip().splitlines()
        assert who == str(uid)
        assert entry.startswith(f"{name}:x:{uid}:{uid}:")
        assert group == f"{name}:x:{uid}:"
        assert home == f"/home/{name}"
    admitted = [line.fields["user"] for line in watch.verdicts() if line.fields["result"] == "admitted"]
    assert sorted(admitted) == NAMES
    assert machine.store("select count(*) from identity") == "20"
    assert machine.published("pragma integrity_check") == "ok"
