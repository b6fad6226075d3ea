//! Every decoder against files that end early, that lie, and that were damaged: an image or an error,
//! never a panic, a hang, or more memory than the limits allow. All cases are the same in each run.

use imaging::codec::{
    Format, FormatKind, KeepMetadata, Limits, OpenOptions, detect, encode, open, probe,
};
use imaging::window::Band;
use imaging::{Buffer, Color, Error, Image, Result, Rows, SampleType, Shape};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

const FORMATS: [&str; 15] = [
    "jpeg(quality=90)",
    "jpeg(quality=50, subsampling=444)",
    "png(compression=none)",
    "png(compression=fast)",
    "png(compression=balanced)",
    "tiff(compression=none)",
    "tiff(compression=lzw)",
    "tiff(compression=deflate)",
    "tiff(compression=packbits)",
    "webp(quality=60)",
    "webp(lossless)",
    "bmp",
    "pnm",
    "png(compression=best)",
    "jpeg(quality=75, subsampling=422)",
];
const DATA: [&str; 10] = [
    "opencv_deflate16.tif",
    "pillow_animated.png",
    "pillow_bits_packbits.tif",
    "pillow_lzw.tif",
    "pillow_palette.gif",
    "pillow_palette.png",
    "pillow_palette.tif",
    "vips_float.tif",
    "vips_interlaced.png",
    "vips_tiled_big.tif",
];
/// Longest time for one small file; generous, since tests share their cores.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most address space that all cases of a test may take, allocators' reserves included.
const MEMORY: usize = 1 << 30;

fn limits() -> Limits {
    Limits {
        max_pixels: 1 << 20,
        max_bytes: 1 << 24,
        max_metadata: 1 << 20,
    }
}

/// Xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % n.max(1)
    }
}

fn picture(rows: usize, cols: usize, color: Color, sample: SampleType) -> Image {
    let shape = Shape::new(rows, cols, color, sample);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let values: Vec<usize> = (0..rows * shape.row_len())
        .map(|at| (at * 701 + at / shape.row_len() * 353 + random.below(4000)) % 65536)
        .collect();
    let data = match sample {
        SampleType::U8 => Buffer::U8(values.iter().map(|v| (v / 256) as u8).collect()),
        SampleType::U16 => Buffer::U16(values.iter().map(|v| *v as u16).collect()),
        SampleType::F32 => Buffer::F32(values.iter().map(|v| *v as f32 / 65535.0).collect()),
        SampleType::F64 => Buffer::F64(values.iter().map(|v| *v as f64 / 65535.0).collect()),
    };
    Image::new(shape, data)
}

/// Sound files of every format.
fn samples() -> Vec<(String, Vec<u8>)> {
    let mut pictures = vec![
        picture(9, 13, Color::Gray, SampleType::U8),
        picture(17, 11, Color::Rgb, SampleType::U8),
        picture(5, 7, Color::Rgba, SampleType::U16),
        picture(4, 6, Color::GrayAlpha, SampleType::F32),
    ];
    pictures[1].metadata.icc = Some((0..150).collect());
    pictures[1].metadata.exif =
        Some(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0".to_vec());
    let mut samples = Vec::new();
    for text in FORMATS {
        let format = Format::parse(text).expect("a format");
        for image in &pictures {
            let bytes = encode(image, &format, KeepMetadata::All).expect("it encodes");
            samples.push((format!("{text} of {:?}", image.shape()), bytes));
        }
    }
    for name in DATA {
        let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
        samples.push((name.into(), std::fs::read(path).expect("a readable file")));
    }
    samples
}

/// Decodes in bands of three rows, as a streaming caller does.
fn decode(bytes: &[u8]) -> Result<Rows> {
    let header = probe(&mut Cursor::new(bytes), &limits())?;
    let input = Box::new(Cursor::new(bytes.to_vec()));
    let mut source = open(input, &limits(), &OpenOptions::default())?;
    let shape = source.shape();
    assert_eq!(header.shape, shape, "probe and open agree");
    let mut rows = Rows::zeroed(shape, 0..shape.rows);
    for at in (0..shape.rows).step_by(3) {
        let mut all = Band::of(&mut rows);
        source.read(&mut all.part(at..(at + 3).min(shape.rows)))?;
    }
    Ok(rows)
}

/// Decodes and answers for panics and time.
fn survive(what: &str, bytes: &[u8]) -> Result<Rows> {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| decode(bytes)));
    let took = start.elapsed();
    assert!(took < PATIENCE, "{what}: took {took:?}");
    match result {
        Ok(result) => result,
        Err(_) => panic!("{what}: panicked on {bytes:02x?}"),
    }
}

