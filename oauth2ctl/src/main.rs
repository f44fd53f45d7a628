//! `oauth2ctl`: the administrator's side of the OAuth 2.0 sign-in.

mod cli;
mod commands;
mod date;
mod failure;
mod image;
mod interrupts;
mod output;
mod pam;
mod system;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            // --help and --version end well, everything else is a usage error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    output::begin(cli.manner());
    output::finish(commands::run(cli))
}
