//! Colours as people write them, and as profiles define them.

mod back;
mod build;
mod curve;
mod lut;
mod manage;
mod profile;
mod transform;

pub use build::{display_p3, srgb};
pub use manage::{Choice, holds_profile, manage, tables_bytes};
#[cfg(test)]
pub(crate) use transform::tests::inks;
pub use transform::{Cmyk, Transform};

/// CSS's sixteen names.
const NAMES: [(&str, [u8; 3]); 16] = [
    ("black", [0, 0, 0]),
    ("silver", [192, 192, 192]),
    ("gray", [128, 128, 128]),
    ("white", [255, 255, 255]),
    ("maroon", [128, 0, 0]),
    ("red", [255, 0, 0]),
    ("purple", [128, 0, 128]),
    ("fuchsia", [255, 0, 255]),
    ("green", [0, 128, 0]),
    ("lime", [0, 255, 0]),
    ("olive", [128, 128, 0]),
    ("yellow", [255, 255, 0]),
    ("navy", [0, 0, 128]),
    ("blue", [0, 0, 255]),
    ("teal", [0, 128, 128]),
    ("aqua", [0, 255, 255]),
];

/// Red, green and blue of a name, `#rrggbb` or `#rgb`; else what is wrong with it.
pub fn parse(text: &str) -> Result<[u8; 3], String> {
    if let Some((_, rgb)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*rgb);
    }
    let digits = text.strip_prefix('#').unwrap_or("");
    let digit = |at: usize| {
        digits
            .get(at..at + 1)
            .and_then(|d| u8::from_str_radix(d, 16).ok())
    };
    let rgb = match digits.len() {
        6 => [0, 2, 4].map(|at| Some(16 * digit(at)? + digit(at + 1)?)),
        3 => [0, 1, 2].map(|at| digit(at).map(|d| 17 * d)),
        _ => [None; 3],
    };
    match rgb {
        [Some(r), Some(g), Some(b)] => Ok([r, g, b]),
        _ => {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            Err(format!("is no colour: #rrggbb, or {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_and_digits() {
        assert_eq!(parse("white"), Ok([255; 3]));
        assert_eq!(parse("#ff8000"), Ok([255, 128, 0]));
        assert_eq!(parse("#f80"), Ok([255, 136, 0]));
        for wrong in ["", "#", "#ff80", "#gg0000", "whit", "ff8000", "#é00"] {
            assert!(parse(wrong).unwrap_err().contains("#rrggbb"), "{wrong}");
        }
    }
}
