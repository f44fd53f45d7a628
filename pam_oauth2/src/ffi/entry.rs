//! What libpam calls.

use super::child::Commands;
use super::handle::PamHost;
use super::log::Logging;
use super::login_id;
use super::signals::connector;
use crate::args::Args;
use crate::home::HomeOutcome;
use crate::host::Host;
use crate::limits::{Counters, since_boot};
use crate::login::{self, Admission, Exit, Login, Machine};
use crate::outcome::{LoginError, Reply};
use crate::provision::ByMode;
use crate::provision::store::StoreProvisioner;
use crate::provision::useradd::UseraddProvisioner;
use pam::constants::{PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};
use pam::pam_hooks;
use shared::clock::{Clock, SystemClock};
use shared::etc::LocalNames;
use shared::text::log_value;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

struct Module;
pam_hooks!(Module);

/// Key of what is kept on the handle.
const VERDICT: &str = "pam_oauth2_device_verdict";

/// A stack may hold this module twice (an earlier module's line beside the profile's): the second call, right after the
/// first, answers the same and starts no second flow. Later calls are new tries.
const SAME_TRY: Duration = Duration::from_secs(1);

/// The verdict of the auth phase of this very handle.
struct Verdict {
    reply: Reply,
    user: String,
    config: PathBuf,
    at: Instant,
}

impl PamHooks for Module {
    fn sm_authenticate(handle: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        call(handle, &args, |handle, args| {
            login_id::begin(handle);
            let user = PamHost::new(handle, flags).user().unwrap_or_default();
            if let Some(reply) = earlier_verdict(handle, &user, args) {
                return reply;
            }
            let reply = authenticate(handle, args, flags);
            if reply != Reply::NotOurs {
                let config = args.config.clone();
                let _ =
                    handle.set_data(VERDICT, Box::new(Verdict { reply, user, config, at: Instant::now() }));
            }
            reply
        })
    }

    fn acct_mgmt(handle: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        call(handle, &args, |handle, args| {
            login_id::begin(handle);
            let clock = SystemClock::new();
            let just_signed_in = has_signed_in(handle, flags);
            let mut host = PamHost::new(handle, flags);
            let machine = Machine::this(args.config.clone());
            match login::account(&machine, &mut host, &clock, just_signed_in) {
                Ok(()) => Reply::Success,
                Err(exit) => fail(&mut host, &clock, exit),
            }
        })
    }

    fn sm_setcred(handle: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        call(handle, &args, |handle, args| {
            let mut host = PamHost::new(handle, flags);
            match login::setcred(&Machine::this(args.config.clone()), &mut host) {
                Ok(()) => Reply::Success,
                // Not ours, or nothing that this phase could decide: the account phase has.
                Err(_) => Reply::NotOurs,
            }
        })
    }

    fn sm_open_session(handle: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        call(handle, &args, |handle, args| {
            let mut host = PamHost::new(handle, flags);
            let user = host.user().unwrap_or_default();
            match login::open_session(&Machine::this(args.config.clone()), &mut host, &Commands) {
                Err(Exit::NotOurs(_)) => return Reply::NotOurs,
                Err(Exit::Failed(error)) => {
                    log::error!("home of {}: {error}", log_value(&user));
                    return Reply::Failed(error.class().0);
                }
                Ok(Err(error)) => log::warn!("home of {}: {error}", log_value(&user)),
                Ok(Ok(HomeOutcome::Made)) => log::info!("home of {} made", log_value(&user)),
                Ok(Ok(HomeOutcome::LeftAlone(why))) => {
                    log::info!("home of {} not made: {why}", log_value(&user))
                }
                Ok(Ok(HomeOutcome::Present)) => {}
            }
            Reply::Success
        })
    }
}

/// Every call: arguments, logging, and no panic past this point. A panic's own message would go to the person's
/// terminal, so the hook that prints it is silenced; the standard library in here is our own copy, and so is the hook.
fn call(
    handle: &mut PamHandle,
    args: &[&CStr],
    run: impl FnOnce(&mut PamHandle, &Args) -> Reply,
) -> PamResultCode {
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let guarded = AssertUnwindSafe(|| {
        let args = Args::parse(args.iter().filter_map(|arg| arg.to_str().ok()));
        let _logging = Logging::start(handle, args.log_level, args.log_file.as_deref());
        args.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        // A panic of the phase is caught here already, while it can still be logged.
        catch_unwind(AssertUnwindSafe(|| run(handle, &args))).unwrap_or_else(|panic| {
            // Dropping what was thrown could throw again.
            std::mem::forget(panic);
            log::error!("result=error reason=panic id={}", login_id::current().unwrap_or_default());
            Reply::Failed(LoginError::Panic.class().0)
        })
    });
    let reply = catch_unwind(guarded).unwrap_or_else(|panic| {
        std::mem::forget(panic);
        Reply::Failed(LoginError::Panic.class().0)
    });
    reply.code()
}

