use super::*;
use clap::Arg;
use clap::ValueEnum;

/// Every command that --help shows, with its whole name.
fn visible(command: &Command, found: &mut Vec<Command>) {
    found.push(command.clone());
    command.get_subcommands().filter(|command| !command.is_hide_set()).for_each(|c| visible(c, found));
}

fn commands() -> Vec<Command> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut found = Vec::new();
    visible(&command, &mut found);
    found
}

fn options(command: &Command) -> Vec<String> {
    command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .filter_map(Arg::get_long)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_and_option_stands_in_its_page() {
    for command in commands() {
        let text = String::from_utf8(page::render(&command, None).unwrap()).unwrap();
        let plain = text.replace('\\', "");
        assert!(plain.contains(".SH \"EXIT STATUS\"") && plain.contains(".SH FILES"), "{plain}");
        for option in options(&command) {
            assert!(plain.contains(&format!("--{option}")), "{}: --{option}\n{plain}", page::name(&command));
        }
        for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
            assert!(plain.contains(&format!("{}(8)", page::name(child))), "{plain}");
        }
    }
}

#[test]
fn every_command_says_what_it_does() {
    for command in commands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(about.len() > 5, "{} has no help", page::name(&command));
    }
}

#[test]
fn every_command_and_option_stands_in_each_completion() {
    for shell in Shell::value_variants() {
        let script = String::from_utf8(script(*shell)).unwrap();
        for command in commands() {
            assert!(script.contains(command.get_name()), "{shell:?}: {}", command.get_name());
            for option in options(&command) {
                assert!(script.contains(&option), "{shell:?}: --{option}");
            }
        }
    }
}
