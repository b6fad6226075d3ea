//! The chunks before the pixels: how much profile, EXIF and text they hold, also once inflated.
//!
//! The decoder passes over text and drops profiles that it cannot inflate (which [`super::lenient`] tells); a file
//! that hides a bomb there is refused.

use crate::codec::Limits;
use crate::error::Result;
use flate2::read::ZlibDecoder;
use std::io::{Read, Seek, SeekFrom};

const SIGNATURE: u64 = 8;

/// Checks the metadata before the first `IDAT` against the limit and goes back to the beginning. A file
/// that ends too early is left to the decoder.
pub fn check<R: Read + Seek>(mut input: R, limits: &Limits) -> Result<()> {
    let (mut at, mut total) = (SIGNATURE, 0u64);
    let end = input.seek(SeekFrom::End(0))?;
    while at + 12 <= end {
        input.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        input.read_exact(&mut head)?;
        let [a, b, c, d, name @ ..] = head;
        let len = u64::from(u32::from_be_bytes([a, b, c, d]));
        match &name {
            b"IDAT" | b"IEND" => break,
            b"iCCP" | b"zTXt" => total += inflated(&mut input, len, 1, limits)?.unwrap_or(len),
            b"tEXt" | b"iTXt" | b"eXIf" => total += len,
            _ => {}
        }
        limits.metadata(usize::try_from(total).unwrap_or(usize::MAX))?;
        at += 12 + len;
    }
    input.seek(SeekFrom::Start(0))?;
    Ok(())
}

/// Bytes of the zlib stream after a name, a zero and `skip` bytes; counting ends beyond the limit.
/// `None` where there is no sound stream.
fn inflated<R: Read>(input: &mut R, len: u64, skip: usize, limits: &Limits) -> Result<Option<u64>> {
    let mut chunk = Vec::new();
    limits.metadata(usize::try_from(len).unwrap_or(usize::MAX))?;
    input.take(len).read_to_end(&mut chunk)?;
    let Some(stream) = chunk
        .iter()
        .position(|&b| b == 0)
        .and_then(|zero| chunk.get(zero + 1 + skip..))
    else {
        return Ok(None);
    };
    let mut reader = ZlibDecoder::new(stream).take(limits.max_metadata as u64 + 1);
    Ok(std::io::copy(&mut reader, &mut std::io::sink()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use std::io::{Cursor, Write};

    fn file(name: &[u8; 4], inflated: usize) -> Vec<u8> {
        let mut deflated =
            flate2::write::ZlibEncoder::new(b"x\0\0".to_vec(), flate2::Compression::fast());
        deflated.write_all(&vec![0; inflated]).unwrap();
        let data = deflated.finish().unwrap();
        let mut file = vec![0; 8];
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(name);
        file.extend(data);
        file.extend([0; 4]);
        file.extend(b"\0\0\0\0IDAT\0\0\0\0");
        file
    }

    #[test]
    fn profiles_and_texts_beyond_the_limit_are_refused() {
        let limits = Limits {
            max_metadata: 1000,
            ..Limits::default()
        };
        for name in [b"iCCP", b"zTXt"] {
            assert!(check(Cursor::new(file(name, 900)), &limits).is_ok());
            assert!(matches!(
                check(Cursor::new(file(name, 1001)), &limits),
                Err(Error::Limit { .. })
            ));
            assert!(matches!(
                check(Cursor::new(file(name, 100_000_000)), &limits),
                Err(Error::Limit { .. })
            ));
        }
    }
}
