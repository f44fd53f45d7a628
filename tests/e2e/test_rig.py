"""The rig itself: machines without the product behave as Debian does."""

import pytest

from rig import local_people
from rig.machine import Machine


@pytest.fixture(scope="module")
def plain(release):
    with Machine(release, config=None, installed=False) as ready:
        yield ready


def test_every_way_in_works_without_the_product(plain):
    assert local_people.broken_ways_in(plain) == {}


def test_a_stranger_is_refused_without_the_product(plain):
    assert plain.person.knock("ann", "whatever").status == 255
    assert "Invalid user ann" in plain.sandbox.log()


def test_the_provider_is_reached_by_its_name_from_inside(plain):
    ask = "import socket; socket.create_connection(('idp.test', 8443), 5)"
    plain.sandbox.run(["python3", "-c", ask])
    assert plain.provider.control.counters()["tcp_connections"] == 1


def test_a_refused_stranger_leaves_no_traces(plain):
    traces = plain.traces()
    plain.person.knock("ann", "whatever")
    traces.assert_none()
