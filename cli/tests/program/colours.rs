//! Colours and metadata on their way from file to file.

use crate::run;
use imaging::codec::{Format, KeepMetadata, Limits, OpenOptions, decode, encode, exif};
use imaging::metadata::{Geo, Resolution, Text, Unit};
use imaging::{Buffer, Color, Image, SampleType, Shape, color};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// A picture that grows lighter to the right and redder down.
fn picture(cols: usize, rows: usize, color: Color) -> Image {
    let shape = Shape::new(rows, cols, color, SampleType::U8);
    let n = color.channels();
    let value = |at: usize| match (at % n, at / n % cols, at / n / cols) {
        (0, x, y) => (x * 3 + y * 2) % 256,
        (3, x, _) => x * 255 / cols.max(1),
        (c, x, y) => (x * 2 + c * 20 + y) % 256,
    };
    let data = (0..rows * shape.row_len())
        .map(|at| value(at) as u8)
        .collect();
    Image::new(shape, Buffer::U8(data))
}

fn write(dir: &Path, name: &str, image: &Image) {
    let (_, extension) = name.rsplit_once('.').unwrap();
    let format = Format::parse(extension).unwrap();
    let bytes = encode(image, &format, KeepMetadata::All).unwrap();
    fs::write(dir.join(name), bytes).unwrap();
}

fn read(dir: &Path, name: &str) -> Image {
    let bytes = fs::read(dir.join(name)).unwrap();
    decode(bytes, &Limits::default(), &OpenOptions::default()).unwrap()
}

/// Runs, and says what it told.
fn made(dir: &Path, arguments: &[&str]) -> String {
    let (code, _, told) = run(dir, &[&["run"], arguments].concat());
    assert_eq!(code, 0, "{arguments:?}: {told}");
    told
}

#[test]
fn the_resolution_goes_from_format_to_format_and_follows_a_resize() {
    let dir = TempDir::new().unwrap();
    let mut image = picture(64, 48, Color::Rgb);
    image.metadata.resolution = Resolution::new(300.0, 300.0, Unit::Inch);
    let formats = ["png", "jpg", "tif", "webp"];
    for from in formats {
        let input = format!("in.{from}");
        write(dir.path(), &input, &image);
        for to in formats {
            let output = format!("{from}.{to}");
            made(dir.path(), &[&input, "-o", &output]);
            let found = read(dir.path(), &output).metadata.resolution.unwrap();
            assert_eq!(
                (found.x, found.y, found.unit),
                (300.0, 300.0, Unit::Inch),
                "{output}"
            );
            made(
                dir.path(),
                &[&input, "-o", &output, "-p", "resize(width=32)"],
            );
            let found = read(dir.path(), &output).metadata.resolution.unwrap();
            assert_eq!((found.x, found.y), (150.0, 150.0), "{output}");
        }
    }
}

/// An EXIF block with a size of 800 x 600, orientation 6, and a thumbnail.
fn block() -> Vec<u8> {
    let entry = |tag: u16, kind: u16, value: u32| {
        let (tag, kind, value) = (tag.to_le_bytes(), kind.to_le_bytes(), value.to_le_bytes());
        [&tag[..], &kind, &[1, 0, 0, 0], &value].concat()
    };
    let mut out = b"II*\0\x08\0\0\0\x02\0".to_vec();
    out.extend([entry(0x0112, 3, 6), entry(0x8769, 4, 38), vec![68, 0, 0, 0]].concat());
    out.extend(
        [
            vec![2, 0],
            entry(0xA002, 4, 800),
            entry(0xA003, 4, 600),
            vec![0; 4],
        ]
        .concat(),
    );
    out.extend(
        [
            vec![2, 0],
            entry(0x0201, 4, 98),
            entry(0x0202, 4, 14),
            vec![0; 4],
        ]
        .concat(),
    );
    out.extend(b"the whole face");
    out
}

