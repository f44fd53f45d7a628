//! The configuration: [`raw`] is the JSON, [`Config`] what it means, every default resolved and every value typed.

mod entra;
mod groups;
pub mod keys;
mod limits;
mod load;
mod provider;
mod raw;
mod resolve;
mod schema;

pub use entra::{Entra, Tenant, TenantId};
pub use groups::Groups;
pub use limits::Limits;
pub use load::{ConfigError, Layer, Loaded, broken_files, layers, load, load_as_if};
pub use raw::Fault;
pub use schema::schema;

use crate::identity::ids::{IdKey, IdRange};
use crate::types::{Gid, GroupName, Issuer, LoginName, Secret, Uid};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How a token is validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// RFC 7662.
    Introspection,
    /// OpenID Connect Core §3.1.3.7.
    IdToken,
}

/// Where the accounts of people come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioning {
    /// The store, served by the NSS module.
    Store,
    /// useradd(8) makes them.
    Useradd,
    /// They exist already, in /etc/passwd or elsewhere.
    None,
}

/// What the machine's own users are to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalUsers {
    /// Nobody: they notice nothing.
    Ignore,
    /// People who may sign in under their own name.
    Allow,
}

/// The provider, and who we are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// RFC 6749 §2.2.
    pub client_id: String,
    /// None for a public client.
    pub client_secret: Option<Secret>,
    /// Discovery and the expected `iss`.
    pub issuer: Option<Issuer>,
    /// Microsoft Entra ID instead of an issuer.
    pub entra: Option<Entra>,
    /// RFC 8628 §3.1.
    pub device_url: Option<String>,
    /// RFC 6749 §3.2.
    pub token_url: Option<String>,
    /// RFC 7662 §2.
    pub introspection_url: Option<String>,
    /// How a token is validated.
    pub validation: Validation,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// PEM bundle trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Total time of one request.
    pub http_timeout: Duration,
    /// `scheme://host:port`, for https requests; never from the environment.
    pub proxy: Option<String>,
}

/// How claims become a name and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The first of these claims that is present is the provider's name for the person.
    pub username_claims: Vec<String>,
    /// Capitals are kept and compared exactly.
    pub preserve_case: bool,
    /// `strip_domain`: this domain is taken off.
    pub strip_domain: Option<String>,
    /// Introspection answers without `sub`: the name stands for the subject.
    pub subject_from_username: bool,
    /// Claim of the group ids; a dot steps into an object.
    pub groups_claim: String,
    /// Provider group id -> local group name.
    pub group_map: BTreeMap<String, GroupName>,
}

/// Who may come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Provider group ids, of which one is needed.
    pub allowed_groups: Option<Vec<String>>,
    /// Login names.
    pub allowed_users: Option<Vec<LoginName>>,
    /// Days after which a key login needs a new sign-in.
    pub max_confirmation_age: Option<u32>,
}

/// What an account looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// Range of people.
    pub uid_range: IdRange,
    /// Range of provider groups.
    pub gid_range: IdRange,
    /// Key of the derivation.
    pub id_key: IdKey,
    /// Ids settled by hand.
    pub uid_overrides: BTreeMap<LoginName, Uid>,
    /// Template; `{name}` is the login name.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Make the home directory at session start.
    pub create_home: CreateHome,
    /// A home directory of exactly the derived uid counts as the person's own.
    pub adopt_homes: bool,
    /// What a new home directory is filled from.
    pub skel: PathBuf,
    /// Of the new home directory.
    pub umask: u32,
    /// Everybody's group.
    pub people_group: GroupName,
    /// Its gid, unless /etc/group has the name.
    pub people_gid: Gid,
    /// Patterns of names that need no reservation.
    pub first_login: Vec<String>,
}

/// `create_home`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateHome {
    /// Never.
    No,
    /// Unless the parent is an automounter's or on NFS.
    Auto,
    /// Always.
    Yes,
}

/// What the person reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Draw a QR code.
    pub qr: bool,
    /// The QR code holds the URL with the code in it.
    pub qr_complete: bool,
    /// Texts of the earlier modules that replace ours.
    pub messages: Messages,
}

/// The texts of the earlier modules, by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// With a complete URL and a QR code.
    pub prompt_complete: Option<String>,
    /// With a complete URL, no QR code.
    pub prompt_no_qr_complete: Option<String>,
    /// Without a complete URL, with a QR code.
    pub prompt_incomplete: Option<String>,
    /// Without a complete URL, no QR code.
    pub prompt_no_qr_incomplete: Option<String>,
    /// Before the code.
    pub prompt_code: Option<String>,
    /// Before Enter is awaited.
    pub prompt_enter: Option<String>,
}

impl Config {
    /// Names that the configuration uses for groups: never a person's.
    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        let ours = self.mapping.group_map.values();
        ours.chain(&self.groups.local).chain(&self.groups.allowed_privileged).map(GroupName::as_str)
    }
}

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The provider, and who we are there.
    pub provider: Provider,
    /// How claims become a name and groups.
    pub mapping: Mapping,
    /// Where accounts come from.
    pub provisioning: Provisioning,
    /// Whether users of /etc/passwd may sign in.
    pub local_users: LocalUsers,
    /// Which groups of the machine people get.
    pub groups: Groups,
    /// Who may come in.
    pub policy: Policy,
    /// What an account looks like.
    pub accounts: Accounts,
    /// What the person reads.
    pub prompt: Prompt,
    /// PAM services whose auth phase is answered.
    pub services: Vec<String>,
    /// sshd must have seen a key of the person before it asks us.
    pub require_publickey: bool,
    /// What a minute may hold.
    pub limits: Limits,
    /// Time that the host gives a login (sshd's `LoginGraceTime`).
    pub login_grace: Duration,
    /// Ends polling earlier than the provider would.
    pub polling_timeout: Option<Duration>,
    /// SHA-256 of the merged JSON and of the id key, to notice a change.
    pub digest: [u8; 32],
}

#[cfg(test)]
mod entra_tests;
#[cfg(test)]
mod tests;
