//! The parameter file of first logins: made by `oauth2ctl enable sshd`, kept up to date by every publication, removed by
//! `disable`. All under the publication lock, so that no publication brings back what was taken away meanwhile.

use super::publish::{Inputs, PublishError, lock};
use super::{Places, local_groups};
use crate::clock::Clock;
use crate::config::Provisioning;
use crate::first_login::{self, FirstLogin};
use crate::secure_file::{self, SecureFileError};
use crate::types::{Gid, IdError};

/// Makes the file: strangers may sign in from now on.
///
/// # Errors
/// See [`PublishError`].
pub fn enable(
    places: &Places,
    inputs: &Inputs,
    profile: &str,
    clock: &dyn Clock,
) -> Result<(), PublishError> {
    let _lock = lock(places, clock)?;
    let text = parameters(inputs, profile)?.to_text();
    Ok(secure_file::replace(&places.first_login, text.as_bytes(), 0o600)?)
}

/// Removes the file; `false` if there was none.
///
/// # Errors
/// See [`PublishError`].
pub fn disable(places: &Places, clock: &dyn Clock) -> Result<bool, PublishError> {
    let path = &places.first_login;
    if !places.lock.parent().is_some_and(std::path::Path::is_dir) {
        return Ok(false);
    }
    let _lock = lock(places, clock)?;
    if !path.exists() {
        return Ok(false);
    }
    std::fs::remove_file(path).map_err(|source| SecureFileError::Io { path: path.clone(), source })?;
    secure_file::sync_directory_of(path)?;
    Ok(true)
}

/// Brings the file in line with the configuration, where there is one: a publication does not enable.
pub(super) fn refresh(places: &Places, inputs: &Inputs) -> Result<(), PublishError> {
    if inputs.config.provisioning == Provisioning::None {
        // Nobody gets an account here any more: the name service must not promise one.
        return match std::fs::remove_file(&places.first_login) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(SecureFileError::Io { path: places.first_login.clone(), source }.into())
            }
            _ => Ok(()),
        };
    }
    let old = match secure_file::read(&places.first_login, places.owner, first_login::LIMIT) {
        Ok(old) => old.bytes,
        Err(SecureFileError::Missing(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let known = std::str::from_utf8(&old).ok().and_then(|text| FirstLogin::parse(text).ok());
    // Which stack was proved is not to be guessed: the NSS module passes over such a file, and the log names the remedy.
    let Some(known) = known else { return Ok(()) };
    let text = parameters(inputs, &known.profile)?.to_text();
    if text.as_bytes() != old {
        secure_file::replace(&places.first_login, text.as_bytes(), 0o600)?;
    }
    Ok(())
}

/// The parameters of prospective entries, as this configuration resolves them.
///
/// # Errors
/// [`PublishError::PeopleGroup`].
fn parameters(inputs: &Inputs, profile: &str) -> Result<FirstLogin, PublishError> {
    let accounts = &inputs.config.accounts;
    Ok(FirstLogin {
        config_digest: inputs.config.digest,
        profile: profile.to_owned(),
        uid_range: accounts.uid_range,
        gid_range: accounts.gid_range,
        id_key: accounts.id_key.clone(),
        uid_overrides: accounts.uid_overrides.clone(),
        home: accounts.home.clone(),
        shell: accounts.shell.clone(),
        preserve_case: inputs.config.mapping.preserve_case,
        adopt_homes: accounts.adopt_homes,
        patterns: accounts.first_login.clone(),
        people_group: accounts.people_group.clone(),
        people_gid: people_gid(inputs)?,
        refused_names: inputs.config.group_names().map(str::to_owned).collect(),
    })
}

/// The group of /etc/group, where it has the name; else the gid that nobody else is given.
///
/// # Errors
/// [`PublishError::PeopleGroup`].
pub fn people_gid(inputs: &Inputs) -> Result<Gid, PublishError> {
    let accounts = &inputs.config.accounts;
    match inputs.local.group(accounts.people_group.as_str()) {
        Some(line) => {
            let gid = local_groups::people_gid(inputs, &line.name)
                .ok_or(PublishError::PeopleGroup(IdError(line.gid)))?;
            Gid::of_local_group(gid).map_err(PublishError::PeopleGroup)
        }
        None => Ok(accounts.people_gid),
    }
}
