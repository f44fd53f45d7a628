"""The published derivation of ids, written down a second time so that a change of it shows."""

import hashlib

UIDS = (1879048192, 2130706431)
GIDS = (2130706432, 2147352575)
# The last gid of the range belongs to everybody's group.
PEOPLE_GID = GIDS[1]


def derived_uid(name):
    first, last = UIDS
    digest = hashlib.sha256(name.encode()).digest()
    return first + int.from_bytes(digest[:8], "big") % (last - first + 1)


def derived_gid(provider_id):
    first, last = GIDS[0], GIDS[1] - 1
    digest = hashlib.sha256(provider_id.encode()).digest()
    return first + int.from_bytes(digest[:8], "big") % (last - first + 1)
