-- People change their names and come back; names and numbers outlive both. Additive: a version that knows 0001 alone
-- goes on working.

-- An administrator's word (user add --adopt-home) that the home directory which is there already is this person's.
ALTER TABLE identity ADD COLUMN adopt_home INTEGER NOT NULL DEFAULT 0 CHECK (adopt_home IN (0, 1));

-- The account is one of /etc/passwd or of another source, and is never served from here: whoever deletes it there has deleted
-- it, and may give its uid to somebody else.
ALTER TABLE identity ADD COLUMN existing INTEGER NOT NULL DEFAULT 0 CHECK (existing IN (0, 1));

CREATE TABLE former_name(
  login_name TEXT PRIMARY KEY,             -- a name that somebody left by a rename goes to nobody by itself
  uid INTEGER NOT NULL,                    -- whose it was: an identity's, or a tombstone's
  since INTEGER NOT NULL,                  -- seconds since 1970
  generation INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX former_name_uid ON former_name(uid);            -- the names that a person had before

CREATE TABLE former_uid(
  uid INTEGER PRIMARY KEY,                 -- an id is never given to anybody else
  login_name TEXT NOT NULL,                -- who had it, under the name of then
  issuer TEXT,                             -- a removal is of the person: who was removed stays shut out, also where
  subject TEXT,                            -- somebody else was given the name, and was removed in turn
  since INTEGER NOT NULL,                  -- seconds since 1970
  generation INTEGER NOT NULL
);
