//! Text from outside on its way to a terminal, a log or a C string (rule 9).

/// `text` without control characters and without characters that reorder or hide others, cut to at most `max` bytes
/// at a character boundary.
#[must_use]
pub fn printable(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for character in text.chars().filter(|c| !is_deceptive(*c)) {
        if out.len() + character.len_utf8() > max {
            break;
        }
        out.push(character);
    }
    out
}

/// Controls, line and paragraph separators, and Unicode's bidirectional and zero-width formatting (UTR #36).
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A typed name for the log: cut to 64 bytes, everything that is not printable ASCII (and `"`, `\`) escaped; quoted
/// unless it has the characters of a login name only.
#[must_use]
pub fn log_value(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.@+-:/%,".contains(&b);
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(plain) {
        return text.to_owned();
    }
    let mut end = text.len().min(64);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("\"{}\"", text.get(..end).unwrap_or_default().escape_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_direction_marks_are_removed_and_the_length_is_capped() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d", 64), "a[2Jbcd");
        assert_eq!(printable("ééé", 5), "éé");
    }

    #[test]
    fn a_log_value_cannot_forge_a_field() {
        assert_eq!(log_value("ann"), "ann");
        assert_eq!(log_value("a b"), "\"a b\"");
        assert_eq!(log_value("x\" result=admitted"), "\"x\\\" result=admitted\"");
        assert_eq!(log_value("\u{212a}"), "\"\\u{212a}\"");
        assert_eq!(log_value(&"é".repeat(40)).matches("\\u{e9}").count(), 32);
    }
}