/// A file of a picture that lies on its side, with a resolution and a text.
pub fn turned(dir: &Path, name: &str) {
    let mut image = picture(60, 44, Color::Rgb);
    image.metadata.resolution = Resolution::new(300.0, 300.0, Unit::Inch);
    image.metadata.texts = vec![Text::comment(b"on its side")];
    write(dir, name, &image);
    let mut bytes = fs::read(dir.join(name)).unwrap();
    // Encoders write upright pictures only: tag 274, of type SHORT, one of it, with the value 1.
    let upright = [0x12, 1, 3, 0, 1, 0, 0, 0, 1, 0];
    let at = bytes.windows(10).position(|w| w == upright).unwrap();
    bytes[at + 8] = 6;
    fs::write(dir.join(name), bytes).unwrap();
}

#[test]
fn exif_says_what_the_output_is_and_shows_nothing_else() {
    let dir = TempDir::new().unwrap();
    let mut image = picture(80, 60, Color::Rgb);
    write(dir.path(), "plain.jpg", &image);
    // Our own encoder takes thumbnails out: the block is put into the file by hand.
    let plain = fs::read(dir.path().join("plain.jpg")).unwrap();
    let exif = [b"Exif\0\0", &block()[..]].concat();
    let len = (exif.len() as u16 + 2).to_be_bytes();
    let file = [&plain[..2], &[0xFF, 0xE1], &len, &exif, &plain[2..]].concat();
    fs::write(dir.path().join("in.jpg"), file).unwrap();
    for output in ["out.jpg", "out.png", "out.webp", "out.tif"] {
        made(
            dir.path(),
            &["in.jpg", "-o", output, "-p", "crop(width=40, height=50)"],
        );
        let bytes = fs::read(dir.path().join(output)).unwrap();
        assert!(!bytes.windows(10).any(|w| w == b"whole face"), "{output}");
        let found = read(dir.path(), output);
        assert_eq!((found.shape().cols, found.shape().rows), (40, 50));
        assert_eq!(found.metadata.orientation, 1);
        let block = found.metadata.exif.unwrap();
        let holds = |tag: u16, value: u16| {
            let (tag, value) = (tag.to_le_bytes(), value.to_le_bytes());
            let mut entries = block.windows(12);
            entries.any(|e| e[..2] == tag && e[8..10] == value && e[10..] == [0, 0])
        };
        assert!(
            holds(0xA002, 40) && holds(0xA003, 50),
            "{output}: {block:?}"
        );
    }
    image.metadata.exif = Some(exif::with_text(None, 0x8298, "me, 2026"));
    image.metadata.xmp = Some(b"<x:xmpmeta/>".to_vec());
    image.metadata.iptc = Some(b"\x1c\x02P\0\x03Bob".to_vec());
    image.metadata.texts = vec![Text::comment(b"scanned by Bob")];
    write(dir.path(), "all.jpg", &image);
    for output in ["all.png", "all2.jpg"] {
        made(dir.path(), &["all.jpg", "-o", output]);
        let found = read(dir.path(), output).metadata;
        assert_eq!(found.xmp, image.metadata.xmp);
        assert_eq!(found.iptc, image.metadata.iptc);
        assert_eq!(found.texts, image.metadata.texts);
    }
    made(
        dir.path(),
        &["all.jpg", "-o", "web.jpg", "--keep-metadata", "web"],
    );
    let web = read(dir.path(), "web.jpg").metadata;
    assert_eq!(
        web.exif.as_deref().and_then(exif::copyright).as_deref(),
        Some("me, 2026")
    );
    assert_eq!((web.xmp, web.iptc, web.texts.len()), (None, None, 0));
}

