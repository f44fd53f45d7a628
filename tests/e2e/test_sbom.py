"""What the packages say they are made of, against what is in their programs."""

import gzip
import json
import re
import subprocess

import pytest

from rig import product
from rig.namespaces import workspace

CRATES = {"libnss-oauth2": "nss_oauth2", "libpam-oauth2": "pam_oauth2", "oauth2ctl": "oauth2ctl"}


def unpacked(deb):
    place = workspace() / f"{deb.name}.files"
    if not place.exists():
        subprocess.run(["dpkg-deb", "--extract", deb, place], check=True)
    return place


@pytest.fixture(params=CRATES)
def package(request):
    """(name, its list of components, its debug symbols)"""
    name = request.param
    [deb] = [deb for deb in product.packages() if deb.name.startswith(f"{name}_")]
    [listed] = unpacked(deb).glob(f"usr/share/doc/{name}/sbom-*.cdx.json*")
    text = gzip.decompress(listed.read_bytes()) if listed.suffix == ".gz" else listed.read_bytes()
    symbols = deb.with_name(deb.name.replace("_", "-dbgsym_", 1))
    [debug] = unpacked(symbols).glob("usr/lib/debug/.build-id/*/*.debug")
    plain = workspace() / f"{name}.debug"
    subprocess.run(["objcopy", "--decompress-debug-sections", debug, plain], check=True)
    return name, json.loads(text), plain


def test_every_crate_with_code_in_the_program_is_listed(package):
    name, listed, debug = package
    known = {(part["name"], part["version"]) for part in listed["components"]}
    lines = subprocess.run(["strings", "-a", debug], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = set(re.findall(r"cargo/registry/src/[^/]+/([A-Za-z0-9_-]+?)-(\d+\.\d+\.\d+[^/\s]*)/", lines))
    assert len(found) >= 3 and found <= known, found - known


def test_it_names_the_program_its_licences_and_the_sources_of_every_part(package):
    name, listed, _ = package
    about = listed["metadata"]["component"]
    assert about["name"] == name and about["bom-ref"].startswith(CRATES[name] + "@")
    assert "timestamp" in listed["metadata"]
    parts = {part["name"]: part for part in listed["components"]}
    assert all(part["licenses"] for part in parts.values())
    ours = {name for name, part in parts.items() if "hashes" not in part}
    assert ours <= {"shared", "pam_oauth2", "nss_oauth2", "std"}
    references = {part["bom-ref"] for part in [about, *listed["components"]]}
    assert {entry["ref"] for entry in listed["dependencies"]} == references
    assert {to for entry in listed["dependencies"] for to in entry["dependsOn"]} < references


def test_the_name_service_module_lists_neither_a_database_nor_a_network(package):
    name, listed, _ = package
    parts = {part["name"] for part in listed["components"]}
    foreign = {"rusqlite", "libsqlite3-sys", "rustls", "reqwest", "serde_json", "aws-lc-sys"}
    assert parts & foreign == (set() if name == "libnss-oauth2" else foreign)
