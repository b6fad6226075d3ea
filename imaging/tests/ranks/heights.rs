//! Bands and parts of any height, and files that are decoded, computed and encoded row by row.

use super::{picture, pipelines, run, serial};
use imaging::comm::serial::Serial;
use imaging::executor::{Context, run_file};
use imaging::{Color, Pipeline, Plan, Result, SampleType, Shape};
use imaging::{bands, codec};

/// Decoded, streamed and encoded as a file is, on so many threads.
fn streamed(plan: &Plan, file: &[u8], n_threads: usize) -> Result<Vec<u8>> {
    let source = std::io::Cursor::new(file.to_vec());
    let options = codec::OpenOptions::default();
    let mut source = codec::open(Box::new(source), &codec::Limits::default(), &options)?;
    let out = codec::MemoryFile::default();
    let format = codec::Format::parse("tiff(compression=none)").unwrap();
    let metadata = source.metadata().clone();
    let writer = Box::new(out.clone());
    let keep = codec::KeepMetadata::None;
    let mut sink = codec::create(writer, &format, plan.output, &metadata, keep).unwrap();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .build()
        .unwrap();
    let comm = Serial::default();
    let mut context = Context::with_pool(&comm, &pool);
    run_file(&mut context, plan, &mut *source, &mut *sink)?;
    sink.finish()?;
    Ok(out.take_bytes())
}

#[test]
fn pixels_do_not_depend_on_the_height_of_bands() {
    let tiff = codec::Format::parse("tiff(compression=none)").unwrap();
    let samples = [SampleType::U8, SampleType::U16, SampleType::F32];
    for text in pipelines() {
        let pipeline = Pipeline::parse(&text).unwrap();
        for (color, sample) in [Color::Gray, Color::Rgba]
            .into_iter()
            .flat_map(|color| samples.map(|sample| (color, sample)))
            .chain([(Color::Bands(3), SampleType::U8)])
        {
            let shape = Shape::new(61, 47, color, sample);
            let image = picture(shape);
            let Ok(plan) = Plan::new(&pipeline, shape) else {
                continue;
            };
            let expected = serial(&plan, &image);
            let file = codec::encode(&image, &tiff, codec::KeepMetadata::None).unwrap();
            let whole = streamed(&plan, &file, 1).unwrap();
            let options = codec::OpenOptions::default();
            let read = codec::decode(whole.clone(), &codec::Limits::default(), &options).unwrap();
            assert!(
                read.rows.data.bytes() == expected,
                "{text} on {shape:?}: streamed differs"
            );
            for rows in [1, 4, 7] {
                bands::force_rows(rows);
                assert!(
                    serial(&plan, &image) == expected,
                    "{text} on {shape:?}: bands of {rows} rows differ"
                );
                for ranks in [1, 3] {
                    let got = run(&plan, &image, ranks, 2).unwrap();
                    assert!(
                        got == expected,
                        "{text} on {shape:?}: {ranks} ranks in bands of {rows} rows differ"
                    );
                }
                for threads in [1, 2] {
                    assert!(
                        streamed(&plan, &file, threads).unwrap() == whole,
                        "{text} on {shape:?}: streamed in bands of {rows} rows by {threads} differs"
                    );
                }
                bands::force_rows(0);
            }
        }
    }
}

#[test]
fn a_damaged_end_is_noticed_where_no_output_needs_it() {
    let shape = Shape::new(700, 300, Color::Rgb, SampleType::U8);
    let png = codec::Format::parse("png").unwrap();
    let whole = codec::encode(&picture(shape), &png, codec::KeepMetadata::None).unwrap();
    let cut = &whole[..whole.len() * 3 / 4];
    for text in [
        "crop(x=0, y=0, width=9, height=9)",
        "crop(x=0, y=0, width=9, height=9) | equalize",
    ] {
        let plan = Plan::new(&Pipeline::parse(text).unwrap(), shape).unwrap();
        for threads in [1, 2] {
            assert!(streamed(&plan, &whole, threads).is_ok());
            let error = streamed(&plan, cut, threads).unwrap_err().to_string();
            assert!(
                error.contains("ends too early"),
                "{text} on {threads}: {error}"
            );
        }
    }
}