#[test]
fn the_profile_fits_the_pixels() {
    let dir = TempDir::new().unwrap();
    let space = |name: &str| {
        let icc = read(dir.path(), name).metadata.icc.unwrap();
        String::from_utf8(icc[16..20].to_vec()).unwrap()
    };
    let mut image = picture(61, 48, Color::Rgb);
    image.metadata.icc = Some(color::display_p3());
    write(dir.path(), "rgb.png", &image);
    for (pipeline, wanted) in [("grayscale", "GRAY"), ("canny", "GRAY"), ("invert", "RGB ")] {
        made(dir.path(), &["rgb.png", "-o", "out.png", "-p", pipeline]);
        assert_eq!(space("out.png"), wanted, "{pipeline}");
    }
    made(
        dir.path(),
        &["rgb.png", "-o", "gray.png", "-p", "grayscale"],
    );
    made(dir.path(), &["gray.png", "-o", "again.jpg", "-p", "to_rgb"]);
    assert_eq!(space("again.jpg"), "RGB ");
    // WebP holds no gray.
    made(dir.path(), &["gray.png", "-o", "gray.webp"]);
    assert_eq!(space("gray.webp"), "RGB ");
    // A profile of nothing but a name fits no pixels.
    let mut icc = color::srgb();
    icc.truncate(128);
    icc[16..20].copy_from_slice(b"CMYK");
    icc.extend([0; 4]);
    image.metadata.icc = Some(icc);
    write(dir.path(), "wrong.png", &image);
    let told = made(dir.path(), &["wrong.png", "-o", "out.png"]);
    assert!(told.contains("profile for CMYK colours"), "{told}");
    assert_eq!(read(dir.path(), "out.png").metadata.icc, None);
}

#[test]
fn colours_are_converted_the_same_on_any_ranks() {
    let dir = TempDir::new().unwrap();
    let mut image = picture(90, 701, Color::Rgba);
    image.metadata.icc = Some(color::display_p3());
    write(dir.path(), "in.png", &image);
    write(dir.path(), "in.tif", &image);
    fs::write(dir.path().join("own.icc"), color::srgb()).unwrap();
    for input in ["in.png", "in.tif"] {
        let flags = ["--format", "png", "-p", "gaussian(sigma=1)", "--threads"];
        let with = |out: &str, more: &[&str]| {
            made(
                dir.path(),
                &[&[input, "-o", out][..], &flags, more].concat(),
            );
            fs::read(dir.path().join(out)).unwrap()
        };
        let alone = with("a.png", &["1", "--color", "srgb"]);
        assert!(alone == with("b.png", &["3", "--color", "srgb"]));
        let rows = [
            "1",
            "--color",
            "srgb",
            "--thread-ranks",
            "3",
            "--mode",
            "rows",
        ];
        assert!(alone == with("c.png", &rows));
        let kept = with("d.png", &["1"]);
        assert!(kept != alone);
        with("e.png", &["1", "--color", "own.icc"]);
        assert_eq!(
            read(dir.path(), "e.png").rows,
            read(dir.path(), "a.png").rows
        );
        assert_eq!(read(dir.path(), "a.png").metadata.icc, Some(color::srgb()));
    }
    // BMP holds no profile.
    made(dir.path(), &["in.png", "-o", "in.bmp"]);
    made(dir.path(), &["in.png", "-o", "srgb.png", "--color", "srgb"]);
    assert_eq!(
        read(dir.path(), "in.bmp").rows,
        read(dir.path(), "srgb.png").rows
    );
    let (code, _, told) = run(
        dir.path(),
        &["run", "in.png", "-o", "x.png", "--color", "srbg"],
    );
    assert_eq!(code, 2);
    assert!(told.contains("none of keep, srgb, display-p3"), "{told}");
}

