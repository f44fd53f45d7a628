-- The published database, format 1. An ordinary SQLite file in rollback mode: page size 4096, UTF-8, no index, no
-- trigger, no view. It is written only under a temporary name and renamed; header byte 18 (write version) is 3, so
-- that SQLite refuses to write to it; header byte 72 is 1 in a file that has been replaced.
-- application_id is 0x4F415532 ("OAU2"), user_version is the format number.
--
-- Integers that SQL shows as 0/1 are booleans. `supplementary` packs gids as 4-byte big-endian words; `members`
-- packs login names, each ended by one NUL byte. A "hash" is SipHash-2-4 of the bytes of the name under
-- header.hash_key, shifted right by one (an INTEGER is signed) and with its two lowest bits cleared: the bucket. A row
-- stands in one of the four slots `bucket`, `bucket + 1`, `+ 2`, `+ 3`, any of which may be empty.
-- The packed lists are the last columns, so that everything before them lies in the b-tree page itself, however long
-- they are: of a row that spills over, at least 489 bytes do (SQLite file format, section 1.6, usable size 4096).
-- `gecos`, `home` and `shell` together have at most 320 bytes for the same reason.
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
  state INTEGER NOT NULL,            -- 0 reserved, 1 confirmed, 2 locked, 3 denied
  confirmed_day INTEGER,             -- UTC day of the last verified sign-in
  expires_day INTEGER,               -- first UTC day on which the account no longer works
  visible INTEGER NOT NULL,          -- 0: the account itself is in /etc/passwd; state and memberships only
  private_group INTEGER NOT NULL,    -- 1: group (name, gid = uid) is served
  supplementary BLOB NOT NULL
);
CREATE TABLE passwd_name(
  hash INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  gid INTEGER NOT NULL,
  gecos TEXT NOT NULL,
  home TEXT NOT NULL,
  shell TEXT NOT NULL,
  state INTEGER NOT NULL,
  confirmed_day INTEGER,
  expires_day INTEGER,
  visible INTEGER NOT NULL,
  private_group INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  supplementary BLOB NOT NULL
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
-- Who was removed: SipHash-2-4 under hash_key, shifted right by one, of "n" + name and of "u" + 4 big-endian bytes of
-- the uid. No buckets.
CREATE TABLE tombstone(hash INTEGER PRIMARY KEY);
