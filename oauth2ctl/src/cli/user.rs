//! `oauth2ctl user …`.

use crate::date;
use clap::{Args, Subcommand, ValueEnum};
use shared::clock::Day;
use shared::identity::ids::IdRange;
use shared::types::{IdentifierError, Issuer, Subject, Uid};
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Everybody in the store
    ///
    /// With --json: "users", each with name, uid, gid, home, shell, state, days as YYYY-MM-DD or null, binding and groups.
    List {
        /// Only those of this state
        #[arg(long, value_enum)]
        state: Option<PersonState>,
        /// Only members of this group
        #[arg(long, value_name = "G")]
        group: Option<String>,
    },
    /// One person: account, state, binding and groups
    ///
    /// Of a name that somebody had before, whose it is or was, and the command that lets them in again (exit code 4).
    Show {
        /// Login name
        name: String,
    },
    /// Reserve a name before its first sign-in, or let somebody in again who was removed
    Add(Add),
    Lock(Lock),
    /// Take the lock off
    ///
    /// Whoever had signed in before is confirmed again: their keys work at once. Everybody else is reserved again.
    ///
    /// Whom "allowed_groups" refused at their own sign-in is not locked, and not unlocked either (user show says so): the next
    /// sign-in that is admitted gives them back keys, cron and su.
    Unlock {
        /// Login name
        name: String,
    },
    /// Set the day on which an account stops working, or take it away
    ///
    /// DATE is the first day (UTC) on which the account no longer works: with 2027-01-01 it works for the last time on
    /// 2026-12-31. It bites as a lock does.
    ///
    /// Lock, expiry and removal also set the day of expiry in shadow(5) of accounts that useradd mode made; so does `oauth2ctl
    /// publish`, for people whom "allowed_users" no longer names. The earlier of that day and an administrator's own (chage -E)
    /// counts, and the latter comes back when ours is taken off. Whom we have shut, shadow(5) has expired on 1970-02-07.
    Expire {
        /// Login name
        name: String,
        /// YYYY-MM-DD, or never
        #[arg(value_name = "DATE|never")]
        date: Expiry,
    },
    /// Remove a person; name and uid stay taken, the home directory is kept
    ///
    /// The provider's subject stays shut out too, under every name. `oauth2ctl user add NAME` lets the same person in
    /// again, with the old uid.
    ///
    /// What else carries their name is kept and listed: home directory, crontab, at jobs, mail, lingering, places in groups of
    /// /etc/group. Say it again with --purge or --archive at any time. Ranges of /etc/subuid and /etc/subgid stay for ever,
    /// under the uid instead of the name, so that nobody else is given them; the person has them again when they come back.
    ///
    /// An account that this package did not make stays as it is, and is neither purged nor archived (exit code 7); nor is
    /// anything of somebody who was removed, once another account of the machine has their name or uid.
    Remove {
        /// Login name
        name: String,
        /// End what runs, also under their subordinate uids, and delete all of that but the home directory
        #[arg(long)]
        purge: bool,
        /// Write the home directory to a tar file in DIR (mode 0600), and then remove it
        ///
        /// The person is locked and everything of theirs is ended first. The directory must be theirs, with no link on the
        /// way and nothing mounted in it; links in it are archived and removed as links. Exit code 4: it is not there.
        #[arg(long, value_name = "DIR")]
        archive: Option<PathBuf>,
    },
    /// End what runs of people who are shut out by now
    ///
    /// The account phase refuses somebody who has expired, was locked or removed, or whom "allowed_users" does not name any
    /// more, from their next step on, without a daemon; sessions, processes (those of their containers too), lingering and at jobs
    /// they have go on. This ends them, and may be repeated at any time. It never looks at accounts below uid 1000, nor at a name or uid of somebody removed
    /// that is another account's by now.
    ///
    /// A timer does it once an hour where that is wanted: systemctl enable --now oauth2-user-sweep.timer
    Sweep,
    /// A person has a new name at the provider
    ///
    /// Uid, home directory, groups and the binding to the provider's subject stay; the private group has the new name. The
    /// old name goes to nobody by itself (see add --reuse-name); renaming back is possible. Files that name people, such
    /// as crontabs, sudoers, sshd_config and allowed_users, are not changed.
    Rename {
        /// Login name of until now
        old: String,
        /// Login name from now on, as the provider says it
        new: String,
        /// NEW may have been somebody else's name; their uid and home stay theirs
        #[arg(long)]
        reuse_name: bool,
    },
    /// Bind a name to a subject of the provider: nobody else signs in under it
    ///
    /// The first sign-in binds by itself; this is for binding beforehand, and for a person whom the provider has given
    /// another subject. The log line of a refusal with reason=subject_mismatch names issuer and subject. It also takes the
    /// name of a user of /etc/passwd ("local_users") or of another source ("provisioning": "none") who has not signed in yet, or
    /// of somebody who was removed and keeps an account that useradd mode made.
    ///
    /// For a different person, remove the old one and use add --reuse-name.
    Bind {
        /// Login name
        name: String,
        /// Issuer, byte for byte as the provider says it, such as https://login.example.com
        #[arg(value_parser = parse_issuer)]
        issuer: Issuer,
        /// Subject: `sub`; for Microsoft Entra ID the object id
        #[arg(value_parser = parse_subject)]
        subject: Subject,
        /// Bind anew somebody who is bound: the same person, who keeps home, keys and uid. Also of a subject that was removed
        #[arg(long)]
        force: bool,
    },
    /// Give a person another uid, on this machine
    ///
    /// For a person who has not signed in yet. Otherwise use --force and change the owner of their files yourself: the
    /// old uid goes to nobody else; the same command gives it back to the same person. To settle a uid for all machines, use
    /// "uid_overrides" of the configuration.
    Pin {
        /// Login name
        name: String,
        /// The uid, 1000 or more; the private group gets the same number
        #[arg(long, value_name = "N", value_parser = parse_uid)]
        uid: Uid,
        /// Although they have signed in, and have files under the old uid
        #[arg(long)]
        force: bool,
    },
}

