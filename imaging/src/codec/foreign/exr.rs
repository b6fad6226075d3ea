//! OpenEXR: the first layer that is flat. RGB, RGBA, brightness or any channels are read by the crate `exr`; RGB and RGBA
//! floats are written.

use super::{create, guarded, memory, sides};
use crate::codec::table::{Codec, Keeps, Output, Reads, Writer};
use crate::codec::whole::Whole;
use crate::codec::{FormatKind, Header, Limits, OpenOptions, PageKind, ReadSeek, RowSource};
use crate::error::{Error, Limit, Result};
use crate::image::{Color, Metadata, SampleType, Shape};
use crate::{Warning, WarningKind};
use exr::block::samples::Sample;
use exr::image::{AnyChannel, FlatSamples};
use exr::prelude::{ReadChannels as _, ReadLayers as _};
use std::io::{BufReader, SeekFrom};

/// OpenEXR.
pub(in crate::codec) static CODEC: Codec = Codec {
    name: "exr",
    title: "OpenEXR",
    extensions: &["exr"],
    media_type: "image/x-exr",
    detect: |start| start.starts_with(&[0x76, 0x2F, 0x31, 0x01]),
    probe,
    open,
    streams: false,
    reads: Reads {
        samples: "floats of 16 and 32 bits, integers of 32: gray, RGB, with alpha, bands",
        coding: "all; channels of one size",
        pictures: "the first layer",
    },
    needs: None,
    shrinks: false,
    output: Output::Own(Writer {
        options: &[],
        holds: &[
            (Color::Rgb, &[SampleType::F32]),
            (Color::Rgba, &[SampleType::F32]),
        ],
        bands: &[],
        pages: None,
        keeps: Keeps::NOTHING,
        stored: false,
        exact: true,
        create: |target| {
            Ok(create(FormatKind::Exr, target, |output, samples, shape| {
                let (cols, rows) = sides(shape);
                use ::image::ImageEncoder as _;
                let encoder = ::image::codecs::openexr::OpenExrEncoder::new(output);
                encoder.write_image(samples, cols, rows, super::color_type(shape))
            }))
        },
        memory: |_, shape| memory(shape),
    }),
};

/// What a layer's channels are to us.
struct Chosen {
    shape: Shape,
    /// Which channel of the file comes first, and so on.
    channels: Vec<usize>,
    /// Where the stored part of the picture lies in it.
    offset: (i64, i64),
    /// The stored part's columns.
    stored_cols: usize,
    stored_bytes: usize,
    /// What is not read, for people.
    left_out: Vec<String>,
}

fn failed(error: exr::error::Error) -> Error {
    use exr::error::Error as Of;
    match error {
        Of::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::Decode("truncated OpenEXR: the file ends too early".into())
        }
        Of::Io(e) => e.into(),
        Of::NotSupported(what) => Error::Decode(format!("OpenEXR files that are not read: {what}")),
        Of::Invalid(what) => Error::Decode(format!("not a sound OpenEXR: {what}")),
        Of::Aborted => Error::Decode("not a sound OpenEXR".into()),
    }
}

/// The first flat layer.
fn choose(headers: &[exr::meta::header::Header], limits: &Limits) -> Result<Chosen> {
    let Some(head) = headers.iter().find(|head| !head.deep) else {
        return Err(Error::Decode(
            "OpenEXR files that are not read: those of deep samples alone".into(),
        ));
    };
    let list = &head.channels.list;
    let find = |name: &str| list.iter().position(|channel| channel.name.eq(name));
    let subsampled = |channel: &exr::meta::attribute::ChannelDescription| {
        (channel.sampling.x(), channel.sampling.y()) != (1, 1)
    };
    if list.iter().any(subsampled) {
        return Err(Error::Decode(
            "OpenEXR files that are not read: those whose channels differ in size (luminance with chroma)"
                .into(),
        ));
    }
    let alpha = find("A");
    let (mut channels, color) = match (find("R"), find("G"), find("B"), find("Y")) {
        (Some(r), Some(g), Some(b), _) => (vec![r, g, b], Color::Rgb),
        (.., Some(y)) if list.len() == 1 + usize::from(alpha.is_some()) => (vec![y], Color::Gray),
        _ if list.len() == 1 => (vec![0], Color::Gray),
        _ => {
            let count = u16::try_from(list.len()).ok();
            let count = count.filter(|&count| count > 0).ok_or_else(|| {
                Error::Decode("not a sound OpenEXR: its number of channels".into())
            })?;
            ((0..list.len()).collect(), Color::Bands(count))
        }
    };
    let color = match (color, alpha) {
        (Color::Rgb, Some(alpha)) => {
            channels.push(alpha);
            Color::Rgba
        }
        (Color::Gray, Some(alpha)) if list.len() == 2 => {
            channels.push(alpha);
            Color::GrayAlpha
        }
        (color, _) => color,
    };
    // A float of 32 bits does not hold all their numbers.
    let whole = |&at: &usize| list[at].sample_type == exr::meta::attribute::SampleType::U32;
    let sample = match channels.iter().any(whole) {
        true => SampleType::F64,
        false => SampleType::F32,
    };
    let window = head.shared_attributes.display_window;
    let (cols, rows) = (window.size.width(), window.size.height());
    let shape = limits.shape(rows as u64, cols as u64, color, sample)?;
    let others = list.iter().enumerate();
    let others = others.filter(|(at, _)| !channels.contains(at));
    let others: Vec<String> = others.map(|(_, c)| c.name.to_string()).collect();
    let mut left_out = Vec::new();
    if !others.is_empty() {
        let names = others.join(", ");
        left_out.push(format!(
            "the OpenEXR's channels beside its colours are left out: {names}"
        ));
    }
    if headers.len() > 1 {
        let count = headers.len();
        left_out.push(format!("of the OpenEXR's {count} layers the first is read"));
    }
    let (stored_cols, stored_rows) = (head.layer_size.width(), head.layer_size.height());
    let stored = limits.shape(stored_rows as u64, stored_cols as u64, Color::Gray, sample)?;
    let at = head.own_attributes.layer_position;
    Ok(Chosen {
        shape,
        channels,
        offset: (
            i64::from(at.x()) - i64::from(window.position.x()),
            i64::from(at.y()) - i64::from(window.position.y()),
        ),
        stored_cols,
        stored_bytes: limits_bytes(stored, list.len())?,
        left_out,
    })
}

