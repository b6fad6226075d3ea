//! The height of a JPEG that tells it only by a DNL marker after the first scan (T.81 B.2.5).

use super::header::{bad, next_marker};
use crate::codec::limits::read_full;
use crate::error::Result;
use std::io::{BufRead, Seek, SeekFrom};

/// Looks for the height behind the frame's header and comes back to where it was.
pub(super) fn height<R: BufRead + Seek>(input: &mut R) -> Result<u16> {
    let here = input.stream_position()?;
    loop {
        let marker = next_marker(input)?;
        if matches!(marker, 0x01 | 0xD0..=0xD7) {
            continue;
        }
        if marker == 0xD9 {
            return Err(bad("its height is told nowhere"));
        }
        let mut length = [0; 2];
        read_full(input, &mut length, "JPEG")?;
        let length = i64::from(u16::from_be_bytes(length));
        input.seek_relative((length - 2).max(0))?;
        if marker == 0xDA {
            break;
        }
    }
    // In a scan only restarts have a marker.
    let marker = loop {
        let marker = next_marker(input)?;
        if !matches!(marker, 0xD0..=0xD7) {
            break marker;
        }
    };
    let mut lines = [0; 4];
    if marker != 0xDC {
        return Err(bad("its height is told nowhere"));
    }
    read_full(input, &mut lines, "JPEG")?;
    input.seek(SeekFrom::Start(here))?;
    match lines {
        [0, 4, 0, 0] => Err(bad("its height is 0")),
        [0, 4, high, low] => Ok(u16::from_be_bytes([high, low])),
        _ => Err(bad("the length of its height")),
    }
}
