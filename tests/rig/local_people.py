"""What must always work on a machine, whatever state the product is in."""

from . import texts
from .patience import wait_until
from .product import LOCAL_PASSWORD, ROOT_KEY, ROOT_PASSWORD
from .ssh_client import KEYBOARD, PASSWORD


def broken_ways_in(machine):
    """Tries every way in of root and localu; returns those that do not work, with what they said."""
    broken = {}
    for name, attempt in _WAYS.items():
        problem = attempt(machine)
        if problem is not None:
            broken[name] = problem
    return broken


def _expect_id(ended, uid):
    return None if ended.status == 0 and ended.output.strip() == str(uid) else ended.screen or "?"


def _root_key(machine):
    return _expect_id(machine.person.key_login("root", ROOT_KEY, "id -u"), 0)


def _root_password(machine):
    return _expect_id(machine.person.password_login("root", ROOT_PASSWORD, "id -u", PASSWORD), 0)


def _local_keyboard(machine):
    return _expect_id(machine.person.password_login("localu", LOCAL_PASSWORD, "id -u", KEYBOARD), 1000)


def _local_password(machine):
    return _expect_id(machine.person.password_login("localu", LOCAL_PASSWORD, "id -u", PASSWORD), 1000)


def _sudo(machine):
    done = machine.sandbox.run("sudo -k -S id -u", user=1000, check=False, input=LOCAL_PASSWORD + "\n")
    return None if done.stdout.strip() == "0" else done.stdout + done.stderr


def _su_from_root(machine):
    done = machine.sandbox.run("su localu -c 'id -u'", check=False)
    return None if done.stdout.strip() == "1000" else done.stdout + done.stderr


def _su_to_root(machine):
    argv = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "su", "-c", "id -u"]
    with machine.person.start(argv) as terminal:
        if not terminal.shows(texts.PASSWORD):
            return terminal.screen
        terminal.send_line(ROOT_PASSWORD)
        terminal.wait()
        return None if terminal.rest().strip() == "0" else terminal.screen


# As the package systemd of Debian has it, but for SELinux and the process' audit number.
SYSTEMD_USER = """@include common-account
session required pam_limits.so
@include common-session-noninteractive
session optional pam_systemd.so
"""


def _pamtester(machine, service, *operations, typed=""):
    done = machine.sandbox.run(["pamtester", service, "localu", *operations], check=False, input=typed)
    return None if done.returncode == 0 else done.stdout + done.stderr


def _console(machine):
    """What login(1) asks on a terminal of the machine itself; the program of Debian 13 takes none of ours for one."""
    return _pamtester(machine, "login", "authenticate", "acct_mgmt", typed=LOCAL_PASSWORD + "\n")


def _user_services(machine):
    """What the manager of a user's services asks before it starts."""
    service = machine.sandbox.path("/etc/pam.d/systemd-user")
    if service.exists():
        return _pamtester(machine, service.name, "acct_mgmt", "open_session")
    machine.sandbox.write("/etc/pam.d/systemd-user", SYSTEMD_USER)
    try:
        return _pamtester(machine, service.name, "acct_mgmt", "open_session")
    finally:
        service.unlink()


def _cron(machine):
    """cron(8) runs an @reboot job at its start: no need to wait for the next minute."""
    sandbox = machine.sandbox
    # No table of the user's own: /var may be read-only.
    sandbox.write("/etc/cron.d/was-here", "@reboot localu id -u > /tmp/cron-was-here\n")
    sandbox.run("rm -f /tmp/cron-was-here /run/crond.reboot /run/crond.pid")
    cron = sandbox.popen(["cron", "-f"])
    try:
        wait_until(lambda: sandbox.path("/tmp/cron-was-here").exists(), "the cron job", 5)
        wait_until(lambda: sandbox.read("/tmp/cron-was-here").strip() == "1000", "its output", 5)
    except AssertionError as problem:
        return f"{problem}\n{sandbox.log()[-1000:]}"
    finally:
        cron.kill()
        cron.wait()
        sandbox.run("pkill -x cron; rm /etc/cron.d/was-here", check=False)
    return None


_WAYS = {
    "root by key": _root_key,
    "root by password": _root_password,
    "localu by keyboard-interactive": _local_keyboard,
    "localu by the password method": _local_password,
    "sudo": _sudo,
    "su from root": _su_from_root,
    "su to root": _su_to_root,
    "cron": _cron,
    "login on a console": _console,
    "systemd --user": _user_services,
}
