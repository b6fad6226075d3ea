//! Paths as text without loss.
//!
//! JSON is Unicode; Unix file names are bytes. A path that is Unicode and has no backslash is its own
//! text. In any other, a backslash becomes `\\` and each byte that is not part of valid UTF-8 becomes
//! `\xNN` (two lower-case hexadecimal digits). Reading is lenient: a backslash that begins neither of
//! the two stands for itself.

use std::path::{Path, PathBuf};

/// The text of a path, as in receipts, events and job files.
pub fn to_text(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' if cfg!(unix) => text.push_str("\\\\"),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The path of a text written by [`to_text`].
#[cfg(unix)]
pub fn to_path(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = text.as_bytes();
    let mut path = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let code = match rest {
            [b'\\', b'x', high, low, ..] => hex(*high).zip(hex(*low)).map(|(h, l)| h * 16 + l),
            _ => None,
        };
        if let Some(byte) = code {
            path.push(byte);
            at += 4;
        } else {
            path.push(bytes[at]);
            at += if rest.starts_with(b"\\\\") { 2 } else { 1 };
        }
    }
    std::ffi::OsString::from_vec(path).into()
}

/// The path of a text written by [`to_text`].
#[cfg(not(unix))]
pub fn to_path(text: &str) -> PathBuf {
    text.into()
}

#[cfg(unix)]
fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|v| v as u8)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn any_bytes_come_back() {
        let names: [&[u8]; 6] = [
            b"plain.jpg",
            "schön/ä.png".as_bytes(),
            b"a\\b.png",
            b"\\xff.png",
            b"\xff\xfe\\x41\xc3.png",
            b"tail\\",
        ];
        for name in names {
            let path = Path::new(OsStr::from_bytes(name));
            assert_eq!(to_path(&to_text(path)), path, "{}", to_text(path));
        }
        assert_eq!(
            to_text(Path::new(OsStr::from_bytes(b"a\xff.png"))),
            "a\\xff.png"
        );
        assert_eq!(to_text(Path::new("plain.jpg")), "plain.jpg");
    }

    #[test]
    fn a_single_backslash_stands_for_itself() {
        assert_eq!(to_path("a\\b"), Path::new("a\\b"));
        assert_eq!(to_path("a\\xzz"), Path::new("a\\xzz"));
    }
}
