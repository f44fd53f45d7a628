//! What becomes of sshd's limits: proposed where nobody has set them, and never overruled.

use super::super::sshd;
use super::super::sshd_limits::{Proposal, SSHDS_GRACE, parse};
use super::ask::{Question, ask};
use super::draft::Draft;
use crate::cli::Setup;
use crate::failure::Failure;
use crate::output::warn;

/// What was decided.
pub(super) struct Limits {
    /// What stands in the drop-in before its Match block; `None` without a drop-in.
    pub(super) text: Option<String>,
    /// The time that sshd gives a login then, in seconds; `None` for ever.
    pub(super) grace: Option<u64>,
}

/// By the option, the answer, or what was decided before; where nobody said anything, as proposed.
pub(super) fn decide(draft: &Draft, options: &Setup, asks: bool) -> Result<Limits, Failure> {
    let effective = parse(&sshd::effective()?);
    let login_grace = draft.seconds("login_grace").unwrap_or(SSHDS_GRACE);
    let proposal = Proposal::of(&effective, login_grace);
    let declined = sshd::limits_are_declined()?;
    let no_drop_in = options.no_drop_in || draft.text("provisioning") == Some("none");
    let accepted = match options.sshd_limits {
        _ if no_drop_in => false,
        Some(wish) => wish,
        None if asks && !proposal.is_nothing() => question(&proposal, !declined)?,
        None => !declined,
    };
    for (keyword, place) in &proposal.set_too_low {
        warn(&format!(
            "{keyword} of {place} is too little for sign-ins by browser, and stays as it is: oauth2ctl doctor says what is needed"
        ));
    }
    let now = effective.get("logingracetime").and_then(|value| value.parse().ok()).filter(|grace| *grace > 0);
    let grace = if no_drop_in { now } else { proposal.grace(accepted).or(now) };
    let text = (!no_drop_in).then(|| proposal.text(accepted));
    Ok(Limits { text, grace })
}

fn question(proposal: &Proposal, default: bool) -> Result<bool, Failure> {
    let why = format!(
        "A sign-in by browser takes minutes, and an office comes from one address: sshd's own limits would drop people. These would go \
         into its drop-in: {}. They hold for everybody who signs in by ssh.",
        proposal.show()
    );
    let default = if default { "yes" } else { "no" };
    ask(&Question { text: "sshd's limits", why: &why, default: Some(default) }, |text| {
        match text.to_ascii_lowercase().as_str() {
            "yes" | "y" => Ok(true),
            "no" | "n" => Ok(false),
            _ => Err(format!("\"{text}\" is neither yes nor no")),
        }
    })
}
