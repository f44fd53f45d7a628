"""The C programs that drive the module where Python is too slow, or not itself what is wanted: compiled once a run."""

import functools
import pathlib
import subprocess
import tempfile

import module as binding

HERE = pathlib.Path(__file__).parent


@functools.cache
def _directory():
    return tempfile.TemporaryDirectory(prefix="abi-drivers-")


@functools.cache
def built(name, *options):
    """The path of the program made of `name`.c."""
    program = pathlib.Path(_directory().name) / name
    subprocess.run(["gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *options, "-o", program,
                    HERE / f"{name}.c", "-lpthread"], check=True)
    return program


def run(name, *arguments, wrapper=(), timeout=600, options=()):
    """What the program printed; it ends with 0, and says nothing on standard error."""
    done = subprocess.run([*wrapper, built(name, *options), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def drive(name, *arguments, **named):
    return run(name, binding.PATH, *arguments, **named)
