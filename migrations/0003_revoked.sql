-- Whom the provider's groups shut out, whose a number was, and what an older version does not know of. Additive.

-- The person's own verified sign-in was refused by allowed_groups: keys, cron and su are refused too, until one is admitted.
ALTER TABLE identity ADD COLUMN revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1));

-- Beside former_uid, whose rows an older version writes: a person may have their own number back.
CREATE TABLE pinned_uid(
  uid INTEGER PRIMARY KEY,                 -- the former one
  owner INTEGER NOT NULL                   -- the uid that the same person has now, or had when they were removed
);
CREATE INDEX pinned_uid_owner ON pinned_uid(owner);

-- A version that knows 0001 alone has never heard of former names and numbers. The store itself keeps the promises of 0002
-- then: after a downgrade nobody new gets either, nobody who was removed returns, and everybody known goes on signing in.
CREATE TRIGGER former_goes_to_nobody BEFORE INSERT ON identity
WHEN EXISTS (SELECT 1 FROM former_name WHERE login_name = NEW.login_name)
  OR EXISTS (SELECT 1 FROM former_uid WHERE uid = NEW.uid)
BEGIN
  SELECT RAISE(ABORT, 'the name or the uid belonged to somebody else before');
END;

CREATE TRIGGER removed_stays_shut_out_insert BEFORE INSERT ON identity
WHEN EXISTS (SELECT 1 FROM former_uid WHERE issuer = NEW.issuer AND subject = NEW.subject)
BEGIN
  SELECT RAISE(ABORT, 'the person was removed');
END;

CREATE TRIGGER removed_stays_shut_out_update BEFORE UPDATE OF subject ON identity
WHEN NEW.subject IS NOT OLD.subject
  AND EXISTS (SELECT 1 FROM former_uid WHERE issuer = NEW.issuer AND subject = NEW.subject)
BEGIN
  SELECT RAISE(ABORT, 'the person was removed');
END;

CREATE TRIGGER former_is_no_gid BEFORE INSERT ON idp_group
WHEN EXISTS (SELECT 1 FROM former_uid WHERE uid = NEW.gid)
BEGIN
  SELECT RAISE(ABORT, 'the gid was the uid of somebody before');
END;
