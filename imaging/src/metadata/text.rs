//! Comments and other texts with a key word.

/// The key word of a comment that has none of its own, such as that of a JPEG.
pub const COMMENT: &str = "Comment";

/// A text with its key word, as in PNG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What it is, such as `Comment` or `Copyright`.
    pub key: String,
    /// The text.
    pub text: String,
}

impl Text {
    /// A comment; bytes that are not UTF-8 are taken for Latin-1.
    pub fn comment(bytes: &[u8]) -> Text {
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_or_else(|_| latin1(bytes), str::to_owned);
        Text {
            key: COMMENT.into(),
            text,
        }
    }

    /// As one text without a key word.
    pub fn plain(&self) -> String {
        match self.key == COMMENT {
            true => self.text.clone(),
            false => format!("{}: {}", self.key, self.text),
        }
    }

    /// The tag of a TIFF directory that means the same.
    pub fn tag(&self) -> Option<u16> {
        match self.key.as_str() {
            COMMENT | "Description" => Some(270),
            "Software" => Some(305),
            "Author" => Some(315),
            "Copyright" => Some(33432),
            _ => None,
        }
    }
}

/// Latin-1 as text.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

/// The longest part of a text that is at most `most` bytes long.
pub fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_read_in_either_coding() {
        assert_eq!(Text::comment("für".as_bytes()).text, "für");
        assert_eq!(Text::comment(b"f\xFCr\0").text, "für");
        assert_eq!(cut("für", 2), "f");
        assert_eq!(cut("für", 9), "für");
    }
}
