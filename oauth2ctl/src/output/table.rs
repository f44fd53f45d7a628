//! Columns for a reader.

use std::io::IsTerminal;

/// Narrower than this nothing is cut.
const LEAST: usize = 40;

/// Rows, each column padded to its widest cell. On a terminal, lines are cut to its width; elsewhere nothing is lost.
pub(crate) fn table(rows: &[Vec<String>]) {
    let width = terminal_width();
    lines(rows, width).iter().for_each(|line| super::answer(line));
}

fn lines(rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| visible(cell)).max();
    let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width)).collect();
            cut(cells.join("  ").trim_end(), width)
        })
        .collect()
}

/// Characters on the screen: without what sets a colour.
fn visible(text: &str) -> usize {
    let mut escaped = false;
    let mut count = 0;
    for character in text.chars() {
        match (escaped, character) {
            (false, '\x1b') => escaped = true,
            (true, 'm') => escaped = false,
            (true, _) => {}
            (false, _) => count += 1,
        }
    }
    count
}

fn pad(cell: &str, width: usize) -> String {
    let missing = width.saturating_sub(visible(cell));
    format!("{cell}{}", " ".repeat(missing))
}

fn cut(line: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if visible(line) > width => {
            let kept = first_of(line, width.saturating_sub(1));
            // What was cut may have ended a colour.
            let end = if kept.contains('\x1b') { "\x1b[0m" } else { "" };
            format!("{kept}{end}…")
        }
        _ => line.to_owned(),
    }
}

/// So many characters on the screen, with the colours among them.
fn first_of(line: &str, count: usize) -> String {
    let (mut escaped, mut seen) = (false, 0);
    let is_kept = |character: &char| {
        match (escaped, *character) {
            (false, '\x1b') => escaped = true,
            (true, 'm') => escaped = false,
            (true, _) => {}
            (false, _) => seen += 1,
        }
        seen <= count
    };
    line.chars().take_while(is_kept).collect()
}

/// Columns of the terminal that standard output is.
pub(crate) fn terminal_width() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let columns = usize::from(rustix::termios::tcgetwinsize(&stdout).ok()?.ws_col);
    (columns >= LEAST).then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        vec![vec!["NAME".into(), "STATE".into()], vec!["a-long-name".into(), "\x1b[32mok\x1b[0m".into()]]
    }

    #[test]
    fn columns_stand_under_each_other_whatever_their_colour() {
        assert_eq!(lines(&rows(), None), ["NAME         STATE", "a-long-name  \x1b[32mok\x1b[0m"]);
    }

    #[test]
    fn a_line_that_is_too_long_for_the_terminal_is_cut_where_it_shows() {
        assert_eq!(lines(&[vec!["0123456789".into()]], Some(5)), ["0123…"]);
        assert_eq!(lines(&[vec!["01234".into()]], Some(5)), ["01234"]);
        let colored = "01\x1b[32m23456\x1b[0m789".to_owned();
        assert_eq!(lines(&[vec![colored.clone()]], Some(5)), ["01\x1b[32m23\x1b[0m…"]);
        assert_eq!(lines(&[vec![colored.clone()]], Some(10)), [colored]);
    }
}
