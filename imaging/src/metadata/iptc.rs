//! IPTC datasets within Photoshop's image resources, which is how JPEG and PNG hold them.

const IPTC: u16 = 0x0404;
const MARK: &[u8] = b"8BIM";

/// The datasets among image resources.
pub fn find(mut resources: &[u8]) -> Option<Vec<u8>> {
    loop {
        let rest = resources.strip_prefix(MARK)?;
        let (id, rest) = rest.split_at_checked(2)?;
        let name = usize::from(*rest.first()?);
        // The name with its length fills an even number of bytes.
        let rest = rest.get((name + 1).next_multiple_of(2)..)?;
        let (size, rest) = rest.split_first_chunk::<4>()?;
        let size = u32::from_be_bytes(*size) as usize;
        let data = rest.get(..size)?;
        if id == IPTC.to_be_bytes() {
            return Some(data.to_vec()).filter(|data| !data.is_empty());
        }
        resources = rest.get(size.next_multiple_of(2)..)?;
    }
}

/// One image resource with these datasets.
pub fn resource(iptc: &[u8]) -> Vec<u8> {
    let mut out = MARK.to_vec();
    out.extend(IPTC.to_be_bytes());
    out.extend([0, 0]);
    out.extend((iptc.len() as u32).to_be_bytes());
    out.extend(iptc);
    if iptc.len() % 2 == 1 {
        out.push(0);
    }
    out
}

/// The text of the dataset 2:`number`.
pub fn text(mut iptc: &[u8], number: u8) -> Option<String> {
    loop {
        let [0x1C, record, dataset, high, low, rest @ ..] = iptc else {
            return None;
        };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let data = rest.get(..len)?;
        if (*record, *dataset) == (2, number) {
            return Some(super::Text::comment(data).text);
        }
        iptc = &rest[len..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_are_found_behind_other_resources() {
        let datasets = b"\x1c\x02P\0\x03Bob\x1c\x02t\0\x02me";
        let mut all = b"8BIM\x03\xED\x03abc\0\0\0\x03xyz\0".to_vec();
        all.extend(resource(datasets));
        assert_eq!(find(&all).as_deref(), Some(&datasets[..]));
        assert_eq!(text(datasets, 116).as_deref(), Some("me"));
        assert_eq!(text(datasets, 5), None);
        for len in 0..all.len() {
            let _ = find(&all[..len]);
        }
    }
}
