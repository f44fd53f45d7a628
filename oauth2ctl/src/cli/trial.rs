//! `oauth2ctl login` and `oauth2ctl explain`: what a sign-in would come to.

use clap::Args;
use std::path::PathBuf;

/// A whole login on this terminal, recording nothing
///
/// Runs the same code as under sshd: the name, the provider (a code to approve in a browser), the token, every rule of the
/// configuration. Nothing is written unless --record is given; nobody is let in by it. A name that nobody knows needs
/// `oauth2ctl enable sshd` first. It is how a configuration is tried before anybody depends on it, from a root shell that
/// stays open.
///
/// Ends with 0 when sshd would let the person in, with 7 when a rule refuses, with 6 when the provider does not answer,
/// with 1 when something has to be mended first (a permission at the provider, the configuration). The prompt is on standard output, with --json on standard error.
///
/// Example: `oauth2ctl login ann@example.com`
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Login name
    pub(crate) name: String,
    /// Record the sign-in, as sshd would
    ///
    /// The person is bound to the subject and published, and counts as having signed in today.
    #[arg(long)]
    pub(crate) record: bool,
    /// Sign in as this PAM service would; it must be one of "services"
    #[arg(long, value_name = "NAME", default_value = "sshd")]
    pub(crate) service: String,
}

/// Say which rule would admit or refuse a person, and what they would get
///
/// Takes what the provider says about a person and shows each rule of the login with its verdict, by the very functions of
/// the login; then the uid, the groups, the home directory, and what PAM would be answered in each phase and service. It
/// writes nothing and lets nobody in.
///
/// FILE holds the claims as a JSON object: the payload of an id_token (with iss, sub and the claim of the name), or the
/// introspection answer where introspection validates. Nobody vouches for them, and the report says so.
///
/// With `--token -` a token is read from standard input and verified as in a login, but for its age: an id_token, or an
/// access token where introspection validates. The provider is asked for its keys (for introspection: about the token). It
/// is never taken from the command line, where everybody can read it.
///
/// Ends with 0 when the person would be admitted, with 7 when a rule refuses, with 3 when groups decide that are not in the token
/// but known to Microsoft Graph alone, which only a login asks (oauth2ctl login).
///
/// Example: `oauth2ctl explain ann@example.com --claims claims.json`
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["claims", "token"])))]
pub(crate) struct Explain {
    /// Login name that asks to come in
    pub(crate) name: String,
    /// File with the claims, a JSON object; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) claims: Option<PathBuf>,
    /// Read a token from standard input; the only value is -
    #[arg(long, value_name = "-", value_parser = ["-"], hide_possible_values = true, allow_hyphen_values = true)]
    pub(crate) token: Option<String>,
    /// Believe the token without asking anybody
    #[arg(long, requires = "token")]
    pub(crate) unverified: bool,
}
