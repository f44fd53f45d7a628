"""People before their first login, after their removal, and under a new name."""

import datetime

import pytest

from rig import product
from rig.machine import Machine

CONFIG = {**product.ID_TOKEN, "first_login": []}
# Both are decided by sshd before it asks PAM: the groups of a reserved name must be there already.
SSHD = {"AllowGroups": "idp-staff ops", "KbdInteractiveAuthentication": "no",
        "Match": "Group idp-staff,ops\nKbdInteractiveAuthentication yes"}
YESTERDAY = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def machine(release):
    with Machine(release, config=CONFIG) as ready:
        yield ready


@pytest.fixture(scope="module")
def by_groups(release):
    with Machine(release, config=CONFIG, sshd=SSHD) as ready:
        ready.sandbox.run("groupadd -g 1600 ops")
        yield ready


def ctl(machine, command, code=0):
    done = machine.sandbox.run(f"oauth2ctl user {command}", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def plant_key(machine, home):
    key = machine.sandbox.read(product.ROOT_KEY + ".pub")
    machine.sandbox.write(f"{home}/.ssh/authorized_keys", key)


# Reservations

def test_only_a_reserved_name_comes_in_where_first_login_is_empty(machine):
    watch = machine.watch()
    assert machine.person.try_everything("stranger") == 255
    watch.assert_no_network()
    ctl(machine, "add nina")
    assert machine.resolves("nina") is not None
    assert not machine.sandbox.succeeds("pamtester cron nina acct_mgmt"), "reserved is not verified"
    assert machine.person.first_login("nina", command="id -un").output.strip() == "nina"
    assert machine.sandbox.succeeds("pamtester cron nina acct_mgmt")
    assert "no change" in ctl(machine, "add nina")


def test_the_first_login_of_a_reserved_name_passes_allow_groups_and_match_group(by_groups):
    ctl(by_groups, "add ann --group idp-staff")
    ended = by_groups.person.first_login("ann", command="id -Gn")
    assert ended.status == 0 and "idp-staff" in ended.output
    ctl(by_groups, "add olga --group ops")
    ended = by_groups.person.first_login("olga", command="id -Gn")
    assert ended.status == 0 and "ops" in ended.output
    # The provider does not say that bob is in the group: the first sign-in takes it away.
    ctl(by_groups, "add bob --group idp-staff")
    assert "idp-staff" in by_groups.sandbox.output("id -Gn bob")
    assert by_groups.person.first_login("bob").status == 0
    assert "idp-staff" not in by_groups.sandbox.output("id -Gn bob")
    ctl(by_groups, "add rolf")
    assert by_groups.person.try_everything("rolf") == 255, "in neither group"


@pytest.mark.parametrize("group, code", [("sudo", 7), ("docker", 4), ("no-such-group", 4), ("root", 7)])
def test_a_privileged_or_unknown_group_is_not_given(by_groups, group, code):
    assert group in ctl(by_groups, f"add zita --group {group}", code)
    assert by_groups.resolves("zita") is None


def test_a_subject_that_was_bound_beforehand_is_the_only_one_who_comes_in(machine):
    ctl(machine, f"add petra --subject {machine.provider.issuer} subject-of-petra")
    watch = machine.watch()
    assert machine.person.first_login("petra").status == 255
    watch.one_verdict("refused", "subject_mismatch")
    machine.provider.people({"petra": {"sub": "subject-of-petra"}})
    assert machine.person.first_login("petra").status == 0


@pytest.mark.parametrize("command, code, says", [
    ("add sudo", 7, "reserved"),
    ("add localu", 7, "localu"),
    ("add idp-staff", 7, "group"),
    ("add Capital", 7, "capital"),
    ("add '0.0'", 7, "login name"),
    ("add uwe --uid 1000", 8, "taken"),
    ("add uwe --uid 2130706500", 7, "gid_range"),
    (f"add uwe --expires {YESTERDAY}", 7, "later than today"),
    ("add uwe --uid 60000000", 2, "container"),
    ("add uwe --subject only-an-issuer", 2, "2"),
])
def test_what_cannot_be_reserved_is_refused_with_its_reason(machine, command, code, says):
    assert says in ctl(machine, command, code)
    assert machine.resolves("uwe") is None


def test_a_pinned_uid_is_the_one_that_the_person_gets(machine):
    ctl(machine, "add vera --uid 4300")
    assert machine.person.first_login("vera", command="id -u; id -g").output.split() == ["4300", "4300"]
    assert machine.sandbox.path("/home/vera").stat().st_uid == 4300
    assert "uid 4300 is vera's" in ctl(machine, "add wim --uid 4300", 8)
    assert "--force" in ctl(machine, "pin vera --uid 4301", 8)
    ctl(machine, "add wim")
    ctl(machine, "pin wim --uid 4302")
    assert machine.person.first_login("wim", command="id -u").output.strip() == "4302"


def test_a_uid_and_a_name_go_back_to_whoever_had_them_and_to_nobody_else(machine):
    ctl(machine, "add otto --uid 4310")
    assert machine.person.first_login("otto").status == 0
    ctl(machine, "pin otto --uid 4311", 8)
    ctl(machine, "pin otto --uid 4311 --force")
    assert "former uid of otto" in ctl(machine, "add olga --uid 4310", 8)
    ctl(machine, "rename otto odo")
    ctl(machine, "pin odo --uid 4310 --force")
    ctl(machine, "rename odo otto")
    assert machine.uid_of("otto") == 4310 and machine.resolves("odo") is None
    assert "former uid of odo" in ctl(machine, "add olga --uid 4311", 8)
    assert machine.person.login_again("otto", command="id -u; pwd").output.split() == ["4310", "/home/otto"]


def test_a_home_that_exists_is_nobodys_until_it_is_adopted(machine):
    machine.sandbox.run("mkdir -m 755 /home/hana && mkdir -m 755 /home/hana/.ssh")
    plant_key(machine, "/home/hana")
    assert "--adopt-home" in ctl(machine, "add hana", 8)
    assert "chown" in ctl(machine, "add hana --adopt-home", 8)
    ctl(machine, "add hana --home /home/hana2")
    ctl(machine, "add jana")
    uid = machine.uid_of("jana")
    machine.sandbox.run(f"cp -a /home/hana /home/jana && chown -R {uid}:{uid} /home/jana")
    watch = machine.watch()
    assert machine.person.try_everything("jana") == 255
    watch.assert_no_network()
    watch.wait_for(r"reason=home_exists .*--adopt-home")
    ctl(machine, "add jana --adopt-home")
    assert machine.person.key_login("jana", product.ROOT_KEY).status == 255, "a key verifies nobody"
    assert machine.person.first_login("jana").status == 0
    assert machine.person.key_login("jana", product.ROOT_KEY).status == 0


# Coming back

def test_who_was_removed_comes_back_as_the_same_person_with_the_same_uid(machine):
    ctl(machine, "add rita")
    assert machine.person.first_login("rita").status == 0
    uid = machine.uid_of("rita")
    ctl(machine, "remove rita")
    watch = machine.watch()
    assert machine.person.try_everything("rita") == 255
    watch.wait_for(r"reason=tombstoned .*oauth2ctl user add rita")
    assert "was removed" in ctl(machine, "show rita", 4)
    assert "--adopt-home" in ctl(machine, "add rita", 8)
    assert f"uid {uid}" in ctl(machine, "add rita --adopt-home")
    machine.provider.people({"rita": {"sub": "another-rita"}})
    assert machine.person.first_login("rita").status == 255, "the name alone is not the person"
    machine.provider.people({})
    ended = machine.person.first_login("rita", command="id -u; pwd")
    assert ended.output.split() == [str(uid), "/home/rita"]


def test_a_new_person_of_an_old_name_gets_neither_the_uid_nor_the_home(machine):
    ctl(machine, "add kurt")
    assert machine.person.first_login("kurt", command="touch secret").status == 0
    old = machine.uid_of("kurt")
    ctl(machine, "remove kurt")
    assert "--uid N" in ctl(machine, "add kurt --reuse-name", 7)
    assert str(old) in ctl(machine, f"add kurt --reuse-name --uid {old}", 8)
    assert "move it away" in ctl(machine, "add kurt --reuse-name --uid 4400", 8)
    assert "somebody else's files" in ctl(machine, "add kurt --reuse-name --uid 4400 --adopt-home", 7)
    machine.sandbox.run("mv /home/kurt /home/kurt.old")
    ctl(machine, "add kurt --reuse-name --uid 4400")
    # The old person, whom the provider still knows, stays shut out.
    watch = machine.watch()
    assert machine.person.first_login("kurt").status == 255
    watch.one_verdict("refused", "tombstoned", "subject_mismatch")
    machine.provider.people({"kurt": {"sub": "the-new-kurt"}})
    ended = machine.person.first_login("kurt", command="id -u; ls")
    assert ended.output.split() == ["4400"]
    assert machine.store(f"select count(*) from tombstone where uid = {old}") == "1"
    assert str(old) in ctl(machine, f"add anja --uid {old}", 8)


# New names and new subjects

def test_a_renamed_person_signs_in_under_the_new_name_with_uid_home_and_keys(machine):
    ctl(machine, "add maria")
    assert machine.person.first_login("maria", command="mkdir -m 700 .ssh").status == 0
    plant_key(machine, "/home/maria")
    uid = machine.uid_of("maria")
    subject = machine.store("select subject from identity where login_name = 'maria'")
    machine.provider.people({"maria": {"sub": "gone"}, "marie": {"sub": subject}})
    watch = machine.watch()
    ctl(machine, "add marie")
    assert machine.person.first_login("marie").status == 255
    watch.wait_for(r"reason=renamed .*oauth2ctl user rename maria marie")
    ctl(machine, "rename maria marie", 8)
    ctl(machine, "remove marie")
    ctl(machine, "rename maria marie --reuse-name")
    assert machine.resolves("maria") is None
    assert machine.sandbox.output(f"id -un {uid}; id -gn {uid}").split() == ["marie", "marie"]
    assert machine.person.key_login("marie", product.ROOT_KEY, "id -un").output.strip() == "marie"
    ended = machine.person.login_again("marie", command="id -u; pwd")
    assert ended.output.split() == [str(uid), "/home/maria"]
    watch = machine.watch()
    assert machine.person.try_everything("maria") == 255
    watch.assert_no_network()
    watch.wait_for(r"reason=tombstoned .*oauth2ctl user show maria")
    assert f"uid {uid} is marie now" in ctl(machine, "show maria", 4)
    assert "former name of marie" in ctl(machine, "add maria", 8)
    assert "no change" in ctl(machine, "rename maria marie")


def test_a_person_with_another_subject_is_bound_anew_by_the_command_in_the_log(machine):
    ctl(machine, "add tine")
    assert machine.person.first_login("tine").status == 0
    machine.provider.people({"tine": {"sub": "tine-anew"}})
    watch = machine.watch()
    assert machine.person.login_again("tine").status == 255
    watch.wait_for(r"reason=subject_mismatch .*oauth2ctl user bind tine \S+ tine-anew --force")
    bind = f"bind tine {machine.provider.issuer} tine-anew"
    assert "--force" in ctl(machine, bind, 8)
    ctl(machine, bind + " --force")
    assert machine.person.login_again("tine").status == 0
    detail = machine.store("select detail from event where kind = 'bound' and login_name = 'tine'")
    assert detail.startswith("old=") and detail.endswith("tine-anew")


def test_a_user_of_the_machine_is_bound_before_they_have_signed_in():
    allowed = {**product.ID_TOKEN, "local_users": "allow"}
    with Machine("bookworm", config=allowed, enabled=False, provider=None) as ready:
        ready.sandbox.run("oauth2ctl store migrate")
        assert "bound" in ctl(ready, "bind localu https://idp.test:8443 subject-of-localu")
        assert "reserved" in ctl(ready, "show localu")
        assert ready.store("select uid, home from identity") == "1000|/home/localu"
        assert "taken as it is" in ctl(ready, "pin localu --uid 4500", 7)
        assert "usermod -l" in ctl(ready, "rename localu locala", 8)
        ready.sandbox.run("usermod -l locala localu")
        ctl(ready, "rename localu locala")
        assert ctl(ready, "bind sshd https://idp.test:8443 s", 4)


def test_each_command_teaches_itself(machine):
    for command in ("add", "lock", "unlock", "expire", "remove", "rename", "bind", "pin"):
        assert len(ctl(machine, f"{command} --help").splitlines()) > 6, command
