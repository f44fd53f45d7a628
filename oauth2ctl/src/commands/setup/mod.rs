//! `setup`: from nothing to the first login.

mod apply;
mod ask;
mod break_glass;
mod draft;
mod kind;
mod limits;
mod plan;
mod questions;
mod roll_back;
mod schedule;
mod trial;

use crate::cli::{Setup, SetupAction};
use crate::failure::Failure;
use crate::output::{answer, confirm, field, manner, say, warn};
use crate::system::journal::{Journal, Phase};
use draft::Draft;
use pam_oauth2::login::Machine;
use plan::Plan;
use shared::clock::{Clock, SystemClock};
use shared::config::Provisioning;
use std::io::IsTerminal;

pub(super) fn run(machine: &Machine, options: &Setup) -> Result<(), Failure> {
    match options.action {
        Some(SetupAction::Confirm) => return roll_back::confirmed(machine),
        Some(SetupAction::RollBack { when_unconfirmed: true, .. }) => return roll_back::when_unconfirmed(),
        Some(SetupAction::RollBack { at_boot: true, .. }) => return roll_back::at_boot(),
        Some(SetupAction::RollBack { .. }) => return roll_back::now(),
        None => {}
    }
    if options.confirm.is_some() && crate::image::is_image() {
        return Err(Failure::Usage(
            "--confirm is for a machine that runs, --root for one that does not".into(),
        ));
    }
    finish_earlier(machine, options.dry_run)?;
    break_glass::check(machine)?;
    plan::check_sshd()?;
    let (draft, plan) = settle(machine, options)?;
    if plan.is_nothing() {
        say("no change: this machine is set up like that already");
        field("changes", Vec::<String>::new());
        return Ok(());
    }
    show(&plan, &draft);
    if options.dry_run {
        say("nothing was changed (--dry-run)");
        return Ok(());
    }
    if !options.non_interactive {
        confirm("Make these changes?")?;
    }
    apply::run(machine, &plan, options.confirm)
}

/// A setup that was interrupted, or whose time is over, is undone first; one that waits for its confirmation must get it, or
/// be rolled back.
fn finish_earlier(machine: &Machine, dry_run: bool) -> Result<(), Failure> {
    let Some(journal) = Journal::find()? else { return Ok(()) };
    if !journal.is_over(SystemClock::new().unix_seconds()) {
        return Err(roll_back::waits());
    }
    if dry_run {
        return Err(roll_back::unsettled(&journal));
    }
    warn(match journal.phase {
        Phase::Applying => "an earlier setup was interrupted: what it changed is put back first",
        Phase::Waiting => {
            "an earlier setup was not confirmed, its time is over, and nothing has put it back: that is done first"
        }
    });
    roll_back::unfinished(machine)
}

/// No setup is half done, or waits.
///
/// # Errors
/// One is, or does, and the command that settles it.
pub(super) fn settled() -> Result<(), Failure> {
    match Journal::find()? {
        None => Ok(()),
        Some(journal) if journal.is_over(SystemClock::new().unix_seconds()) => {
            Err(roll_back::unsettled(&journal))
        }
        Some(_) => Err(roll_back::waits()),
    }
}

/// The configuration that is wanted, tried at the provider, and what follows from it.
fn settle(machine: &Machine, options: &Setup) -> Result<(Draft, Plan), Failure> {
    let mut draft = Draft::of(machine)?;
    draft.apply(options)?;
    let asks = !options.non_interactive && !manner().json && std::io::stdin().is_terminal();
    if asks {
        questions::ask_everything(&mut draft, options)?;
    }
    let limits = limits::decide(&draft, options, asks)?;
    loop {
        let mut complete = draft.clone();
        complete.complete(limits.grace);
        questions::require(&complete)?;
        let plan = Plan::of(machine, &complete, limits.text.as_deref())?;
        if plan.is_nothing() {
            // A run that changes nothing must not depend on the provider: doctor asks it.
            return Ok((complete, plan));
        }
        match trial::ask(&plan.config, draft.kind) {
            Ok(()) => return Ok((complete, plan)),
            Err(failure) if asks => {
                crate::output::complain(&failure.to_string());
                questions::ask_provider_again(&mut draft)?;
            }
            Err(failure) => return Err(failure),
        }
    }
}

fn show(plan: &Plan, draft: &Draft) {
    let secrets = draft.secrets();
    let shown = plan.show(&secrets);
    answer("These changes will be made:");
    shown.iter().for_each(|change| answer(&format!("\n{change}")));
    answer("");
    field("changes", &shown);
    if !draft.map.contains_key("allowed_groups") && !draft.map.contains_key("allowed_users") {
        warn(
            "everybody whom the provider lets sign in at this client may come in (--allow-group restricts it)",
        );
    }
    if plan.config.accounts.first_login.is_empty() && plan.config.provisioning != Provisioning::None {
        warn(
            "nobody may sign in unannounced: reserve names by oauth2ctl user add, or say --first-login PATTERN",
        );
    }
    if plan.config.provisioning == Provisioning::None {
        warn(
            "\"provisioning\": \"none\": sshd asks in the browser only where sshd_config has KbdInteractiveAuthentication yes",
        );
    }
    if plan.config.accounts.id_key.expose().is_none() {
        say("uids are derived from names without a key: see id_key_file in pam_oauth2_device.json(5)");
    }
}
