//! `setup`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// From nothing to the first login: configuration, name service, PAM, sshd
///
/// Asks for what it cannot find out, tries the provider with a real request, shows every change as a diff, asks once, and
/// makes them: config.json (mode 0600), the store, nsswitch.conf, the PAM profile, sshd's drop-in with limits for people who
/// sign in by browser (--sshd-limits). The account stacks are proved before any stranger may come (see enable sshd). What it
/// does not do: register the client at the provider, open a firewall, or touch a local account. A second run with the same
/// answers changes nothing. An existing config.json gives the defaults, and its other keys stay.
///
/// Keep a root shell open. With --confirm 10m everything is put back after ten minutes, unless somebody has signed in
/// through ssh by then whom the machine had not confirmed that day, or you have said: oauth2ctl setup confirm. Changes
/// once begun are brought to their end, also after Ctrl-C or a lost connection. A setup that was killed is undone by the
/// next one, at the next boot, or by: oauth2ctl setup roll-back. The time of --confirm goes on over a reboot. What somebody
/// else has made of a file since is shown and asked for by setup roll-back, and kept in
/// /var/lib/pam_oauth2_device/private/undo/replaced by every roll back; more than a day later a boot leaves such a file alone,
/// and doctor (U4) names it.
///
/// Examples:
///   oauth2ctl setup entra --tenant example.onmicrosoft.com --client-id 11111111-2222-3333-4444-555555555555
///   oauth2ctl setup keycloak --issuer https://sso.example.com/realms/staff --client-id linux --dry-run
///   oauth2ctl setup oidc --issuer https://id.example.com --client-id linux --strip-domain example.com \
///       --non-interactive --confirm 10m
///
/// Exit codes: 0 done or nothing to do, 1 a fault, 2 an answer is missing, 6 the provider cannot be reached, 7 refused (UsePAM
/// no, no break-glass account, "no" to the question), 8 another setup waits for its confirmation, or a file cannot be edited.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, verbatim_doc_comment)]
pub(crate) struct Setup {
    #[command(subcommand)]
    pub(crate) action: Option<SetupAction>,
    /// What signs people in
    #[arg(value_enum)]
    pub(crate) provider: Option<Kind>,
    /// Entra: the tenant's id, or one of its domains
    #[arg(long, value_name = "ID|DOMAIN")]
    pub(crate) tenant: Option<String>,
    /// The issuer, as the provider itself writes it
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// The id that this machine has at the provider
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// A file with the client's secret, - for standard input; a public client has none. Kept in a file of mode 0600
    #[arg(long, value_name = "FILE|-")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Certificate authorities of the provider, in PEM, instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// What is asked for at the provider, such as "openid profile groups"
    #[arg(long, value_name = "SCOPES")]
    pub(crate) scope: Option<String>,
    /// Only members of this group may sign in, by the provider's id of it; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) allow_group: Vec<String>,
    /// Names of this one domain lose it: ann@example.com signs in as ann
    #[arg(long, value_name = "DOMAIN", conflicts_with = "domain")]
    pub(crate) strip_domain: Option<String>,
    /// Whole names of this domain may sign in for the first time: ann@example.com; may be given several times
    #[arg(long, value_name = "DOMAIN", conflicts_with = "first_login")]
    pub(crate) domain: Vec<String>,
    /// Names that may sign in without a reservation, such as '*'; "" for none. May be given several times
    #[arg(long, value_name = "PATTERN")]
    pub(crate) first_login: Vec<String>,
    /// Days after which somebody who comes by key must have signed in again, or none
    #[arg(long, value_name = "DAYS|none")]
    pub(crate) max_confirmation_age: Option<String>,
    /// Where accounts come from
    #[arg(long, value_parser = ["store", "useradd", "none"])]
    pub(crate) provisioning: Option<String>,
    /// Raise sshd's limits for sign-ins by browser, in its drop-in: LoginGraceTime, MaxStartups, PerSourceMaxStartups,
    /// PerSourcePenalties, each where nobody else has set it. Without this option: as decided before, else yes
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
    pub(crate) sshd_limits: Option<bool>,
    /// Leave sshd's files alone; KbdInteractiveAuthentication is then yours to turn on
    #[arg(long)]
    pub(crate) no_drop_in: bool,
    /// Show every change, and make none
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing: a missing answer is an error, and the changes are made
    #[arg(long)]
    pub(crate) non_interactive: bool,
    /// Put everything back after this time, such as 10m, unless a new login or `setup confirm` comes first
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) confirm: Option<Duration>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SetupAction {
    /// Keep what setup --confirm changed
    Confirm,
    /// Put back what an interrupted or an unconfirmed setup changed, byte for byte
    ///
    /// What somebody else has changed in one of these files since is shown first, and asked for (--yes goes on); it is kept in
    /// /var/lib/pam_oauth2_device/private/undo/replaced.
    RollBack {
        /// Only at the time that setup --confirm named, and only if nobody has signed in
        #[arg(long, hide = true)]
        when_unconfirmed: bool,
        /// At boot: as --when-unconfirmed, but what is left of the time is arranged anew, not waited for
        #[arg(long, hide = true, conflicts_with = "when_unconfirmed")]
        at_boot: bool,
    },
}

/// A kind of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Microsoft Entra ID (Azure AD)
    Entra,
    /// Keycloak: issuer https://HOST/realms/REALM
    Keycloak,
    /// Google: a client of the type "TVs and Limited Input devices", which has a secret
    Google,
    /// Okta: issuer https://ORG.okta.com, or https://ORG.okta.com/oauth2/SERVER
    Okta,
    /// Any other OpenID Connect provider with device authorization
    Oidc,
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no".into()),
    }
}

/// A number with s, m or h.
fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "a number with s, m or h, such as 10m".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
    let number: u64 = number.parse().map_err(|_| expected())?;
    let seconds = match unit {
        "s" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        _ => return Err(expected()),
    };
    if (1..=86_400).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err("between 1s and 24h".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        for text in ["", "m", "10", "-1m", "10d", "0s", "25h", "1é"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
