"""The main job: somebody the machine has never seen logs in, and logs in again."""

import re

import pytest
from ids import GIDS, PEOPLE_GID, derived_uid

from rig import product, texts
from rig.machine import Machine

ABOUT_ME = "id; pwd; stat -c '%a %U %G' .; getent passwd $(id -un)"


@pytest.fixture(scope="module", params=["id_token", "introspection"])
def machine(release, request):
    config = product.ID_TOKEN if request.param == "id_token" else product.INTROSPECTION
    with Machine(release, config=config) as ready:
        yield ready


def test_a_name_never_seen_logs_in_on_the_first_connection(machine):
    assert machine.resolves("ann") is None
    watch = machine.watch()
    ended = machine.person.first_login("ann", command=ABOUT_ME)
    assert ended.status == 0, ended.screen
    uid = derived_uid("ann")
    who, where, home, entry = ended.output.strip().splitlines()
    assert f"uid={uid}(ann) gid={uid}(ann) groups=" in who
    assert f"{PEOPLE_GID}(oauth2-users)" in who
    assert re.search(r"\b(\d+)\(idp-staff\)", who), who
    assert GIDS[0] <= int(re.search(r"(\d+)\(idp-staff\)", who)[1]) < GIDS[1]
    assert (where, home) == ("/home/ann", "700 ann ann")
    assert re.fullmatch(rf"ann:x:{uid}:{uid}:[^:]*:/home/ann:/bin/bash", entry)
    line = watch.one_verdict("admitted")
    assert (line.fields["user"], line.fields["rhost"]) == ("ann", "127.0.0.1")


def test_a_name_with_a_domain_logs_in_on_the_first_connection(machine):
    name = "bob.builder@example.com"
    ended = machine.person.first_login(name, command=ABOUT_ME)
    assert ended.status == 0, ended.screen
    assert f"uid={derived_uid(name)}({name})" in ended.output
    assert f"/home/{name}\n" in ended.output


def test_an_unmapped_group_of_the_provider_is_not_shown(machine):
    ended = machine.person.first_login("mallory", command="id -Gn")
    assert sorted(ended.output.split()) == ["mallory", "oauth2-users"]


def test_a_second_login_changes_nothing(machine):
    _make_sure_of(machine, "carol")
    uid = machine.uid_of("carol")
    files = _state(machine)
    ended = machine.person.login_again("carol", command="id -u; touch was-here; ls")
    assert ended.status == 0, ended.screen
    assert ended.output.split() == [str(uid), "was-here"]
    assert _state(machine) == files


def test_after_the_first_login_everybody_resolves_the_person(machine):
    _make_sure_of(machine, "dora")
    uid = derived_uid("dora")
    for user in (0, 1000):
        run = lambda command: machine.sandbox.output(command, user=user)  # noqa: E731
        assert run("getent passwd dora").startswith(f"dora:x:{uid}:{uid}:")
        assert run(f"getent passwd {uid}") == run("getent passwd dora")
        assert run("getent group dora") == f"dora:x:{uid}:"
        assert run("getent group oauth2-users") == f"oauth2-users:x:{PEOPLE_GID}:"
        assert "dora" in run("getent passwd | cut -d: -f1").splitlines()
        assert " dora dora " in run("ls -ld /home/dora")
        assert "oauth2-users" in run("id -Gn dora").split()


def test_a_login_shell_on_a_terminal(machine):
    with machine.person.ssh("erin") as terminal:
        machine.person.approve(machine.person.read_prompt(terminal), "erin")
        terminal.send_line()
        terminal.expect(r"erin@\S+:~\$ ")
        terminal.send_line("echo I am $(whoami) on $(tty)")
        terminal.expect(r"I am erin on /dev/pts/\d+")
        terminal.expect(r"erin@\S+:~\$ ")
        terminal.send_line("exit 7")
        assert terminal.wait() == 7


def test_the_prompt_says_what_a_person_needs(machine):
    with machine.person.ssh("fred", "true") as terminal:
        prompt = machine.person.read_prompt(terminal)
    assert prompt.url.startswith("https://idp.test:8443/device")
    assert re.search(texts.DO_NOT_APPROVE, prompt.text)
    assert re.search(texts.QR, prompt.text), prompt.text
    for wanted in ("fred", "127.0.0.1", "sandbox"):
        assert wanted in prompt.text, prompt.text


def _make_sure_of(machine, name):
    ended = machine.person.first_login(name)
    assert ended.status == 0, ended.screen


def _state(machine):
    """The published file as an inode (it is only ever replaced), and the rows of the store."""
    info = machine.sandbox.path(product.PUBLISHED).stat()
    tables = machine.store("select name from sqlite_schema where type = 'table'").split()
    rows = {table: machine.store(f"select count(*) from {table}") for table in tables}
    return info.st_ino, info.st_mtime_ns, rows