fn verdict(handle: &PamHandle) -> Option<&Verdict> {
    // SAFETY: only `sm_authenticate` above stores under this key, and only a Verdict.
    unsafe { handle.get_data::<Verdict>(VERDICT) }.ok()
}

/// Did the auth phase of this very handle let this user in?
fn has_signed_in(handle: &mut PamHandle, flags: PamFlag) -> bool {
    let user = PamHost::new(handle, flags).user().unwrap_or_default();
    verdict(handle).is_some_and(|verdict| verdict.reply == Reply::Success && verdict.user == user)
}

fn earlier_verdict(handle: &PamHandle, user: &str, args: &Args) -> Option<Reply> {
    let verdict = verdict(handle)?;
    let same = verdict.user == user && verdict.config == args.config && verdict.at.elapsed() < SAME_TRY;
    same.then_some(verdict.reply)
}

fn authenticate(handle: &mut PamHandle, args: &Args, flags: PamFlag) -> Reply {
    let clock = SystemClock::new();
    let machine = Machine::this(args.config.clone());
    let mut host = PamHost::new(handle, flags);
    let load = || machine.inputs();
    let counters = Counters {
        file: Path::new(shared::paths::LIMITS),
        owner: shared::secure_file::ROOT,
        clock: &clock,
        since_boot: &since_boot,
    };
    let store = StoreProvisioner { places: &machine.places, load: &load, clock: &clock, existing: false };
    let local = || LocalNames::read(&machine.passwd, &machine.group);
    let useradd = UseraddProvisioner { store, commands: &Commands, local: &local, shadow: &machine.shadow };
    let mut provisioner = ByMode { useradd };
    let outcome = login::authenticate(
        &mut Login {
            machine: &machine,
            host: &mut host,
            connect: &connector,
            clock: &clock,
            provisioner: &mut provisioner,
            counters: Some(counters),
        },
        rustix::process::geteuid().is_root(),
    );
    match outcome {
        Ok(admission) => {
            log_admission(&mut host, &clock, &admission);
            Reply::Success
        }
        Err(exit) => fail(&mut host, &clock, exit),
    }
}

fn log_admission(host: &mut PamHost<'_>, clock: &SystemClock, admission: &Admission) {
    let provisioned = &admission.provisioned;
    provisioned.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    let mut changes = String::new();
    for (key, groups) in [("groups_added", &provisioned.added), ("groups_removed", &provisioned.removed)] {
        if !groups.is_empty() {
            changes.push_str(&format!(" {key}={}", groups.join(",")));
        }
    }
    let reason = if provisioned.first { "first_sign_in" } else { "sign_in" };
    let account = &admission.account;
    let place = place(host, clock, account.name.as_str());
    log::info!("result=admitted reason={reason} {place} uid={}{changes}", account.uid);
}

/// Logs why, tells the person, and gives the code.
fn fail(host: &mut PamHost<'_>, clock: &SystemClock, exit: Exit) -> Reply {
    let error = match exit {
        Exit::NotOurs(why) => {
            log::debug!("not ours: {why:?}");
            return Reply::NotOurs;
        }
        Exit::Failed(error) => error,
    };
    let (class, reason) = error.class();
    let user = host.user().unwrap_or_default();
    let (place, detail) = (place(host, clock, &user), error.detail(&user));
    let line = format!("result={} reason={reason} {place} detail={detail}", class.result());
    if class.result() == "error" {
        log::error!("{line}")
    } else {
        log::info!("{line}")
    }
    host.show(&error.user_message(&user));
    Reply::Failed(class)
}

/// `rhost= user= service= id= elapsed_ms=`.
fn place(host: &PamHost<'_>, clock: &SystemClock, user: &str) -> String {
    let rhost = host.rhost().unwrap_or_else(|| "-".into());
    format!(
        "rhost={} user={} service={} id={} elapsed_ms={}",
        log_value(&rhost),
        log_value(user),
        log_value(&host.service()),
        login_id::current().unwrap_or_else(|| "-".into()),
        clock.monotonic().as_millis()
    )
}
