"""The built module under valgrind's memcheck: no access out of bounds, nothing read that was not written, no leak."""

import pathlib
import sys

from drivers import drive

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "sanitizers"))
from make_files import files  # noqa: E402

MEMCHECK = ["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite,possible",
            "--errors-for-leak-kinds=definite,possible", "--fair-sched=yes"]


def test_memcheck_finds_nothing_in_any_entry_point(publish, tmp_path):
    assert drive("exercise", *files(tmp_path, broken=8), wrapper=MEMCHECK) == "done\n"
