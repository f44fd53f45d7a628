//! The help of a command, in lines that fit the terminal. Manual pages are made from the same text as it stands.

use clap::Command;

/// How far clap moves the text of an option to the right.
const INDENT: usize = 10;
/// Lines that are longer are hard to read.
const MOST: usize = 100;

/// What every command ends with (failure.rs).
pub(crate) const EXIT_STATUS: [(&str, &str); 10] = [
    ("0", "done, or nothing to do"),
    ("1", "failed"),
    ("2", "a command line that cannot be understood"),
    ("3", "done, and something is not as it should be"),
    ("4", "nobody, or nothing, of that name"),
    ("5", "not configured, or no store yet"),
    ("6", "the provider cannot be reached"),
    ("7", "refused by policy, or by whoever was asked"),
    ("8", "conflict: a name, a uid, a subject or a home directory is somebody else's"),
    ("77", "needs root"),
];

/// The command, with what every command ends with below the text `after`. The manual has a section for that.
pub(crate) fn with_exit_status(command: Command, after: &str) -> Command {
    let codes: Vec<String> =
        EXIT_STATUS.iter().map(|(code, meaning)| format!("  {code:<3} {meaning}")).collect();
    command.after_long_help(format!("{after}\n\nExit codes:\n{}", codes.join("\n")))
}

/// The command, and all below it, with texts in lines of at most so many columns.
pub(crate) fn wrapped(command: Command, columns: usize) -> Command {
    let columns = columns.min(MOST);
    let mut command = command
        .mut_args(|arg| match arg.get_long_help().map(ToString::to_string) {
            Some(help) => arg.long_help(wrap(&help, columns.saturating_sub(INDENT))),
            None => arg,
        })
        .mut_subcommands(|command| wrapped(command, columns));
    if let Some(about) = command.get_long_about().map(ToString::to_string) {
        command = command.long_about(wrap(&about, columns));
    }
    if let Some(after) = command.get_after_long_help().map(ToString::to_string) {
        command = command.after_long_help(wrap(&after, columns));
    }
    command
}

/// Breaks paragraphs between words; a line that begins with a blank is an example, and stays.
fn wrap(text: &str, columns: usize) -> String {
    let mut wrapped = String::new();
    // Of the last line, where the next word may go on.
    let mut length = 0;
    for line in text.lines() {
        if line.is_empty() || line.starts_with(' ') {
            wrapped.push_str(if length > 0 { "\n" } else { "" });
            wrapped.push_str(line);
            wrapped.push('\n');
            length = 0;
            continue;
        }
        for word in line.split(' ') {
            let more = word.chars().count();
            let fits = length + 1 + more <= columns;
            wrapped.push_str(if length == 0 {
                ""
            } else if fits {
                " "
            } else {
                "\n"
            });
            wrapped.push_str(word);
            length = if length > 0 && fits { length + 1 + more } else { more };
        }
    }
    wrapped.trim_end_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    #[test]
    fn lines_break_between_words_and_examples_stay_whole() {
        assert_eq!(wrap("one two three\n\nfour", 8), "one two\nthree\n\nfour");
        assert_eq!(wrap("lines of\nthe source", 12), "lines of the\nsource");
        assert_eq!(wrap("See:\n  an example of two\n  x\n\nend", 8), "See:\n  an example of two\n  x\n\nend");
        assert_eq!(wrap("averylongword x", 4), "averylongword\nx");
        assert_eq!(wrap("", 4), "");
    }

    #[test]
    fn no_text_of_any_command_is_wider_than_the_terminal() {
        fn check(command: &mut Command, columns: usize) {
            // A single sentence is left to the terminal.
            if command.get_long_about().is_some() {
                let help = command.render_long_help().to_string();
                let about = help.split("Usage:").next().unwrap_or_default();
                for line in about.lines().filter(|line| line.contains(' ') && !line.starts_with(' ')) {
                    assert!(line.chars().count() <= columns, "{}: {line}", command.get_name());
                }
            }
            command.get_subcommands_mut().for_each(|command| check(command, columns));
        }
        for columns in [60, 80, 200] {
            let mut command = wrapped(Cli::command(), columns);
            command.build();
            check(&mut command, columns.min(MOST));
        }
    }
}
