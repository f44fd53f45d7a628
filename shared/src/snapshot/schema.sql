-- The published database, format 1. An ordinary SQLite file in rollback mode: page size 4096, UTF-8, no index, no
-- trigger, no view. It is written only under a temporary name and renamed; header byte 18 (write version) is 3, so
-- that SQLite refuses to write to it; header byte 72 is 1 in a file that has been replaced.
-- application_id is 0x4F415532 ("OAU2"), user_version is the format number.
--
-- Integers that SQL shows as 0/1 are booleans. `supplementary` packs gids as 4-byte big-endian words; `members`
-- packs login names, each ended by one NUL byte. A "hash" is the upper 63 bits (value >> 1) of SipHash-2-4 of the
-- bytes of the name under header.hash_key; a row whose slot is taken by another name stands in one of the next three.
CREATE TABLE header(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  hash_key BLOB NOT NULL,            -- 16 bytes
  store_id BLOB NOT NULL,            -- 16 bytes: which store this was made from
  generation INTEGER NOT NULL,       -- the store's generation that is in here
  inputs_digest BLOB NOT NULL,       -- 32 bytes: configuration, /etc/passwd and /etc/group as they were
  people INTEGER NOT NULL,           -- rows of passwd
  group_rows INTEGER NOT NULL,       -- rows of grp
  max_confirmation_age INTEGER,      -- whole days, or NULL: no limit
  services TEXT NOT NULL             -- space separated PAM services that the age applies to
);
CREATE TABLE passwd(
  uid INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  gid INTEGER NOT NULL,
  gecos TEXT NOT NULL,
  home TEXT NOT NULL,
  shell TEXT NOT NULL,
  supplementary BLOB NOT NULL,
  state INTEGER NOT NULL,            -- 0 reserved, 1 confirmed, 2 locked, 3 denied
  confirmed_day INTEGER,             -- UTC day of the last verified sign-in
  expires_day INTEGER,               -- first UTC day on which the account no longer works
  visible INTEGER NOT NULL,          -- 0: the account itself is in /etc/passwd; state and memberships only
  private_group INTEGER NOT NULL     -- 1: group (name, gid = uid) is served
);
CREATE TABLE passwd_name(
  hash INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  gid INTEGER NOT NULL,
  gecos TEXT NOT NULL,
  home TEXT NOT NULL,
  shell TEXT NOT NULL,
  supplementary BLOB NOT NULL,
  state INTEGER NOT NULL,
  confirmed_day INTEGER,
  expires_day INTEGER,
  visible INTEGER NOT NULL,
  private_group INTEGER NOT NULL,
  uid INTEGER NOT NULL
);
CREATE TABLE grp(
  gid INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  member_count INTEGER NOT NULL,
  members BLOB NOT NULL
);
CREATE TABLE grp_name(
  hash INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  gid INTEGER NOT NULL,
  member_count INTEGER NOT NULL,
  members BLOB NOT NULL
);
-- Who was removed: SipHash under hash_key of "n" + name and of "u" + 4 big-endian bytes of the uid. No slot search.
CREATE TABLE tombstone(hash INTEGER PRIMARY KEY);
