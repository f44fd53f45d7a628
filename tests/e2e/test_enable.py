"""`oauth2ctl enable sshd` proves the stacks first; the other commands an administrator has."""

import json

import pytest

from rig import product
from rig.machine import Machine


@pytest.fixture
def fresh():
    with Machine("bookworm", enabled=False) as ready:
        yield ready


def test_before_it_is_enabled_no_stranger_gets_in(fresh):
    fresh.sandbox.run("oauth2ctl store migrate")
    watch = fresh.watch()
    assert fresh.person.try_everything("ann") == 255
    watch.assert_no_network()


def test_enabling_lets_strangers_in_and_disabling_ends_that(fresh):
    product.enable(fresh.sandbox)
    assert fresh.person.first_login("ann").status == 0
    fresh.sandbox.run("oauth2ctl disable sshd")
    watch = fresh.watch()
    assert fresh.person.try_everything("bob") == 255
    watch.assert_no_network()
    # Whoever is known stays known.
    assert fresh.person.login_again("ann", command="id -un").output.strip() == "ann"


def test_a_sshd_that_does_not_ask_pam_is_not_enabled_and_what_was_enabled_ends(fresh):
    product.enable(fresh.sandbox)
    fresh.sandbox.run("sed -i 's/^UsePAM yes/UsePAM no/' /etc/ssh/sshd_config")
    done = fresh.sandbox.run("oauth2ctl enable sshd --no-drop-in", check=False)
    assert done.returncode == 1
    assert "UsePAM" in done.stderr
    assert not fresh.sandbox.succeeds(["test", "-e", product.PARAMETERS])


def test_the_drop_in_turns_keyboard_interactive_on_for_our_people_alone(fresh):
    run = fresh.sandbox.run
    run("sed -i 's/^KbdInteractiveAuthentication .*/KbdInteractiveAuthentication no/' /etc/ssh/sshd_config")
    refused = fresh.sandbox.run("oauth2ctl enable sshd", check=False)
    assert refused.returncode == 1 and "Include" in refused.stderr
    run("sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config")
    before = fresh.sandbox.output("ls /etc/ssh/sshd_config.d; cat /etc/ssh/sshd_config")
    assert "systemctl reload ssh" in run("oauth2ctl enable sshd").stdout

    def interactive(name):
        return fresh.sandbox.output(f"sshd -T -C user={name},host=h,addr=192.0.2.1 | grep ^kbdinteractive")

    # A name that nobody has seen is in the group already: sshd resolves it as it will at the first login.
    assert interactive("a-stranger").endswith("yes")
    assert interactive("localu").endswith("no") and interactive("root").endswith("no")
    run("oauth2ctl disable sshd")
    assert fresh.sandbox.output("ls /etc/ssh/sshd_config.d; cat /etc/ssh/sshd_config") == before
    assert interactive("a-stranger").endswith("no")


def test_a_range_that_a_subordinate_range_overlaps_is_not_enabled(fresh):
    fresh.sandbox.run("echo localu:1879048192:65536 > /etc/subuid")
    done = fresh.sandbox.run("oauth2ctl enable sshd --no-drop-in", check=False)
    assert done.returncode == 1 and "/etc/subuid" in done.stderr


def test_enabling_twice_is_the_same_as_once(fresh):
    product.enable(fresh.sandbox)
    again = json.loads(fresh.sandbox.output("oauth2ctl enable sshd --no-drop-in --json"))
    assert again["changed"] is False and "proved again" in str(again["messages"])
    assert fresh.person.first_login("ann").status == 0


def test_the_probe_rows_are_gone_afterwards(fresh):
    product.enable(fresh.sandbox)
    assert "oauth2-probe" not in fresh.sandbox.output("getent passwd")
    assert fresh.store("select count(*) from identity") == "0"
    assert fresh.store("select count(*) from tombstone") == "0"


@pytest.mark.parametrize("change", ["account line", "module file", "nsswitch"])
def test_a_machine_whose_stacks_do_not_hold_is_not_enabled(fresh, change):
    fresh.sandbox.run("oauth2ctl store migrate")
    if change == "account line":
        product.remove_account_line(fresh.sandbox)
    elif change == "module file":
        fresh.sandbox.path(product.MODULE).unlink()
    else:
        fresh.sandbox.run("sed -i 's/ oauth2//' /etc/nsswitch.conf")
    done = fresh.sandbox.run("oauth2ctl enable sshd --no-drop-in", check=False)
    assert done.returncode != 0
    assert done.stderr.strip()
    assert fresh.person.try_everything("ann") == 255
    assert "oauth2-probe" not in fresh.sandbox.output("getent passwd")


def test_a_changed_configuration_waits_for_a_publication(fresh):
    product.enable(fresh.sandbox)
    assert fresh.person.first_login("ann").status == 0
    product.configure(fresh.sandbox, {**product.ID_TOKEN, "http_timeout": 9})
    watch = fresh.watch()
    assert fresh.person.try_everything("bob") == 255
    watch.assert_no_network()
    watch.one_verdict("refused", "config_changed")
    assert fresh.person.login_again("ann").status == 0
    fresh.sandbox.run("oauth2ctl publish")
    assert fresh.person.first_login("bob").status == 0


def test_user_list_show_and_remove(fresh):
    product.enable(fresh.sandbox)
    assert fresh.person.first_login("ann").status == 0
    run = fresh.sandbox.output
    assert "ann" in run("oauth2ctl user list")
    assert str(fresh.uid_of("ann")) in run("oauth2ctl user show ann")
    run("oauth2ctl user remove ann")
    assert fresh.resolves("ann") is None
    assert fresh.store("select count(*) from tombstone") == "1"
    assert not fresh.sandbox.succeeds("oauth2ctl user show nobody-of-that-name")


def test_a_misspelt_key_is_named_by_config_validate(fresh):
    config = {**product.ID_TOKEN, "alowed_groups": ["x"]}
    product.configure(fresh.sandbox, config)
    done = fresh.sandbox.run("oauth2ctl config validate", check=False)
    assert done.returncode != 0
    assert "alowed_groups" in done.stdout + done.stderr


def test_only_root_may_use_the_commands(fresh):
    fresh.sandbox.run("oauth2ctl store migrate")
    for command in ("enable sshd --no-drop-in", "publish", "user list", "user remove ann"):
        assert not fresh.sandbox.succeeds(f"oauth2ctl {command}", user=1000), command
