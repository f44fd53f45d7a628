//! What the person reads. Everything that came from outside has been made printable before it gets here.

use crate::oauth::DeviceGrant;
use qrcodegen::{QrCode, QrCodeEcc};
use shared::config::{Messages, Prompt};
use shared::text::printable;

/// Widest QR code that is drawn, in columns: a terminal of the classic size.
const MAX_COLUMNS: i32 = 78;
/// Light modules around the code. ISO/IEC 18004 wants 4; phones read 2, and a terminal is small.
const QUIET_ZONE: i32 = 2;

/// Who wants in where, for the person to check.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// Name of this machine.
    pub machine: String,
    /// The name asked for.
    pub user: String,
    /// The address that asks.
    pub rhost: Option<String>,
}

impl Occasion {
    fn line(&self) -> String {
        let from = self.rhost.as_deref().map(|rhost| format!(", asked for from {}", printable(rhost, 255)));
        format!(
            "Sign in to {} as {}{}.",
            printable(&self.machine, 64),
            printable(&self.user, 64),
            from.unwrap_or_default()
        )
    }
}

/// The gate before the provider is contacted, for a name that nobody has confirmed yet.
#[must_use]
pub fn gate(occasion: &Occasion) -> String {
    format!("\n{}\nPress Enter to get a sign-in code: ", occasion.line())
}

/// URL, code, warning, QR code, and the wait for Enter.
#[must_use]
pub fn device(occasion: &Occasion, grant: &DeviceGrant, prompt: &Prompt) -> String {
    let qr = if prompt.qr { qr_code(qr_url(grant, prompt)) } else { None };
    let messages = &prompt.messages;
    let mut text = format!("\n{}\n\n", occasion.line());
    if let Some(own) = introduction(messages, grant, qr.is_some()) {
        text.push_str(&printable_lines(own));
        text.push('\n');
    }
    let code = messages.prompt_code.as_deref().map_or_else(|| "  2. Enter the code".into(), printable_lines);
    text.push_str(&format!(
        "  1. Open in a browser   {}\n{code:<24} {}\n\nIf you did not start this login, do not approve it.\n",
        grant.verification_uri, grant.user_code
    ));
    if let Some(qr) = qr {
        text.push('\n');
        text.push_str(&qr);
    }
    let enter = messages.prompt_enter.as_deref().map_or_else(
        || "Press Enter when you have approved the login in the browser".into(),
        printable_lines,
    );
    text.push_str(&format!("\n{}: ", enter.trim_end_matches([':', ' ', '\n'])));
    text
}

/// The text of the earlier modules for this case, where the configuration has one.
fn introduction<'a>(messages: &'a Messages, grant: &DeviceGrant, qr: bool) -> Option<&'a str> {
    let text = match (grant.verification_uri_complete.is_some(), qr) {
        (true, true) => &messages.prompt_complete,
        (true, false) => &messages.prompt_no_qr_complete,
        (false, true) => &messages.prompt_incomplete,
        (false, false) => &messages.prompt_no_qr_incomplete,
    };
    text.as_deref()
}

fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line, 500)).collect::<Vec<_>>().join("\n")
}

/// The plain URL, unless the configuration wants the code in it: who scans a code from somebody else's screen should
/// at least have to type what it is for.
fn qr_url<'a>(grant: &'a DeviceGrant, prompt: &Prompt) -> &'a str {
    let complete = grant.verification_uri_complete.as_deref().filter(|_| prompt.qr_complete);
    complete.unwrap_or(&grant.verification_uri)
}

/// Two modules a character, light on the terminal's dark; no colours, which ssh would escape. `None` when it is too
/// wide.
fn qr_code(url: &str) -> Option<String> {
    let code = QrCode::encode_text(url, QrCodeEcc::Low).ok()?;
    let size = code.size();
    if size + 2 * QUIET_ZONE > MAX_COLUMNS {
        return None;
    }
    let (first, last) = (-QUIET_ZONE, size + QUIET_ZONE);
    let light = |x, y| y >= last || !code.get_module(x, y);
    let mut text = String::new();
    let mut y = first;
    while y < last {
        for x in first..last {
            text.push(match (light(x, y), y + 1 < last && light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        text.push('\n');
        y += 2;
    }
    Some(text)
}