/// Most address space taken so far; 0 where the system does not tell.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmPeak:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|n| n.parse::<usize>().ok()).unwrap_or(0) * 1024
}

fn within_memory(work: impl FnOnce()) {
    let before = peak();
    work();
    let taken = peak() - before;
    assert!(taken < MEMORY, "{} MiB were taken", taken >> 20);
}

/// Bytes at the end that carry no pixel: padding, or what follows a first frame.
fn harmless(bytes: &[u8]) -> usize {
    match detect(&mut Cursor::new(bytes)).expect("a known format") {
        FormatKind::Gif => 1,
        FormatKind::Bmp => 3,
        // The end marker; the end chunk.
        FormatKind::Jpeg => 3,
        FormatKind::Png => match bytes.windows(4).any(|name| name == b"fdAT") {
            // Later frames are pages of their own.
            true => bytes.len(),
            false => 12,
        },
        // Directories come last, and of those only what says how pixels lie is needed: what decodes must be whole.
        FormatKind::Tiff => bytes.len(),
        _ => 0,
    }
}

#[test]
fn a_truncated_file_is_never_taken_for_a_whole_one() {
    within_memory(|| {
        for (name, bytes) in samples() {
            let whole = survive(&name, &bytes).expect("a sound file");
            let harmless = harmless(&bytes);
            for len in 0..bytes.len() {
                match survive(&format!("{name} cut at {len}"), &bytes[..len]) {
                    Err(_) => {}
                    Ok(rows) => assert!(
                        len + harmless >= bytes.len() && rows == whole,
                        "{name} cut at {len} of {} decodes",
                        bytes.len()
                    ),
                }
            }
        }
    });
}

#[test]
fn headers_that_lie_are_met_with_an_image_or_an_error() {
    within_memory(|| {
        for (name, bytes) in samples() {
            for at in 0..bytes.len().min(160) {
                for width in [1, 2, 4] {
                    for fill in [0x00, 0x7F, 0x80, 0xFF] {
                        let mut wild = bytes.clone();
                        let end = (at + width).min(wild.len());
                        wild[at..end].fill(fill);
                        let _ = survive(&format!("{name} with {fill:02x} at {at}..{end}"), &wild);
                    }
                }
            }
        }
    });
}

#[test]
fn damage_is_met_with_an_image_or_an_error() {
    within_memory(|| {
        let mut random = Random(0x2545_F491_4F6C_DD1D);
        for (name, bytes) in samples() {
            for case in 0..1500 {
                let mut wild = bytes.clone();
                for _ in 0..=random.below(6) {
                    let at = random.below(wild.len());
                    match random.below(5) {
                        0 => wild[at] = random.below(256) as u8,
                        1 => {
                            wild.remove(at);
                        }
                        2 => wild.insert(at, random.below(256) as u8),
                        3 => {
                            let from = random.below(wild.len());
                            wild[at] = wild[from];
                        }
                        _ => wild[at] ^= 1 << random.below(8),
                    }
                }
                let _ = survive(&format!("{name}, case {case}"), &wild);
            }
        }
    });
}

#[test]
fn what_is_no_image_is_an_error() {
    for bytes in [&b""[..], b"\0", b"hello, world", &[0xFF; 64], &[0; 4096]] {
        assert!(matches!(survive("no image", bytes), Err(Error::Decode(_))));
    }
}
