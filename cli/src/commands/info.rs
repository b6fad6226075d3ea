//! `sundog info`: what files hold, with the histogram of their pixels.

use crate::output;
use client::exit::{Exit, Failure, Result};
use imaging::codec::{self, Header, Limits, OpenOptions, PageKind};
use imaging::window::Band;
use imaging::{Element, Rows, Shape, by_sample};
use protocol::name;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Images
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object per file
    #[arg(long)]
    json: bool,
    /// Read headers alone: no histogram
    #[arg(long)]
    header: bool,
}

/// Prints every file; one that cannot be read does not stop the others.
pub fn run(args: Args) -> Result {
    let mut failed = Vec::new();
    for path in &args.files {
        match look(path, !args.header) {
            Ok((headers, bins)) if args.json => {
                output::json(&describe(path, &headers, bins.as_deref()))
            }
            Ok((headers, bins)) => show(path, &headers, bins.as_deref()),
            Err(error) => {
                let failure = Failure::from(error);
                output::failure(&Failure::failed(format!("{}: {failure}", path.display())));
                failed.push(failure.exit);
            }
        }
    }
    Ok(match failed.first() {
        None => Exit::Ok,
        Some(_) if failed.len() < args.files.len() => Exit::Some,
        Some(exit) => *exit,
    })
}

/// Pages whose sizes are told.
const TOLD: u32 = 1000;

/// The headers of the pages, and the histogram of the first.
fn look(path: &Path, pixels: bool) -> imaging::Result<(Vec<Header>, Option<Vec<Vec<u64>>>)> {
    let open = || {
        if path.is_dir() {
            return Err(imaging::Error::Io("it is a directory".into()));
        }
        File::open(path).map_err(|e| imaging::Error::Io(worker::jobfile::io_cause(&e)))
    };
    let limits = Limits::default();
    let mut file = open()?;
    let first = codec::probe(&mut file, &limits)?;
    let others = 1..first.pages.min(TOLD);
    let mut headers = vec![first];
    for page in others {
        headers.push(codec::probe_page(&mut file, &limits, page)?);
    }
    let bins = match pixels {
        true => Some(histogram(open()?, &limits)?),
        false => None,
    };
    Ok((headers, bins))
}

/// Counts in 256 bins, one row a channel, streamed without the whole image in memory.
fn histogram(file: File, limits: &Limits) -> imaging::Result<Vec<Vec<u64>>> {
    let mut source = codec::open(Box::new(file), limits, &OpenOptions::default())?;
    let shape = source.shape();
    let mut bins = vec![vec![0; 256]; shape.channels()];
    let step = (1 << 20) / shape.row_bytes().max(1) + 1;
    for at in (0..shape.rows).step_by(step) {
        let mut rows = Rows::zeroed(shape, at..(at + step).min(shape.rows));
        source.read(&mut Band::of(&mut rows))?;
        by_sample!(shape.sample, T => tally::<T>(&rows, shape, &mut bins));
    }
    Ok(bins)
}

fn tally<T: Element>(rows: &Rows, shape: Shape, bins: &mut [Vec<u64>]) {
    for y in rows.range() {
        for (i, sample) in rows.row::<T>(y).iter().enumerate() {
            // NaN and what is beyond the nominal range fall into the outermost bins.
            let bin = (sample.to_f64() * 255.0 / T::TOP) as usize;
            bins[i % shape.channels()][bin.min(255)] += 1;
        }
    }
}

fn describe(path: &Path, headers: &[Header], bins: Option<&[Vec<u64>]>) -> Value {
    let header = &headers[0];
    let shape = header.shape;
    let mut fields = json!({
        "file": name::to_text(path),
        "width": shape.cols,
        "height": shape.rows,
        "channels": shape.channels(),
        "bits": header.bits,
        "format": header.kind.name().to_lowercase(),
        "color": shape.color.name(),
        "colour": shape.color.name(),
        "sample": sample(shape),
        "orientation": header.orientation,
        "icc": header.has_icc,
        "pages": header.pages,
        "stored": header.stored.unwrap_or(imaging::Stored::of(shape.sample)).to_string(),
    });
    if header.pages > 1 {
        fields["page_kind"] = json!(page_kind(header));
        let size = |header: &Header| json!([header.shape.cols, header.shape.rows]);
        fields["page_sizes"] = headers.iter().map(size).collect();
    }
    if let Some(bins) = bins {
        // One list over all colour channels; `histograms` has one a channel, alpha included.
        let color = &bins[..shape.color.color_channels()];
        let all: Vec<u64> = (0..256)
            .map(|bin| color.iter().map(|c| c[bin]).sum())
            .collect();
        fields["histogram"] = json!(all);
        fields["histograms"] = json!(bins);
    }
    fields
}

fn page_kind(header: &Header) -> &'static str {
    match header.page_kind {
        PageKind::Pages => "pages",
        PageKind::Animation => "frames",
    }
}

fn sample(shape: Shape) -> &'static str {
    match shape.sample {
        imaging::SampleType::U8 => "u8",
        imaging::SampleType::U16 => "u16",
        imaging::SampleType::F32 => "f32",
        imaging::SampleType::F64 => "f64",
    }
}

fn show(path: &Path, headers: &[Header], bins: Option<&[Vec<u64>]>) {
    let header = &headers[0];
    let shape = header.shape;
    let mut text = format!(
        "{}: {} {}x{}, {}, {} channel{} of {} bits, orientation {}",
        path.display(),
        header.kind.name(),
        shape.cols,
        shape.rows,
        shape.color.name(),
        shape.channels(),
        if shape.channels() == 1 { "" } else { "s" },
        header.bits,
        header.orientation,
    );
    if header.has_icc {
        text += ", ICC profile";
    }
    if header.pages > 1 {
        text += &format!(", {} {}", header.pages, page_kind(header));
        let differs = |other: &Header| {
            let (a, b) = (other.shape, header.shape);
            (a.cols, a.rows) != (b.cols, b.rows)
        };
        if headers.iter().any(differs) {
            let sizes = headers.iter();
            let sizes = sizes.map(|h| format!("{}x{}", h.shape.cols, h.shape.rows));
            text += &format!(" ({})", sizes.collect::<Vec<_>>().join(", "));
        }
    }
    output::line(text);
    for (channel, bins) in bins.unwrap_or_default().iter().enumerate() {
        output::line(format!(
            "  {}  {}",
            channel_name(shape, channel),
            spark(bins)
        ));
    }
}

fn channel_name(shape: Shape, channel: usize) -> &'static str {
    match (shape.color.is_gray(), channel) {
        (true, 0) => "gray ",
        (true, _) | (false, 3) => "alpha",
        (false, 0) => "red  ",
        (false, 1) => "green",
        (false, _) => "blue ",
    }
}

/// 64 columns of four bins, black at the left.
fn spark(bins: &[u64]) -> String {
    let columns: Vec<u64> = bins.chunks(4).map(|c| c.iter().sum()).collect();
    let top = columns.iter().copied().max().unwrap_or(0).max(1);
    let levels = ['.', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    columns
        .iter()
        .map(|&n| levels[(n * 8).div_ceil(top) as usize])
        .collect()
}
