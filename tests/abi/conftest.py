import os
import shutil
import stat

import pytest

import make_db
import module as binding


@pytest.fixture(scope="session")
def module():
    return binding.Module()


@pytest.fixture
def publish():
    """Replaces the published database as the publisher does: the byte in the old file, then rename; without `told`, as
    anybody else would."""

    def publish(people=(), groups=(), told=True, **options):
        if told:
            retire(open_file())
        make_db.write(binding.DATABASE, people, groups, **options)

    remove()
    yield publish
    remove()


def open_file():
    try:
        return os.open(binding.DATABASE, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None


def retire(old):
    """Tells those who have it mapped."""
    if old is not None:
        if stat.S_ISREG(os.fstat(old).st_mode) and os.fstat(old).st_size > 72:
            os.pwrite(old, b"\x01", 72)
        os.close(old)


def remove():
    """Also for those who have it mapped: the next test begins without what this one published."""
    retire(open_file())
    if os.path.isdir(binding.DATABASE) and not os.path.islink(binding.DATABASE):
        shutil.rmtree(binding.DATABASE)
    elif os.path.lexists(binding.DATABASE):
        os.unlink(binding.DATABASE)
