"""Programs of Debian that stand beside the product on a machine; tests/setup has fetched their packages."""

import subprocess

from .namespaces import workspace
from .product import REPOSITORY


def deb(name):
    found = sorted(REPOSITORY.glob(f"target/debs/{name}_*.deb"))
    if not found:
        raise AssertionError(f"the package {name} is missing in target/debs: run tests/setup")
    return found[-1]


def install(sandbox, *names):
    """As dpkg does; for the release that the tests themselves run on."""
    place = sandbox.path("/srv/others")
    place.mkdir(exist_ok=True)
    for name in names:
        (place / f"{name}.deb").write_bytes(deb(name).read_bytes())
    sandbox.run(["dpkg", "-i", *(f"/srv/others/{name}.deb" for name in names)], timeout=120)


def unpack(name):
    """The files of a package in a directory of the tests' own."""
    place = workspace() / f"unpacked-{name}"
    if not place.exists():
        subprocess.run(["dpkg-deb", "--extract", deb(name), place], check=True)
    return place
