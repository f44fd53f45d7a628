"""`oauth2ctl doctor` where nothing, or not everything, is set up."""

from rig import product
from rig.doctor import ask, healthy
from rig.machine import Machine

NO_KEY = {"C4": "not_applicable", "C5": "warning"}


def test_a_machine_that_is_not_configured_is_told_so_and_its_local_accounts_are_looked_at():
    with Machine("bookworm", config=None, provider=None) as machine:
        report = ask(machine.sandbox)
        assert report.status == 5
        states = report.states()
        assert set(states.values()) == {"ok", "not_applicable"}
        for check in ("P1", "P3", "P5", "S1", "N1", "B1"):
            assert states[check] == "ok", report.checks[check]
        machine.sandbox.run("touch /etc/nologin")
        assert ask(machine.sandbox).status == 1, "a fault is a fault without a configuration too"


def test_a_configuration_alone_is_not_enough():
    with Machine("bookworm", enabled=False) as machine:
        report = ask(machine.sandbox)
        assert report.status == 1
        assert report.states()["U2"] == "fault" and "store migrate" in report.checks["U2"]["remedy"]
        machine.sandbox.run(report.checks["U2"]["remedy"])
        report = ask(machine.sandbox)
        assert report.troubles() == {**NO_KEY, "P6": "warning", "S2": "not_asked"}
        assert report.status == 3
        product.enable(machine.sandbox)
        assert ask(machine.sandbox).troubles() == NO_KEY


def test_debian_13_is_as_healthy():
    with healthy("trixie") as machine:
        assert ask(machine.sandbox).troubles() == {}


def _local_profile(sandbox):
    sandbox.run("pam-auth-update --package --disable oauth2 --enable oauth2-local")


def test_where_people_exist_already_the_name_service_is_not_asked_and_the_profile_is_the_local_one():
    earlier = {key: value for key, value in product.ID_TOKEN.items() if key != "provisioning"}
    with Machine("bookworm", config=earlier, enabled=False) as machine:
        sandbox = machine.sandbox
        sandbox.run("sed -i 's/ oauth2//' /etc/nsswitch.conf && oauth2ctl store migrate && oauth2ctl publish")
        report = ask(sandbox)
        assert report.states()["P6"] == "fault" and report.status == 1
        sandbox.run(report.checks["P6"]["remedy"])
        report = ask(sandbox)
        not_ours = ("C4", "C5", "P2", "P6", "N1", "N4", "N5")
        assert report.troubles() == {check: "not_applicable" for check in not_ours}
        assert report.status == 0
        assert "localu" in report.checks["S2"]["saw"]


def test_useradd_mode_is_as_healthy():
    with Machine("bookworm", config={**product.ID_TOKEN, "provisioning": "useradd"}, enabled=False) as machine:
        _local_profile(machine.sandbox)
        product.enable(machine.sandbox)
        assert machine.person.first_login("ann").status == 0
        report = ask(machine.sandbox)
        assert report.troubles() == NO_KEY, report.checks
        assert "1 people" in report.checks["U2"]["saw"]
