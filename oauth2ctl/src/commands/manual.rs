//! `completion` and `man`: made from the definitions of the command line, so that nothing can be forgotten in them.

mod page;

use crate::cli::{Cli, Shell};
use crate::failure::Failure;
use crate::output::{answer, changed, field, say};
use clap::{Command, CommandFactory};
use clap_complete::{generate, shells};
use shared::secure_file;
use std::path::Path;

/// As it is called.
const PROGRAM: &str = "oauth2ctl";

/// The script for a shell.
fn script(shell: Shell) -> Vec<u8> {
    let mut command = Cli::command();
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(shells::Bash, &mut command, PROGRAM, &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, PROGRAM, &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, PROGRAM, &mut script),
    }
    script
}

/// Prints the script for a shell.
pub(super) fn completion(shell: Shell) -> Result<(), Failure> {
    let script = script(shell);
    let script = String::from_utf8_lossy(&script);
    field("script", &script);
    answer(script.trim_end());
    Ok(())
}

/// Writes a page for every command.
pub(super) fn pages(directory: &Path) -> Result<(), Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    // Gives subcommands their whole names, and the options that every command takes.
    command.build();
    let mut written = 0;
    write(&command, None, directory, &mut written)?;
    say(&format!("{written} page(s) written to {}", directory.display()));
    Ok(())
}

fn write(
    command: &Command,
    parent: Option<&str>,
    directory: &Path,
    written: &mut usize,
) -> Result<(), Failure> {
    let name = page::name(command);
    let path = directory.join(format!("{name}.8"));
    let text = page::render(command, parent).map_err(|error| Failure::Other(format!("{name}: {error}")))?;
    if std::fs::read(&path).ok().as_deref() != Some(text.as_slice()) {
        secure_file::replace(&path, &text, 0o644)?;
        changed(&format!("manual page written file={}", path.display()));
    }
    *written += 1;
    let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
    visible.into_iter().try_for_each(|command| write(command, Some(&name), directory, written))
}

#[cfg(test)]
mod tests;
