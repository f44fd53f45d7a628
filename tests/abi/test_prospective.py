"""First logins: the module inside a program that is sshd by its path. Python itself plays sshd: its file is put where
Fedora keeps sshd-session, in this mount namespace only."""

import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import textwrap

import pytest

from make_db import Group, Person

HERE = pathlib.Path(__file__).parent
PARAMETERS = pathlib.Path("/var/lib/pam_oauth2_device/private/first-login")
SSHD = pathlib.Path("/usr/libexec/openssh/sshd-session")
PEOPLE = 2147352575

TEXT = f"""oauth2-first-login 1
config_digest {"07" * 32}
profile oauth2
uid_range 1879048192 2130706431
gid_range 2130706432 2147352575
home /home/{{name}}
shell /bin/bash
preserve_case 0
pattern *@example.com
people_group oauth2-users {PEOPLE}
refused_name idp-staff
"""


@pytest.fixture(scope="module")
def sshd():
    os.makedirs("/usr/libexec", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/usr/libexec"], check=True)
    SSHD.parent.mkdir()
    shutil.copyfile(os.path.realpath(sys.executable), SSHD)
    SSHD.chmod(0o755)

    def run(code, program=SSHD):
        code = f"import sys; sys.path.insert(0, {str(HERE)!r})\nfrom module import Module\nm = Module()\n" + \
            textwrap.dedent(code)
        environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
        return eval(subprocess.run([program, "-c", code], env=environment, capture_output=True, text=True,
                                   check=True).stdout)

    yield run
    subprocess.run(["umount", "--lazy", "/usr/libexec"], check=True)


@pytest.fixture(autouse=True)
def parameters(publish):
    PARAMETERS.parent.mkdir(mode=0o700, exist_ok=True)
    PARAMETERS.write_text(TEXT)
    PARAMETERS.chmod(0o600)
    publish([Person("bob@example.com", 1879060000)], [Group("oauth2-users", PEOPLE)])
    yield
    PARAMETERS.unlink(missing_ok=True)


ASK = "print([m.getpwnam('ann@example.com'), m.getgrnam('ann@example.com'), m.initgroups('ann@example.com')[2]])"
NOBODY = [(0, 2, None), (0, 2, None), [7]]


def test_root_inside_sshd_gets_the_account_that_the_first_login_would_make(sshd):
    person, group, gids = sshd(ASK)
    name, password, uid, gid, gecos, home, shell = person[2]
    assert (name, password, gecos, home, shell) == ("ann@example.com", "x", "", "/home/ann@example.com", "/bin/bash")
    assert uid == gid and 1879048192 <= uid <= 2130706431
    assert group == (1, 4711, ("ann@example.com", "x", uid, []))
    assert gids == [7, PEOPLE]


def test_the_private_group_is_not_served_by_number_and_nothing_is_enumerated(sshd):
    assert sshd("u = m.getpwnam('ann@example.com')[2][2]; print(m.getgrgid(u)[0], m.getpwuid(u)[0], sep=',')") == (0, 0)
    assert sshd("print(len(m.people()))") == 1


def test_in_any_other_program_the_name_is_absent(sshd):
    assert sshd(ASK, program=sys.executable) == NOBODY


def test_a_replaced_sshd_is_still_sshd(sshd):
    copy = SSHD.with_name("kept")
    shutil.copy2(SSHD, copy)
    try:
        assert sshd(f"import os; os.rename({str(copy)!r}, {str(SSHD)!r})\n" + ASK) != NOBODY
    finally:
        copy.unlink(missing_ok=True)


def test_sshd_without_roots_rights_gets_nothing(sshd):
    assert sshd("import os; os.seteuid(65534)\n" + ASK) == NOBODY


@pytest.mark.parametrize("name", ["ann", "Ann@example.com", "ann@example.org", "ann@example.com.", "root", "idp-staff"])
def test_a_name_that_no_pattern_admits_is_absent(sshd, name):
    assert sshd(ASK.replace("ann@example.com", name)) == NOBODY


def test_a_removed_name_is_absent(sshd, publish):
    publish(removed=["ann@example.com"])
    assert sshd(ASK) == NOBODY


def test_a_uid_that_is_somebody_elses_is_never_handed_out(sshd, publish):
    uid = sshd("print(m.getpwnam('ann@example.com')[2][2])")
    for options in ({"people": [Person("eve", uid)]}, {"groups": [Group("eve", uid)]}, {"removed": [uid]}):
        publish(**options)
        assert sshd("print(m.getpwnam('ann@example.com'))") == (0, 2, None), options


def test_a_name_that_a_published_group_has_is_absent(sshd, publish):
    publish(groups=[Group("ann@example.com", 2130706500)])
    assert sshd("print(m.getpwnam('ann@example.com')[0], m.getgrnam('ann@example.com')[2][2], sep=',')") == (0, 2130706500)


def test_a_home_that_exists_may_hold_keys_of_a_stranger(sshd, tmp_path):
    PARAMETERS.write_text(TEXT.replace("/home/{name}", f"{tmp_path}/{{name}}"))
    assert sshd(ASK)[0][0] == 1
    os.symlink("nowhere", tmp_path / "ann@example.com")
    assert sshd(ASK) == NOBODY


def test_without_a_usable_parameter_file_everybody_is_absent(sshd):
    PARAMETERS.chmod(0o620)
    assert sshd(ASK) == NOBODY
    PARAMETERS.chmod(0o600)
    os.chown(PARAMETERS, pwd.getpwnam("daemon").pw_uid, 0)
    assert sshd(ASK) == NOBODY
    PARAMETERS.unlink()
    PARAMETERS.write_text(TEXT.replace("home ", "house "))
    PARAMETERS.chmod(0o600)
    assert sshd(ASK) == NOBODY
    PARAMETERS.unlink()
    assert sshd(ASK) == NOBODY


def test_without_a_published_database_nobody_is_prospective(sshd, publish):
    from conftest import remove
    remove()
    assert sshd(ASK) == [(-1, 2, None), (-1, 2, None), [7]]
    publish(user_version=9)
    assert sshd(ASK) == [(-1, 5, None), (-1, 5, None), [7]]
