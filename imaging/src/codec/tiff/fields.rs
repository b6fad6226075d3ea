//! Directories to be written: fields with their values, and directories within directories.

/// One field of a directory; its values in little-endian order.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// What it tells.
    pub tag: u16,
    /// Type of its values.
    pub kind: u16,
    /// Number of values.
    pub count: u64,
    /// The values.
    pub data: Vec<u8>,
    /// Instead of values: a directory that the field points to.
    pub inner: Option<Vec<Field>>,
}

impl Field {
    /// A field of 16-bit numbers.
    pub fn shorts(tag: u16, values: &[u16]) -> Field {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Field::new(tag, 3, values.len(), data)
    }

    /// A field of 32-bit numbers, or of 64 bits where `wide`.
    pub fn longs(tag: u16, values: &[u64], wide: bool) -> Field {
        let bytes = if wide { 8 } else { 4 };
        let data = values
            .iter()
            .flat_map(|v| v.to_le_bytes().into_iter().take(bytes))
            .collect();
        Field::new(tag, if wide { 16 } else { 4 }, values.len(), data)
    }

    /// A field of `count` values that are there as bytes.
    pub fn new(tag: u16, kind: u16, count: usize, data: Vec<u8>) -> Field {
        Field {
            tag,
            kind,
            count: count as u64,
            data,
            inner: None,
        }
    }

    /// A field that points to a directory.
    pub fn directory(tag: u16, fields: Vec<Field>) -> Field {
        Field {
            inner: Some(fields),
            ..Field::new(tag, 4, 1, Vec::new())
        }
    }
}

/// The bytes of a directory that will stand at position `at` (even), with all that it points to.
pub fn serialise(fields: &[Field], at: u64, wide: bool) -> Vec<u8> {
    let (count_bytes, slot) = if wide { (8, 8) } else { (2, 4) };
    let entry = 4 + 2 * slot;
    let head = count_bytes + fields.len() * entry + slot;
    let mut order: Vec<&Field> = fields.iter().collect();
    order.sort_by_key(|field| field.tag);
    let mut out = Vec::with_capacity(head);
    out.extend_from_slice(&(fields.len() as u64).to_le_bytes()[..count_bytes]);
    let mut tail: Vec<u8> = Vec::new();
    for field in order {
        if tail.len() % 2 == 1 {
            tail.push(0);
        }
        let place = at + (head + tail.len()) as u64;
        let pointer = &place.to_le_bytes()[..slot];
        let (mut kind, mut value) = (field.kind, [0; 8]);
        if let Some(inner) = &field.inner {
            kind = if wide { 16 } else { 4 };
            value[..slot].copy_from_slice(pointer);
            tail.extend(serialise(inner, place, wide));
        } else if field.data.len() <= slot {
            value[..field.data.len()].copy_from_slice(&field.data);
        } else {
            value[..slot].copy_from_slice(pointer);
            tail.extend_from_slice(&field.data);
        }
        out.extend_from_slice(&field.tag.to_le_bytes());
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&field.count.to_le_bytes()[..slot]);
        out.extend_from_slice(&value[..slot]);
    }
    // No next directory.
    out.extend_from_slice(&[0; 8][..slot]);
    // `head` counted an odd number of bytes only if an entry had one: it has not.
    out.extend(tail);
    out
}
