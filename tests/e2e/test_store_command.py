"""oauth2ctl store and publish: checked, copied, restored, published."""

import pytest

from rig import ctl, product
from rig.ctl import ask, confirm, say
from rig.machine import Machine

BACKUP = "/root/backup.db"


@pytest.fixture
def machine():
    with ctl.unconfigured_provider(Machine) as ready:
        ask(ready, "user add ann")
        confirm(ready, "ann")
        yield ready


def backup(machine):
    machine.sandbox.run(f"rm -f {BACKUP}")
    assert ask(machine, f"store backup {BACKUP}")["changed"]


# Check

def test_a_whole_store_is_found_whole_and_nothing_is_touched(machine):
    before = ctl.files(machine)
    answer = ask(machine, "store check")
    assert answer["ok"] and answer["faults"] == [] and answer["published_differences"] == []
    assert answer["schema"] == answer["schema_of_this_version"]
    assert ctl.touched(before, ctl.files(machine)) == []


@pytest.mark.parametrize("spoil, says", [
    (f"sqlite3 {product.STORE} \"update identity set shell = '/bin/sh' where login_name = 'ann'\"", "passwd"),
    (f"rm {product.PUBLISHED}", "nss.db"),
    (f"chmod 600 {product.PUBLISHED}", "0600"),
    (f"truncate -s 8192 {product.PUBLISHED}.x; mv {product.PUBLISHED}.x {product.PUBLISHED}; chmod 644 {product.PUBLISHED}",
     "nss.db"),
    ("useradd -u 4711 other", "header"),
])
def test_what_is_published_and_not_so_is_found_and_mended_by_publish(machine, spoil, says):
    machine.sandbox.run(spoil)
    answer = ask(machine, "store check", 1)
    assert not answer["ok"] and says in " ".join(answer["published_differences"]), answer
    answer = ask(machine, "publish")
    assert answer["changed"] and answer["differences"]
    assert ask(machine, "store check")["ok"]
    before = ctl.files(machine)
    assert not ask(machine, "publish")["changed"]
    assert ctl.touched(before, ctl.files(machine)) == []


def test_a_damaged_store_is_found(machine):
    machine.sandbox.run(f"sqlite3 {product.STORE} \"update identity set login_name = 'Not A Name'\"")
    assert "damaged" in " ".join(ask(machine, "store check", 1)["faults"])


# Backup

def test_a_backup_is_private_whole_and_overwrites_nothing(machine):
    backup(machine)
    assert machine.sandbox.output(f"stat -c '%a %U' {BACKUP}") == "600 root"
    assert machine.sandbox.output(f"sqlite3 {BACKUP} 'pragma integrity_check; select login_name from identity'") == "ok\nann"
    before = machine.sandbox.path(BACKUP).read_bytes()
    assert ask(machine, f"store backup {BACKUP}", 8)["error"]
    assert machine.sandbox.path(BACKUP).read_bytes() == before
    machine.sandbox.run(f"ln -s /root/elsewhere {BACKUP}.link")
    ask(machine, f"store backup {BACKUP}.link", 8)


def test_a_path_that_is_no_text_is_refused_and_nothing_is_left(machine):
    done = machine.sandbox.run("oauth2ctl store backup $(printf '/srv/\\377.db')", check=False)
    assert done.returncode == 1 and "UTF-8" in done.stderr
    assert machine.sandbox.output("ls -A /srv | grep -c db || true") == "0"


def test_a_full_disk_leaves_no_half_backup(machine):
    machine.sandbox.run("mkdir /srv/small && mount -t tmpfs -o size=16k none /srv/small")
    assert ask(machine, "store backup /srv/small/backup.db", 1)["error"]
    assert machine.sandbox.output("ls -A /srv/small") == ""


# Restore

def test_a_restored_store_is_published_and_the_old_one_kept(machine):
    backup(machine)
    ask(machine, "user lock ann")
    before = ctl.files(machine)
    assert ask(machine, f"store restore {BACKUP}", 8)["lifted"] == ["ann is locked"]
    assert ctl.touched(before, ctl.files(machine)) == []
    answer = ask(machine, f"store restore {BACKUP} --force")
    assert answer["changed"]
    assert ask(machine, "user show ann")["user"]["state"] == "confirmed"
    assert machine.sandbox.succeeds("pamtester cron ann acct_mgmt")
    assert ask(machine, "store check")["ok"]
    kept = machine.sandbox.output(f"sqlite3 {answer['kept']} 'select state from identity'")
    assert kept == "locked"
    assert machine.sandbox.output(f"stat -c %a {product.STORE} {answer['kept']}").split() == ["600", "600"]
    before = ctl.files(machine)
    assert not ask(machine, f"store restore {BACKUP}")["changed"]
    assert ctl.touched(before, ctl.files(machine)) == []


def test_numbers_that_would_be_nobodys_need_force(machine):
    backup(machine)
    ask(machine, "user add bob --uid 4300")
    ask(machine, "user add carl --uid 4301")
    ask(machine, "user remove carl")
    ask(machine, "user remove ann")
    before = ctl.files(machine)
    answer = ask(machine, f"store restore {BACKUP}", 8)
    assert sorted(line.split()[0] for line in answer["lost"]) == ["4300", "4301"]
    assert answer["returning"] == ["ann"]
    assert ctl.touched(before, ctl.files(machine)) == []
    assert ask(machine, f"store restore {BACKUP} --force")["changed"]
    assert machine.resolves("bob") is None and machine.resolves("ann") is not None


@pytest.mark.parametrize("spoil, says", [
    ("chown localu {0}", "belongs to"),
    ("chmod 666 {0}", "writ"),
    ("dd if=/dev/urandom of={0} bs=1k seek=4 count=8 conv=notrunc", ""),
    ("echo nothing >{0}", ""),
    ("sqlite3 {0} \"update meta set min_reader = 99; pragma user_version = 99\"", "upgrade"),
    ("mv {0} {0}.real; ln -s {0}.real {0}", ""),
    ("rm {0}", "No such file"),
])
def test_what_is_no_backup_of_roots_own_changes_nothing(machine, spoil, says):
    backup(machine)
    ask(machine, "user lock ann")
    machine.sandbox.run(spoil.format(BACKUP))
    before = ctl.files(machine)
    assert says in say(machine, f"store restore {BACKUP}", 1)
    changed = [path for path in ctl.touched(before, ctl.files(machine)) if "backup" not in path]
    assert changed == []


def test_a_lost_store_comes_back(machine):
    backup(machine)
    uid = machine.uid_of("ann")
    machine.sandbox.run(f"rm -rf {product.STATE}")
    ask(machine, f"store restore {BACKUP}")
    assert machine.uid_of("ann") == uid
    machine.sandbox.run(f"dd if=/dev/zero of={product.STORE} bs=4k count=1 conv=notrunc")
    ask(machine, f"store restore {BACKUP}")
    assert ask(machine, "store check")["ok"]
