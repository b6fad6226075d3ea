//! The order of names that have numbers in them.

/// What names are sorted by, byte for byte: numbers count as numbers (`a2` before `a10`), and case does not count.
pub fn natural(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 4);
    let mut chars = name.chars().peekable();
    while let Some(char) = chars.next() {
        if !char.is_ascii_digit() {
            for lower in char.to_lowercase() {
                let mut bytes = [0; 4];
                key.extend_from_slice(lower.encode_utf8(&mut bytes).as_bytes());
            }
            continue;
        }
        // Among other characters it stands where digits do; then the longer number is the greater one.
        key.extend([b'0', 0]);
        let length = key.len() - 1;
        let mut digit = Some(char);
        while let Some(now) = digit {
            if key[length] > 0 || now != '0' {
                key.push(now as u8);
                key[length] = key[length].saturating_add(1);
            }
            digit = chars.next_if(char::is_ascii_digit);
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers_and_case_does_not() {
        let mut names = ["a10", "b1", "a2", "A2b", "a", "a02", "a-1", "aZ", "a:"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(
            names,
            ["a", "a-1", "a2", "a02", "A2b", "a10", "a:", "aZ", "b1"]
        );
        assert_eq!(natural("x0"), natural("X000"));
        assert!(natural("7") < natural("10000000000000000000000"));
    }
}
