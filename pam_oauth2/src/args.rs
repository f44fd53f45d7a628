//! Module arguments (design, section 7). Unknown ones are logged, never fatal: a word too much in /etc/pam.d must not
//! decide who gets in.

use log::LevelFilter;
use std::path::PathBuf;

/// What the PAM line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    /// `config=`.
    pub config: PathBuf,
    /// `logs=`: a file in addition to syslog.
    pub log_file: Option<PathBuf>,
    /// `log_level=`.
    pub log_level: LevelFilter,
    /// Sentences for the log.
    pub warnings: Vec<String>,
}

impl Args {
    /// Reads the arguments of a PAM line.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let config = PathBuf::from(shared::paths::CONFIG_FILE);
        let mut args = Self { config, log_file: None, log_level: LevelFilter::Info, warnings: Vec::new() };
        for argument in arguments {
            args.take(argument);
        }
        args
    }

    fn take(&mut self, argument: &str) {
        let shown = shared::text::log_value(argument);
        match argument.split_once('=') {
            Some(("config", path)) if path.starts_with('/') => self.config = path.into(),
            Some(("logs", path)) if path.starts_with('/') => self.log_file = Some(path.into()),
            Some(("log_level", word)) => match level(word) {
                Some(level) => self.log_level = level,
                None => {
                    self.warnings.push(format!("argument {shown}: error, warn, info, debug, trace or none"))
                }
            },
            Some(("config" | "logs", _)) => {
                self.warnings.push(format!("argument {shown} is passed over: an absolute path is needed"));
            }
            _ => self.warnings.push(format!("unknown argument {shown} is passed over")),
        }
    }
}

fn level(word: &str) -> Option<LevelFilter> {
    Some(match word {
        "none" => LevelFilter::Off,
        "error" => LevelFilter::Error,
        "warn" => LevelFilter::Warn,
        "info" => LevelFilter::Info,
        "debug" => LevelFilter::Debug,
        "trace" => LevelFilter::Trace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_modules_line_is_read_as_it_is() {
        let args = Args::parse(["config=/etc/x.json", "logs=/var/log/x", "log_level=warn"]);
        assert_eq!(args.config, PathBuf::from("/etc/x.json"));
        assert_eq!(args.log_file, Some("/var/log/x".into()));
        assert_eq!(args.log_level, LevelFilter::Warn);
        assert!(args.warnings.is_empty());
    }

    #[test]
    fn what_is_not_understood_is_a_warning_and_nothing_more() {
        let args = Args::parse(["debug", "log_level=loud", "config=relative", "x=\n"]);
        assert_eq!(args.warnings.len(), 4);
        assert_eq!(args.config, PathBuf::from(shared::paths::CONFIG_FILE));
        assert_eq!(args.log_level, LevelFilter::Info);
    }
}
