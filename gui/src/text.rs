//! Text for people: sizes, times and counts in words; names from outside, made harmless as the command line does it.

pub use client::text::harmless;

/// Bytes, such as `3.2 MB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} bytes"),
        _ if value < 9.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// A time, such as `1 min 20 s`.
pub fn time(secs: f64) -> String {
    match secs {
        s if s < 0.95 => format!("{:.0} ms", s * 1e3),
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 59.5 => format!("{s:.0} s"),
        s if s < 3570.0 => {
            let s = s.round() as u64;
            format!("{} min {:02} s", s / 60, s % 60)
        }
        s => {
            let minutes = (s / 60.0).round() as u64;
            format!("{} h {:02} min", minutes / 60, minutes % 60)
        }
    }
}

/// A count with its noun: `1 file`, `12,345 files`.
pub fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        n => format!("{} {noun}s", grouped(n)),
    }
}

/// A number with its thousands apart.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_in_words() {
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(3_249_000), "3.2 MB");
        assert_eq!(bytes(999_600), "1.0 MB");
        assert_eq!(time(0.04), "40 ms");
        assert_eq!(time(80.2), "1 min 20 s");
        assert_eq!(time(7260.0), "2 h 01 min");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(100_000, "file"), "100,000 files");
    }
}