/// Bytes of so many channels.
fn limits_bytes(stored: Shape, channels: usize) -> Result<usize> {
    stored.bytes().checked_mul(channels).ok_or_else(|| {
        Limit::Memory.exceeded("the OpenEXR's channels need more memory than there is")
    })
}

fn probe(input: &mut dyn ReadSeek, limits: &Limits, _page: u32) -> Result<Header> {
    limits.file(input)?;
    input.seek(SeekFrom::Start(0))?;
    guarded("OpenEXR", || {
        let meta = exr::meta::MetaData::read_from_buffered(BufReader::new(input), false);
        let chosen = choose(&meta.map_err(failed)?.headers, limits)?;
        Ok(Header {
            kind: FormatKind::Exr,
            shape: chosen.shape,
            bits: chosen.shape.sample.bits() as u8,
            orientation: 1,
            has_icc: false,
            pages: 1,
            page_kind: PageKind::Pages,
            still: false,
            stored: None,
            lossless: true,
            streams: false,
            seekable: true,
            decoder_bytes: chosen.shape.bytes() + chosen.stored_bytes + super::SOME,
        })
    })
}

fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    _options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    limits.file(&mut *input)?;
    input.seek(SeekFrom::Start(0))?;
    guarded("OpenEXR", || {
        let reader = exr::block::read(BufReader::new(&mut *input), false).map_err(failed)?;
        let chosen = choose(reader.headers(), limits)?;
        let image = exr::prelude::read()
            .no_deep_data()
            .largest_resolution_level()
            .all_channels()
            .first_valid_layer()
            .all_attributes()
            .from_chunks(reader)
            .map_err(failed)?;
        let list = &image.layer_data.channel_data.list;
        let samples = match chosen.shape.sample {
            SampleType::F64 => place::<f64>(&chosen, list, |sample| match sample {
                Sample::U32(v) => v.into(),
                other => other.to_f32().into(),
            })?,
            _ => place::<f32>(&chosen, list, |sample| sample.to_f32())?,
        };
        let metadata = Metadata {
            orientation: 1,
            ..Metadata::default()
        };
        let mut source = Whole::new(chosen.shape, metadata, samples);
        source.warnings = (chosen.left_out.into_iter())
            .map(|told| Warning::new(WarningKind::Dropped, told))
            .collect();
        Ok(Box::new(source) as Box<dyn RowSource>)
    })
}

/// The picture from its stored part; what lies around it is 0.
fn place<T: bytemuck::NoUninit + Default>(
    chosen: &Chosen,
    list: &[AnyChannel<FlatSamples>],
    value: impl Fn(Sample) -> T,
) -> Result<Vec<u8>> {
    let Shape { rows, cols, .. } = chosen.shape;
    let count = chosen.channels.len();
    let mut out = vec![T::default(); rows * cols * count];
    for (to, &from) in chosen.channels.iter().enumerate() {
        let samples = list.get(from).map(|channel| &channel.sample_data);
        let samples =
            samples.ok_or_else(|| Error::Decode("not a sound OpenEXR: its channels".into()))?;
        for at in 0..samples.len() {
            let (x, y) = (at % chosen.stored_cols, at / chosen.stored_cols);
            let (x, y) = (x as i64 + chosen.offset.0, y as i64 + chosen.offset.1);
            let inside = (0..cols as i64).contains(&x) && (0..rows as i64).contains(&y);
            if inside {
                let pixel = y as usize * cols + x as usize;
                out[pixel * count + to] = value(samples.value_by_flat_index(at));
            }
        }
    }
    Ok(bytemuck::cast_slice(&out).to_vec())
}
