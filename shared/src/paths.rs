//! Every default path of the package, once.

/// Directory of the configuration, owner root.
pub const CONFIG_DIR: &str = "/etc/pam_oauth2_device";
/// The configuration, mode 0600, owner root.
pub const CONFIG_FILE: &str = "/etc/pam_oauth2_device/config.json";
/// State directory, mode 0755: strangers read the published database in it.
pub const STATE_DIR: &str = "/var/lib/pam_oauth2_device";
/// What only root may look at, mode 0700.
pub const PRIVATE_DIR: &str = "/var/lib/pam_oauth2_device/private";
/// The live store, mode 0600.
pub const STORE: &str = "/var/lib/pam_oauth2_device/private/store.db";
/// Lock file that serialises publications, mode 0600.
pub const PUBLISH_LOCK: &str = "/var/lib/pam_oauth2_device/private/publish.lock";
/// The parameters of prospective entries, mode 0600.
pub const FIRST_LOGIN: &str = "/var/lib/pam_oauth2_device/private/first-login";
/// The published database, mode 0644, only ever replaced by rename.
pub const NSS_DB: &str = "/var/lib/pam_oauth2_device/nss.db";
/// Counters of sign-ins and requests, mode 0600 in a directory of mode 0700.
pub const LIMITS: &str = "/run/pam_oauth2_device/limits";
/// shadow(5).
pub const SHADOW: &str = "/etc/shadow";
/// passwd(5).
pub const PASSWD: &str = "/etc/passwd";
/// group(5).
pub const GROUP: &str = "/etc/group";
/// nsswitch.conf(5).
pub const NSSWITCH: &str = "/etc/nsswitch.conf";
