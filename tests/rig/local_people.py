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
        if problem:
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


def _cron(machine):
    """cron(8) runs an @reboot job at its start: no need to wait for the next minute."""
    sandbox = machine.sandbox
    sandbox.run("echo '@reboot id -u > /tmp/cron-was-here' | crontab -u localu -")
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
        sandbox.run("pkill -x cron", check=False)
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
}