#[test]
fn what_is_transparent_shows_the_background_where_there_is_no_alpha() {
    let dir = TempDir::new().unwrap();
    let shape = Shape::new(16, 16, Color::Rgba, SampleType::U8);
    // Hidden green.
    let image = Image::new(shape, Buffer::U8([0, 255, 0, 0].repeat(256)));
    write(dir.path(), "in.png", &image);
    for (background, wanted) in [
        ("white", [255; 3]),
        ("#204060", [32, 64, 96]),
        ("black", [0; 3]),
    ] {
        made(
            dir.path(),
            &["in.png", "-o", "out.jpg", "--background", background],
        );
        let found = read(dir.path(), "out.jpg");
        let pixel = found.rows.row::<u8>(7)[..3].to_vec();
        let near = pixel.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(near, "{background}: {pixel:?}");
    }
    made(dir.path(), &["in.png", "-o", "out.jpg"]);
    assert!(
        read(dir.path(), "out.jpg").rows.row::<u8>(3)[..3]
            .iter()
            .all(|&v| v > 252)
    );
    let (code, _, told) = run(
        dir.path(),
        &["run", "in.png", "-o", "x.jpg", "--background", "blu"],
    );
    assert_ne!(code, 0);
    assert!(told.contains("`blu`"), "{told}");
}

#[test]
fn pixels_stay_on_their_place_of_the_earth() {
    let dir = TempDir::new().unwrap();
    let mut image = picture(30, 20, Color::Gray);
    image.metadata.nodata = Some("-9999".into());
    image.metadata.geo = Some(Box::new(Geo {
        scale: Some([10.0, 10.0, 0.0]),
        ties: vec![[0.0, 0.0, 0.0, 500_000.0, 6_000_000.0, 0.0]],
        keys: vec![1, 1, 0, 1, 1025, 0, 1, 1],
        ..Geo::default()
    }));
    write(dir.path(), "in.tif", &image);
    let pipeline = "crop(x=4, y=2, width=20, height=10) | resize(width=10)";
    for ranks in ["1", "3"] {
        let more = ["--thread-ranks", ranks, "--mode", "rows"];
        made(
            dir.path(),
            &[&["in.tif", "-o", "out.tif", "-p", pipeline][..], &more].concat(),
        );
        let found = read(dir.path(), "out.tif").metadata;
        let geo = found.geo.unwrap();
        assert_eq!(geo.scale, Some([20.0, 20.0, 0.0]));
        assert_eq!(geo.ties, [[0.0, 0.0, 0.0, 500_040.0, 5_999_980.0, 0.0]]);
        assert_eq!(geo.keys, image.metadata.geo.as_ref().unwrap().keys);
        assert_eq!(found.nodata.as_deref(), Some("-9999"));
    }
    let told = made(
        dir.path(),
        &["in.tif", "-o", "out.tif", "-p", "rotate(degrees=10)"],
    );
    assert!(told.contains("GeoTIFF"), "{told}");
    assert_eq!(read(dir.path(), "out.tif").metadata.geo, None);
}

#[test]
fn outputs_are_no_more_readable_than_inputs() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "in.png", &picture(9, 9, Color::Gray));
    let (input, output) = (dir.path().join("in.png"), dir.path().join("out.png"));
    let mode = || fs::metadata(&output).unwrap().permissions().mode() & 0o777;
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    fs::set_permissions(&input, fs::Permissions::from_mode(0o600)).unwrap();
    let ranks: [&[&str]; 2] = [&[], &["--thread-ranks", "2", "--mode", "rows"]];
    for more in ranks {
        made(dir.path(), &[&["in.png", "-o", "out.png"], more].concat());
        assert_eq!(mode(), 0o600);
    }
    fs::set_permissions(&input, fs::Permissions::from_mode(0o751)).unwrap();
    let file = fs::File::options().write(true).open(&input).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    file.set_modified(long_ago).unwrap();
    for more in ranks {
        let flags = ["in.png", "-o", "out.png", "--keep-mode", "--keep-times"];
        made(dir.path(), &[&flags[..], more].concat());
        assert_eq!(mode(), 0o751);
        assert_eq!(modified(&output), long_ago);
        fs::remove_file(&output).unwrap();
    }
}
