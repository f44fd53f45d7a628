"""oauth2ctl status: one screen."""

import datetime

from rig import ctl, product
from rig.ctl import ask, confirm, say
from rig.machine import Machine


def test_a_machine_that_is_not_configured_says_so_with_exit_code_5():
    with Machine("bookworm", config=None, provider=None) as machine:
        answer = ask(machine, "status", 5)
        assert answer["error"]["kind"] == "not_configured" and not answer["status"]["configured"]
        assert answer["status"]["pam_profile"] == "oauth2" and answer["status"]["nss"] is True
        assert answer["status"]["first_logins"] == "off"


def test_a_machine_in_use_is_one_screen():
    with ctl.unconfigured_provider(Machine) as machine:
        for name in ("ann", "bob", "carl"):
            ask(machine, f"user add {name}")
        confirm(machine, "ann")
        ask(machine, "user lock bob")
        ask(machine, "user remove carl")
        status = ask(machine, "status")["status"]
        assert status["configured"] and status["provisioning"] == "store"
        assert status["provider"] == "https://idp.test:8443"
        assert status["people"] == {"confirmed": 1, "locked": 1, "removed": 1}
        assert status["last_sign_in"] == str(datetime.datetime.now(datetime.timezone.utc).date())
        assert status["nss_db_age_seconds"] < 300 and status["pam_profile_fits"] is True
        assert len(say(machine, "status").splitlines()) < 24
        machine.sandbox.write(product.CONFIG, "{", 0o600)
        broken = ask(machine, "status")["status"]
        assert not broken["configured"] and "line 1" in broken["config_error"]
        assert broken["people"]["confirmed"] == 1