/// Shut people out: sign-in, SSH keys, cron, su
///
/// Bites at the next login, cron job or su of the name, keys included. Sessions and jobs that run go on running, unless
/// --kill says otherwise.
///
/// Example: oauth2ctl user lock --all-of contractors --kill --reason "end of project"
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("whom").required(true).multiple(true).args(["names", "subject", "all_of"])))]
pub(crate) struct Lock {
    /// Login names
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// The person whom this subject of the provider is bound to
    #[arg(long, num_args = 2, value_names = ["ISSUER", "SUBJECT"])]
    pub(crate) subject: Vec<String>,
    /// Everybody who is in this group of "group_map", by its name or its id at the provider
    #[arg(long, value_name = "GROUP")]
    pub(crate) all_of: Option<String>,
    /// End their sessions, processes, lingering and at jobs too
    ///
    /// Through systemd-logind where it runs; what is left has five seconds after SIGTERM. Only processes of exactly that uid, and
    /// of the uids that /etc/subuid gives to them (containers of theirs). What is also somebody else's is left alone, with a
    /// warning.
    #[arg(long)]
    pub(crate) kill: bool,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// A state to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PersonState {
    /// Known by name, never signed in
    Reserved,
    /// Signed in
    Confirmed,
    /// Shut out by an administrator
    Locked,
    /// Shut out by the configuration
    Denied,
    /// Their day has come
    Expired,
}

