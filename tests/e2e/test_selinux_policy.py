"""The SELinux policy: it compiles, with and without a policy's headers, and labels every path there is."""

import re
import shutil
import subprocess

import pytest

from rig import enterprise, product
from rig.namespaces import workspace

SOURCE = product.REPOSITORY / "rpm/selinux"
HEADERS = "/usr/share/selinux/devel/Makefile"
TYPES = {"/etc": "pam_oauth2_conf_t", "/var/lib": "pam_oauth2_var_t", "/run": "pam_oauth2_run_t", "/var/log": "pam_oauth2_log_t"}


@pytest.fixture
def copy(tmp_path_factory):
    """make writes beside its sources."""
    place = workspace() / tmp_path_factory.mktemp("policy").name
    shutil.copytree(SOURCE, place)
    return place


def make(directory, *arguments):
    done = subprocess.run(["make", "-C", directory, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def our_paths():
    """Every path of ours in the code, in tmpfiles.d and in the packages."""
    code = (product.REPOSITORY / "shared/src/paths.rs").read_text()
    tmpfiles = (product.REPOSITORY / "debian/pam-oauth2.tmpfiles").read_text()
    listed = subprocess.run(["rpm", "-qlp", *enterprise.packages()], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.findall(r'"(/[^"]+)"', code) + re.findall(r"(?m)^d (\S+)", tmpfiles) + listed.splitlines()
    return sorted({path for path in found if "/pam_oauth2_device" in path and path.startswith(tuple(TYPES))})


def test_it_compiles_with_the_compiler_alone(copy):
    make(copy)
    assert (copy / "pam_oauth2.pp").stat().st_size > 1000


def test_it_compiles_with_the_headers_of_a_policy(copy):
    (copy / "pam_oauth2.if").touch()
    out = make(copy, "-f", HEADERS, "pam_oauth2.pp")
    assert (copy / "pam_oauth2.pp").exists() and "warning" not in out.lower(), out


def test_every_path_of_ours_has_its_label():
    paths = our_paths()
    assert len(paths) >= 9, paths
    made = [f"{product.STATE}/private/{name}" for name in ("undo/setup.json", "store.db-wal", "audit")]
    said = subprocess.run(["matchpathcon", "-f", SOURCE / "pam_oauth2.fc", *paths, *made],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    labels = dict(line.split("\t") for line in said.splitlines())
    assert set(labels) == {*paths, *made}
    for path, label in labels.items():
        top = next(top for top in TYPES if path.startswith(top + "/"))
        expected = "pam_oauth2_store_t" if f"{product.STATE}/private" in path else TYPES[top]
        assert label.split(":")[2] == expected, path


def test_the_labels_are_of_types_that_the_policy_declares():
    policy = (SOURCE / "pam_oauth2.te").read_text()
    labels = set(re.findall(r":object_r:(\w+):s0", (SOURCE / "pam_oauth2.fc").read_text()))
    assert labels == set(re.findall(r"(?m)^type (\w+);", policy))


def test_an_installation_and_an_erasure_label_every_directory_anew():
    [package] = [path for path in enterprise.packages() if path.name.startswith("pam-oauth2-selinux-")]
    scripts = subprocess.run(["rpm", "-qp", "--scripts", package], stdout=subprocess.PIPE, text=True, check=True).stdout
    calls = [line.split() for line in scripts.splitlines() if "restorecon -RF" in line]
    assert len(calls) == 2
    for call in calls:
        assert {f"{top}/pam_oauth2_device" for top in TYPES} <= set(call)


def test_whoever_resolves_names_may_map_the_database():
    policy = (SOURCE / "pam_oauth2.te").read_text()
    [rule] = re.findall(r"allow nsswitch_domain pam_oauth2_var_t:file \{([^}]*)\}", policy)
    assert rule.split() == ["getattr", "map", "open", "read"]
