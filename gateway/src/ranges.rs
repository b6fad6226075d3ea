//! What a client has of an object already, and which part it wants (RFC 9110, parts 13 and 14).

use http::{HeaderMap, header};
use std::ops::Range;

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    All,
    /// These bytes.
    Some(Range<u64>),
    /// Nothing: the client has it.
    Known,
    /// It has no such bytes.
    Never,
}

/// Reads the headers of a request for an object of `size` bytes in a state that `tag` names.
pub(crate) fn wanted(headers: &HeaderMap, size: u64, tag: Option<&str>) -> Wanted {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let (Some(known), Some(tag)) = (text(header::IF_NONE_MATCH), tag) {
        let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        if known.trim() == "*" || known.split(',').any(|known| weak(known) == weak(tag)) {
            return Wanted::Known;
        }
    }
    let Some(range) = text(header::RANGE) else {
        return Wanted::All;
    };
    // The rest of another state would be of no use. Times are not told as exactly as is needed here.
    if let Some(condition) = text(header::IF_RANGE)
        && Some(condition.trim()) != tag
    {
        return Wanted::All;
    }
    part(range, size)
}

/// The one range of a header; several, and what is none, count as no header.
fn part(text: &str, size: u64) -> Wanted {
    let Some((unit, range)) = text.split_once('=') else {
        return Wanted::All;
    };
    let Some((first, last)) = range.trim().split_once('-') else {
        return Wanted::All;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return Wanted::All;
    }
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // Beyond what a number holds is beyond every object.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = (first.trim(), last.trim());
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(0)) if first.is_empty() => return Wanted::Never,
        (None, Some(last)) if first.is_empty() => size.saturating_sub(last)..size,
        _ => return Wanted::All,
    };
    match range.start < range.end {
        true => Wanted::Some(range),
        false => Wanted::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(header::HeaderName, &str)]) -> Wanted {
        let pairs = pairs.iter();
        let headers = pairs.map(|(name, value)| (name.clone(), value.parse().unwrap()));
        wanted(&headers.collect(), 10, Some("\"a\""))
    }

    #[test]
    fn ranges_are_those_of_the_standard() {
        let range = |text| of(&[(header::RANGE, text)]);
        assert_eq!(range("bytes=0-3"), Wanted::Some(0..4));
        assert_eq!(range("bytes=4-"), Wanted::Some(4..10));
        assert_eq!(range("bytes=-3"), Wanted::Some(7..10));
        assert_eq!(range("bytes=-30"), Wanted::Some(0..10));
        assert_eq!(
            range("Bytes= 9-99999999999999999999999"),
            Wanted::Some(9..10)
        );
        for none in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(range(none), Wanted::Never, "{none}");
        }
        for all in [
            "bytes=3-2",
            "bytes=a-b",
            "bytes=0-1,4-5",
            "lines=0-3",
            "bytes",
            "bytes=-",
            "bytes=+1-2",
            "bytes=1",
        ] {
            assert_eq!(range(all), Wanted::All, "{all}");
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again_and_what_changed_is_sent_whole() {
        let range = (header::RANGE, "bytes=2-");
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            let known = (header::IF_NONE_MATCH, known);
            assert_eq!(of(&[known, range.clone()]), Wanted::Known);
        }
        assert_eq!(of(&[(header::IF_NONE_MATCH, "\"b\"")]), Wanted::All);
        let same = (header::IF_RANGE, "\"a\"");
        assert_eq!(of(&[same, range.clone()]), Wanted::Some(2..10));
        for other in ["\"b\"", "W/\"a\"", "Fri, 27 Nov 2026 10:00:00 GMT"] {
            let other = (header::IF_RANGE, other);
            assert_eq!(of(&[other, range.clone()]), Wanted::All);
        }
    }
}
