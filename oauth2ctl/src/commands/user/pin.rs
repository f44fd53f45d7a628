//! `user pin`.

use super::{Change, known_name, uids};
use crate::failure::Failure;
use crate::output::say;
use pam_oauth2::login::Machine;
use shared::types::Uid;

pub(super) fn run(machine: &Machine, name: &str, uid: Uid, force: bool) -> Result<(), Failure> {
    let name = known_name(name)?;
    let mut change = Change::begin(machine)?;
    let person = super::find(&change.store, name.as_str())?;
    if person.account.uid == uid {
        return change.no_change(&format!("{name} has uid {uid}"));
    }
    if super::existing::is_elsewhere(&machine.inputs()?, &name) {
        return Err(Failure::Refused(format!(
            "the account of {name} was not made by this package: it is taken as it is"
        )));
    }
    let had_it = change.store.former_uid_owner(uid)? == Some(person.account.uid);
    uids::check(&change.store, &change.config, &name, uid, had_it)?;
    let old = change.make(|store, by| store.pin(&name, uid, force, by))?;
    change.publish(
        &format!("user pinned user={name} old={old} uid={uid}"),
        &format!("{name} has uid {uid} from now on (it was {old})"),
    )?;
    if person.confirmed_day.is_some() {
        say(&format!(
            "files keep uid {old} until you run: chown -Rh --from={old} {uid} {0}; chown -Rh --from=:{old} :{uid} {0}",
            person.account.home
        ));
    }
    Ok(())
}
