//! `sundog generate`: inputs for trials and benchmarks, the same bytes everywhere.

use crate::{interrupt, output};
use client::exit::{Exit, Failure, Result};
use client::remote;
use client::settings;
use cloud::store::Store;
use dispatcher::scratch::Scratch;
use imaging::codec::Format;
use imaging::executor::Stop;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::runtime::Runtime;
use worker::atomic::{self, Pending};
use worker::elsewhere::is_url;
use worker::generate;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog generate numbers -o runs/ --files 36 --count 100000
  sundog generate images -o photos/ --files 1000 --count 512x512 --format 'jpeg(quality=90)'
  sundog generate images -o s3://bucket/load/ --files 20000 --count 64x64 --seed 3

Number files are text with a number from 0 to below 1000 in each line. A file depends on the seed and its own number
alone, so that the same command gives the same bytes on every machine. A file that is there with other content is an
error; one with the same content stays.")]
pub struct Args {
    /// What to make
    #[arg(value_enum)]
    what: What,
    /// A directory, or s3://bucket/prefix or gs://bucket/prefix
    #[arg(short, long, value_name = "DIR|URL")]
    output: String,
    /// How many files
    #[arg(long, value_name = "F", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    files: u64,
    /// Lines of each number file [default: 1000], or width x height of each image [default: 640x480]
    #[arg(long, value_name = "C|WxH")]
    count: Option<String>,
    /// Another set of files for each
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Format of images
    #[arg(long, value_name = "F", default_value = "png")]
    format: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum What {
    /// Text files of numbers, one a line
    Numbers,
    /// RGB pictures of 8 bits
    Images,
}

/// What a file has.
enum Content {
    Numbers(u64),
    Image((usize, usize), Format),
}

/// Where files go.
enum Place {
    Directory(PathBuf),
    Bucket(Box<Bucket>),
}

struct Bucket {
    store: Store,
    /// Before the names, with a `/` at its end.
    prefix: String,
    runtime: Runtime,
    scratch: Scratch,
}

/// Makes the files.
pub fn run(args: Args) -> Result {
    let content = content(&args)?;
    let place = place(&args.output)?;
    let stop = interrupt::stop();
    let digits = args.files.to_string().len().max(4);
    let (stem, extension) = match &content {
        Content::Numbers(_) => ("numbers", "txt"),
        Content::Image(_, format) => ("image", format.extension()),
    };
    let (began, bytes) = (Instant::now(), AtomicU64::new(0));
    (0..args.files).into_par_iter().try_for_each(|file| {
        let name = format!("{stem}-{:0digits$}.{extension}", file + 1);
        let made = one(&place, &name, args.seed, file, &content, &stop)?;
        bytes.fetch_add(made, Ordering::Relaxed);
        Ok::<(), Failure>(())
    })?;
    let bytes = bytes.into_inner();
    if args.json {
        let made = serde_json::json!({
            "output": args.output, "files": args.files, "bytes": bytes, "seed": args.seed,
            "ms": began.elapsed().as_millis() as u64,
        });
        output::json(&made);
    } else {
        output::message(&format!(
            "{} files of {} in {:.2} s: {}",
            args.files,
            indicatif::HumanBytes(bytes),
            began.elapsed().as_secs_f64(),
            output::harmless(&args.output)
        ));
    }
    Ok(Exit::Ok)
}

fn content(args: &Args) -> Result<Content> {
    let text = args.count.as_deref();
    match args.what {
        What::Numbers => {
            let count = text.unwrap_or("1000").parse();
            let count = count.ok().filter(|n| (1..=1 << 40).contains(n));
            let wrong = || Failure::usage("--count: expected lines of each file, from 1 to 2^40");
            Ok(Content::Numbers(count.ok_or_else(wrong)?))
        }
        What::Images => {
            let (width, height, _) = super::bench::size(text.unwrap_or("640x480"))
                .ok()
                .filter(|(_, _, channels)| *channels == 3)
                .ok_or_else(|| {
                    Failure::usage("--count: expected width x height of each image, as 640x480")
                })?;
            let format = Format::parse(&args.format);
            let format = format.map_err(|e| Failure::usage(format!("--format: {e}")))?;
            Ok(Content::Image((width, height), format))
        }
    }
}

fn place(output: &str) -> Result<Place> {
    if !is_url(output) {
        return Ok(Place::Directory(PathBuf::from(output)));
    }
    let config = client::services(&settings::load()?)?;
    let (store, _, key) = remote::place(&config, output)?;
    let scratch = Scratch::open(&std::env::temp_dir()).map_err(|error| {
        Failure::failed(format!(
            "cannot make a folder for what is sent: {error} (hint: set TMPDIR)"
        ))
    })?;
    interrupt::remove_at_once(scratch.path());
    let key = key.trim_end_matches('/');
    Ok(Place::Bucket(Box::new(Bucket {
        store,
        prefix: match key {
            "" => String::new(),
            key => format!("{key}/"),
        },
        runtime: remote::runtime()?,
        scratch,
    })))
}

/// Makes one file; returns its bytes.
fn one(
    place: &Place,
    name: &str,
    seed: u64,
    file: u64,
    content: &Content,
    stop: &Stop,
) -> Result<u64> {
    stop.check()?;
    match place {
        Place::Directory(dir) => {
            let target = dir.join(name);
            let pending = Pending::create(&target).map_err(|e| Failure::failed(e.to_string()))?;
            write(&pending, seed, file, content)?;
            if target.exists() {
                return same(&target, &pending);
            }
            let made = pending.commit();
            Ok(made.map_err(|e| Failure::failed(e.to_string()))?.bytes)
        }
        Place::Bucket(bucket) => {
            let Bucket {
                store,
                prefix,
                runtime,
                scratch,
            } = &**bucket;
            let path = scratch.path().join(name);
            let pending = Pending::scratch(&path).map_err(|e| Failure::failed(e.to_string()))?;
            write(&pending, seed, file, content)?;
            let made = pending.commit();
            let bytes = made.map_err(|e| Failure::failed(e.to_string()))?.bytes;
            let object = format!("{prefix}{name}");
            let media = mime(content);
            let sent = runtime.block_on(async {
                match store.head(&object).await {
                    Ok(meta) if meta.size == bytes => return Ok(()),
                    Ok(_) => return Err(there(&object)),
                    Err(cloud::Error::NotFound(_)) => {}
                    Err(error) => return Err(client::from_cloud(&error)),
                }
                let put = store.put_file(&object, &path, media).await;
                put.map_err(|error| client::from_cloud(&error))
            });
            let _ = std::fs::remove_file(&path);
            sent.map(|()| bytes)
        }
    }
}

/// Keeps a file that is there if it has what was made.
fn same(target: &Path, pending: &Pending) -> Result<u64> {
    let made = pending.digest();
    let found = atomic::digest_file(target);
    match (made, found) {
        (Ok(made), Ok(found)) if made.sha256 == found.sha256 => Ok(found.bytes),
        (Err(error), _) | (_, Err(error)) => Err(Failure::failed(format!(
            "{}: {error}",
            output::harmless(&target.display().to_string())
        ))),
        _ => Err(there(&target.display().to_string())),
    }
}

fn there(name: &str) -> Failure {
    Failure::usage(format!(
        "{} is there with other content (choose an empty place, or remove it)",
        output::harmless(name)
    ))
}

fn write(pending: &Pending, seed: u64, file: u64, content: &Content) -> Result<()> {
    match content {
        Content::Numbers(count) => {
            let written = generate::numbers(seed, file, *count, &mut pending.writer());
            written.map_err(|error| Failure::failed(error.to_string()))
        }
        Content::Image(size, format) => {
            let out = Box::new(pending.writer());
            Ok(generate::image(seed, file, *size, format, out)?)
        }
    }
}

fn mime(content: &Content) -> &'static str {
    match content {
        Content::Numbers(_) => "text/plain; charset=utf-8",
        Content::Image(_, format) => format.kind().media_type(),
    }
}
