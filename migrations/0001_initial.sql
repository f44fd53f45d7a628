-- The live store, root only. Every constraint says which promise it keeps.

CREATE TABLE meta(
  id INTEGER PRIMARY KEY CHECK (id = 1),   -- exactly one row
  store_id BLOB NOT NULL,                  -- 16 random bytes: a published file of another store is never patched
  generation INTEGER NOT NULL,             -- counts commits that changed something visible
  rebuild_generation INTEGER NOT NULL,     -- published files older than this are made anew, not patched
  min_reader INTEGER NOT NULL              -- the oldest schema version that may still work on this file
);
INSERT INTO meta VALUES (1, randomblob(16), 0, 0, 1);

CREATE TABLE identity(
  id INTEGER PRIMARY KEY,
  login_name TEXT NOT NULL UNIQUE,         -- one person per name
  issuer TEXT,
  subject TEXT,
  uid INTEGER NOT NULL UNIQUE CHECK (uid >= 1000),   -- one person per uid, never one of the machine's own
  gid INTEGER NOT NULL CHECK (gid >= 1000),          -- never root's group, nor any of the machine's own
  gecos TEXT NOT NULL DEFAULT '',
  home TEXT NOT NULL CHECK (home LIKE '/%'),
  shell TEXT NOT NULL CHECK (shell LIKE '/%'),
  state TEXT NOT NULL CHECK (state IN ('reserved', 'confirmed', 'locked')),
  confirmed_day INTEGER,                   -- UTC day of the last verified sign-in
  expires_day INTEGER,                     -- first UTC day on which the account no longer works
  probe INTEGER NOT NULL DEFAULT 0 CHECK (probe IN (0, 1)),  -- made to prove the PAM stacks; nobody signs in as it
  created_at INTEGER NOT NULL,             -- seconds since 1970
  generation INTEGER NOT NULL,             -- the generation that last changed what is published of it
  UNIQUE (issuer, subject),                -- one name per person
  CHECK ((issuer IS NULL) = (subject IS NULL)),              -- the key of a person is both or neither
  CHECK (state <> 'confirmed' OR subject IS NOT NULL OR probe = 1)  -- nobody is confirmed without a subject
);
CREATE INDEX identity_generation ON identity(generation);    -- a publication reads what changed, not everything

CREATE TABLE idp_group(
  provider_id TEXT PRIMARY KEY,            -- groups are keyed by the provider's id, never by a display name
  name TEXT NOT NULL,                      -- as group_map had it last; group_map of now decides what is served
  gid INTEGER NOT NULL UNIQUE CHECK (gid >= 1000),   -- one group per gid, never one of the machine's own
  generation INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE membership(
  identity INTEGER NOT NULL REFERENCES identity(id) ON DELETE CASCADE,
  provider_id TEXT NOT NULL REFERENCES idp_group(provider_id) ON DELETE CASCADE,
  PRIMARY KEY (identity, provider_id)
) WITHOUT ROWID;
CREATE INDEX membership_group ON membership(provider_id);    -- the member list of a group

CREATE TABLE local_membership(
  identity INTEGER NOT NULL REFERENCES identity(id) ON DELETE CASCADE,
  group_name TEXT NOT NULL,                -- a group of /etc/group
  PRIMARY KEY (identity, group_name)
) WITHOUT ROWID;

CREATE TABLE tombstone(
  login_name TEXT PRIMARY KEY,             -- a removed name returns only by an administrator's word
  uid INTEGER NOT NULL UNIQUE,             -- an id is never given to anybody else
  issuer TEXT,
  subject TEXT,
  removed_at INTEGER NOT NULL,
  generation INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE event(
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,                     -- seconds since 1970
  kind TEXT NOT NULL,
  login_name TEXT NOT NULL,
  actor TEXT NOT NULL,                     -- who asked: "sign-in", or the administrator's name
  detail TEXT NOT NULL
);