/// Reserve a name before its first sign-in, or let somebody in again who was removed
///
/// The name, its uid and its groups resolve from now on, so that AllowGroups and Match Group of sshd_config apply to
/// the first login too. It needs no pattern of "first_login". No key opens anything before the first verified sign-in.
///
/// The name of somebody who was removed: alone, the command reserves it for that very person, with their old uid. For
/// a new person say --reuse-name: they get neither the old uid (--uid N is needed) nor the old home. Where useradd mode made
/// the account of somebody who was removed and /etc/passwd has it still, they come back to it as it is, home and keys included;
/// it stays shut until they have signed in.
///
/// Example: oauth2ctl user add ann --group developers --expires 2027-01-01
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Login name, as the provider's name for the person is mapped
    pub(crate) name: String,
    /// A group, by its name in "group_map" or /etc/group (may be repeated)
    ///
    /// The first sign-in brings groups of "group_map" in line with what the provider says. Privileged groups of
    /// /etc/group need "allow_privileged_groups".
    #[arg(long = "group", value_name = "G")]
    pub(crate) groups: Vec<String>,
    /// Another uid than the one derived from the name, 1000 or more
    ///
    /// Outside "gid_range", the ranges of /etc/subuid and /etc/subgid and those of systemd and containers, and nobody's, now or
    /// before.
    #[arg(long, value_name = "N", value_parser = parse_uid)]
    pub(crate) uid: Option<Uid>,
    /// First day (UTC) on which the account no longer works, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = date::parse)]
    pub(crate) expires: Option<Day>,
    /// Nobody but this subject of the provider may sign in under the name
    #[arg(long, num_args = 2, value_names = ["ISSUER", "SUBJECT"])]
    pub(crate) subject: Vec<String>,
    /// Another home directory than the one of the configuration
    #[arg(long, value_name = "DIR", value_parser = parse_home)]
    pub(crate) home: Option<String>,
    /// The name was somebody else's
    #[arg(long)]
    pub(crate) reuse_name: bool,
    /// Give them 65536 subordinate ids in /etc/subuid and /etc/subgid, for containers of their own
    ///
    /// A range that nobody has, or had here. May also be said of somebody who is known already.
    #[arg(long)]
    pub(crate) subids: bool,
    /// The home directory exists, and all that is in it is this person's, keys included; it must belong to their uid
    ///
    /// And stand below directories that only root can write to. May also be said of somebody who is reserved already.
    #[arg(long)]
    pub(crate) adopt_home: bool,
}

impl Add {
    /// `--subject`.
    pub(crate) fn subject(&self) -> Result<Option<(Issuer, Subject)>, crate::failure::Failure> {
        let [issuer, subject] = self.subject.as_slice() else { return Ok(None) };
        let pair = || Ok::<_, IdentifierError>((Issuer::parse(issuer)?, Subject::parse(subject)?));
        pair().map(Some).map_err(|error| crate::failure::Failure::Refused(error.to_string()))
    }
}

/// A day, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry(pub(crate) Option<Day>);

impl FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" { Ok(Self(None)) } else { date::parse(text).map(|day| Self(Some(day))) }
    }
}

fn parse_issuer(text: &str) -> Result<Issuer, String> {
    Issuer::parse(text).map_err(|error| error.to_string())
}

fn parse_subject(text: &str) -> Result<Subject, String> {
    Subject::parse(text).map_err(|error| error.to_string())
}

/// A number that may be a person's on any machine.
fn parse_uid(text: &str) -> Result<Uid, String> {
    let number: u32 = text.parse().map_err(|_| "a number is expected".to_owned())?;
    let uid = Uid::new(number).map_err(|error| error.to_string())?;
    IdRange::new(number, number.saturating_add(1)).map(|_| uid).map_err(|error| error.to_string())
}

/// As `home` of the configuration, without {name}: the published database keeps it in one page.
fn parse_home(text: &str) -> Result<String, String> {
    let clean = text.split('/').skip(1).all(|part| !part.is_empty() && part != "." && part != "..");
    let usable = text.len() <= 128 && !text.contains([':', ' ']) && !text.chars().any(char::is_control);
    if text.starts_with('/') && text.len() > 1 && clean && usable {
        Ok(text.to_owned())
    } else {
        Err("an absolute path of at most 128 bytes is expected".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_of_somebody_elses_range_is_refused() {
        assert!(parse_uid("1000").is_ok() && parse_uid("1879048192").is_ok());
        for uid in ["0", "999", "61184", "65534", "600000", "4294967295", "x", "-1"] {
            assert!(parse_uid(uid).is_err(), "{uid}");
        }
    }

    #[test]
    fn a_home_is_one_absolute_path() {
        assert!(parse_home("/srv/people/ann").is_ok());
        for home in ["", "/", "home", "/home/../etc", "/home//x", "/home/a b", "/home/a:b", "/home/"] {
            assert!(parse_home(home).is_err(), "{home}");
        }
    }

    #[test]
    fn never_takes_the_day_away() {
        assert!(matches!("never".parse(), Ok(Expiry(None))));
        assert!(matches!("1970-01-02".parse(), Ok(Expiry(Some(Day(1))))));
        assert!("soon".parse::<Expiry>().is_err());
    }
}
