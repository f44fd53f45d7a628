//! A question on the terminal: it says why it is asked and what Enter means, and is asked again after a wrong answer.

use crate::failure::Failure;
use crate::output::complain;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::io::{BufRead, Read, Write};

/// A question.
pub(super) struct Question<'a> {
    /// What is asked.
    pub(super) text: &'a str,
    /// Why, and what a good answer looks like.
    pub(super) why: &'a str,
    /// What Enter means.
    pub(super) default: Option<&'a str>,
}

/// Asks until an answer is one.
///
/// # Errors
/// The end of input: nothing was changed.
pub(super) fn ask<T>(
    question: &Question<'_>,
    mut take: impl FnMut(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    put(&format!("\n{}\n", question.why));
    loop {
        let default = question.default.map(|default| format!(" [{default}]")).unwrap_or_default();
        put(&format!("{}{default}: ", question.text));
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(length) if length > 0 => {}
            _ => return Err(stopped()),
        }
        let line = line.trim();
        // An arrow key, most likely.
        if line.chars().any(char::is_control) {
            complain("that holds a control character");
            continue;
        }
        let text = if line.is_empty() { question.default.unwrap_or_default() } else { line };
        if text.is_empty() && question.default.is_none() {
            complain("an answer is needed here");
            continue;
        }
        match take(text) {
            Ok(answer) => return Ok(answer),
            Err(why) => complain(&why),
        }
    }
}

/// Reads a secret that the terminal does not show; empty for none.
///
/// # Errors
/// Ctrl-C, the end of input, or no terminal.
pub(super) fn secret(text: &str, why: &str) -> Result<String, Failure> {
    // Hidden before it is asked for: whoever pastes at once is not shown, and loses nothing to the flush.
    let hidden = Hidden::begin()?;
    put(&format!("\n{why}\n{text}: "));
    let secret = typed(&mut std::io::stdin().lock());
    drop(hidden);
    put("\n");
    secret
}

/// Character by character: Ctrl-C arrives as one too, so that the terminal is never left without its echo.
fn typed(input: &mut impl Read) -> Result<String, Failure> {
    let mut secret = Vec::new();
    let mut byte = [0_u8];
    loop {
        match (input.read(&mut byte), byte) {
            (Ok(1), [b'\r' | b'\n']) => break,
            (Ok(1), [3 | 4]) => return Err(stopped()),
            (Ok(1), [8 | 127]) => drop(secret.pop()),
            (Ok(1), [byte]) => secret.push(byte),
            _ => return Err(stopped()),
        }
    }
    String::from_utf8(secret)
        .map(|secret| secret.trim().to_owned())
        .map_err(|_| Failure::Usage("the secret is not UTF-8".into()))
}

fn stopped() -> Failure {
    Failure::Refused("no answer: nothing was changed".into())
}

/// A terminal without echo; as it was again when this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> Result<Self, Failure> {
        let failed =
            |errno: rustix::io::Errno| Failure::Other(format!("the terminal cannot hide a secret: {errno}"));
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).map_err(failed)?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&stdin, OptionalActions::Flush, &modes).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

fn put(text: &str) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_ends_with_enter_and_stops_at_ctrl_c() {
        assert_eq!(typed(&mut b"s3x\x7fcret\nmore".as_slice()).unwrap(), "s3cret");
        assert_eq!(typed(&mut b"\n".as_slice()).unwrap(), "");
        assert!(typed(&mut b"abc\x03".as_slice()).is_err());
        assert!(typed(&mut b"abc".as_slice()).is_err());
    }
}
