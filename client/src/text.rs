//! Text of which parts come from elsewhere, such as names of files and messages of servers.

use std::borrow::Cow;

/// Text that cannot steer who shows it: control characters, and those that turn the direction of writing or have
/// no width, are shown as their escapes. So `photo\u{202e}gpj.exe` looks like what it is.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(deceives) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match deceives(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown.into()
}

/// Control characters, embeddings, overrides and isolates of direction, marks of it, and a byte order mark; joiners stay, since
/// scripts and emoji need them.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// An input for people: what was uploaded goes by the name that it had before. Harmless.
pub fn input(text: &str) -> Cow<'_, str> {
    let below = text
        .strip_prefix("uploads/")
        .and_then(|t| t.split_once('/'));
    harmless(below.map_or(text, |(_, name)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_look_like_what_they_are() {
        assert_eq!(harmless("photo\u{202e}gpj.exe"), "photo\\u{202e}gpj.exe");
        assert_eq!(harmless("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(harmless("ein Bäcker.png"), "ein Bäcker.png");
        assert_eq!(harmless("می\u{200c}خواهم.png"), "می\u{200c}خواهم.png");
        assert_eq!(input("uploads/u1/a.png"), "a.png");
    }
}
