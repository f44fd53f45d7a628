//! One manual page. What a command's long help says goes to the section it belongs to: a paragraph that begins with
//! "Example" to EXAMPLES, one that begins with "Ends with" or "Exit code" to EXIT STATUS.

use crate::cli::EXIT_STATUS;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use std::io::{self, Write};

/// How a paragraph about the exit status begins.
const ENDS: [&str; 4] = ["Ends with", "Exit code", "Exit status", "Exits with"];

const FILES: [(&str, &str); 5] = [
    ("/etc/pam_oauth2_device/config.json", "the configuration; config.d/*.json beside it is laid over it"),
    (
        "/var/lib/pam_oauth2_device/private/store.db",
        "the live store: people, groups, and what was done to them",
    ),
    ("/var/lib/pam_oauth2_device/private/first-login", "the parameters of first logins (enable sshd)"),
    (
        "/var/lib/pam_oauth2_device/nss.db",
        "the published database, which the NSS module and the account phase read",
    ),
    ("/etc/ssh/sshd_config.d/20-oauth2.conf", "keyboard-interactive for the people of this package"),
];

/// The page's name, such as `oauth2ctl-user-add`.
pub(super) fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

/// The page, in roff.
pub(super) fn render(command: &Command, parent: Option<&str>) -> io::Result<Vec<u8>> {
    let parts = Parts::of(command);
    let command = command.clone().disable_help_subcommand(true).disable_version_flag(true);
    let source = concat!("oauth2 ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).section("8").source(source).manual("System Administration");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    paragraphs("DESCRIPTION", &parts.description, &mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        subcommands(&command, &mut page)?;
    }
    rest(&command, &parts, parent, &mut page)?;
    Ok(page)
}

/// The long help, sorted.
struct Parts {
    description: Vec<String>,
    examples: Vec<String>,
    ends: Vec<String>,
}

impl Parts {
    fn of(command: &Command) -> Self {
        let text =
            command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
        let more = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        let mut parts = Self { description: Vec::new(), examples: Vec::new(), ends: Vec::new() };
        for paragraph in text.split("\n\n").chain(more.split("\n\n")).filter(|text| !text.trim().is_empty()) {
            match paragraph.trim() {
                example if example.starts_with("Example") => {
                    let example = example.trim_start_matches("Examples:").trim_start_matches("Example:");
                    parts.examples.push(example.trim().to_owned());
                }
                ends if ENDS.iter().any(|begin| ends.starts_with(begin)) => parts.ends.push(ends.to_owned()),
                other => parts.description.push(other.to_owned()),
            }
        }
        parts
    }
}

fn subcommands(command: &Command, page: &mut dyn Write) -> io::Result<()> {
    let mut roff = Roff::default();
    roff.control("SH", ["COMMANDS"]);
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        roff.control("TP", []);
        roff.text([bold(format!("{}(8)", name(command)))]);
        roff.text([roman(command.get_about().map(ToString::to_string).unwrap_or_default())]);
    }
    roff.to_writer(page)
}

fn paragraphs(title: &str, texts: &[String], page: &mut dyn Write) -> io::Result<()> {
    let mut roff = Roff::default();
    roff.control("SH", [title]);
    for text in texts {
        roff.control("PP", []);
        roff.text(words(text));
    }
    roff.to_writer(page)
}

fn rest(command: &Command, parts: &Parts, parent: Option<&str>, page: &mut dyn Write) -> io::Result<()> {
    let mut roff = Roff::default();
    if !parts.examples.is_empty() {
        paragraphs("EXAMPLES", &parts.examples, page)?;
    }
    roff.control("SH", ["EXIT STATUS"]);
    for ends in &parts.ends {
        roff.control("PP", []);
        roff.text(words(ends));
    }
    table(&mut roff, &EXIT_STATUS, |status| bold(status));
    roff.control("SH", ["FILES"]);
    table(&mut roff, &FILES, |file| italic(file));
    roff.control("SH", ["SEE ALSO"]);
    let children = command.get_subcommands().filter(|command| !command.is_hide_set()).map(name);
    let pages = parent.map(str::to_owned).into_iter().chain(children).map(|page| format!("{page}(8)"));
    let others = ["pam_oauth2_device(8)", "pam_oauth2_device.json(5)", "nss_oauth2(8)"].map(str::to_owned);
    roff.text([roman(pages.chain(others).collect::<Vec<_>>().join(", "))]);
    roff.to_writer(page)
}

fn table(roff: &mut Roff, rows: &[(&str, &str)], style: impl Fn(&str) -> Inline) {
    for (key, text) in rows {
        roff.control("TP", []);
        roff.text([style(key)]);
        roff.text([roman(*text)]);
    }
}

/// What stands between backticks is to be typed.
fn words(text: &str) -> Vec<Inline> {
    let spans = text.split('`').enumerate().filter(|(_, span)| !span.is_empty());
    spans.map(|(n, span)| if n % 2 == 1 { bold(span) } else { roman(span) }).collect()
}
