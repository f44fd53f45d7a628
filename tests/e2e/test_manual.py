"""The manual pages and the completions that are made from the command line's own definitions."""

import re
import subprocess
from pathlib import Path

import pytest

from rig import product
from rig.machine import Machine

PAGES = "/usr/share/man/man8"


@pytest.fixture(scope="module")
def machine():
    with Machine("bookworm", config=None, provider=None) as ready:
        yield ready


def help_of(machine, *words):
    return machine.sandbox.output(["oauth2ctl", *words, "--help"], user="localu")


def commands(machine, *above):
    """Every command that --help lists, as words."""
    text = help_of(machine, *above)
    listed = re.search(r"(?ms)^Commands:\n(.*?)\n\n", text)
    names = re.findall(r"(?m)^  ([a-z][a-z0-9-]*)\b", listed[1]) if listed else []
    for name in names:
        if name != "help":
            yield (*above, name)
            yield from commands(machine, *above, name)


def plain(machine, words):
    page = machine.sandbox.read(f"{PAGES}/{'-'.join(('oauth2ctl', *words))}.8")
    return page.replace("\\", "")


def test_every_command_and_option_of_the_help_stands_in_its_page(machine):
    listed = [(), *commands(machine)]
    assert len(listed) > 15
    for words in listed:
        page = plain(machine, words)
        for option in set(re.findall(r"(?m)^\s+(?:-\w, )?(--[a-z-]+)", help_of(machine, *words))):
            assert option in page, f"{words}: {option}"
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", '"EXIT STATUS"', "FILES", '"SEE ALSO"'):
            assert f".SH {section}" in page, f"{words}: {section}"


def test_examples_have_a_section_of_their_own(machine):
    page = plain(machine, ("explain",))
    assert '.SH EXAMPLES' in page and "--claims claims.json" in page
    assert "Ends with 0" in page.split(".SH \"EXIT STATUS\"")[1]


def test_the_pages_are_rendered_without_a_warning():
    if subprocess.run(["which", "groff"], stdout=subprocess.DEVNULL, check=False).returncode:
        pytest.fail("groff is needed: tests/setup installs it")
    pages = sorted(Path(f"{product.staged()}{PAGES}").glob("oauth2ctl*.8"))
    assert pages
    for page in pages:
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", page], capture_output=True, text=True, check=True)
        assert done.stderr == "", f"{page.name}: {done.stderr}"
        # Bold letters are struck twice.
        assert "EXIT STATUS" in re.sub(".\b|\x1b\\[[0-9;]*m", "", done.stdout)


def test_they_need_neither_root_nor_a_configuration(machine):
    machine.sandbox.run(["mkdir", "-m", "777", "/tmp/pages"])
    done = machine.sandbox.run(["oauth2ctl", "man", "/tmp/pages"], user="localu")
    assert "page(s) written" in done.stdout
    assert machine.sandbox.read("/tmp/pages/oauth2ctl.8") == machine.sandbox.read(f"{PAGES}/oauth2ctl.8")


def test_bash_loads_the_completion_and_completes_commands_and_options(machine):
    script = "/usr/share/bash-completion/completions/oauth2ctl"
    ask = (f"source {script}; complete -p oauth2ctl >/dev/null; "
           "COMP_WORDS=({words}); COMP_CWORD={n}; _oauth2ctl oauth2ctl \"${{COMP_WORDS[$COMP_CWORD]}}\" x; "
           "echo \"${{COMPREPLY[@]}}\"")
    found = machine.sandbox.output(ask.format(words="oauth2ctl conf", n=1), user="localu")
    assert "config" in found.split()
    found = machine.sandbox.output(ask.format(words="oauth2ctl explain --cl", n=2), user="localu")
    assert found.split() == ["--claims"]


@pytest.mark.parametrize("shell, path", [
    ("bash", "bash-completion/completions/oauth2ctl"),
    ("zsh", "zsh/vendor-completions/_oauth2ctl"),
    ("fish", "fish/vendor_completions.d/oauth2ctl.fish"),
])
def test_what_is_installed_is_what_is_generated(machine, shell, path):
    done = machine.sandbox.run(["oauth2ctl", "completion", shell], user="localu")
    assert done.stdout == machine.sandbox.read(f"/usr/share/{path}")
    for words in commands(machine):
        assert words[-1] in done.stdout
