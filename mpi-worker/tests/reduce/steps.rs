//! Reductions in steps, each from files to a file: the same bytes as in one go, in whatever order nodes are run.

use super::images::picture;
use super::{Dir, Random};
use imaging::codec::{Format, KeepMetadata, encode};
use imaging::executor::Stop;
use imaging::{Color, SampleType, Shape};
use jobs::tree::{Needs, Tree};
use proptest::prelude::*;
use protocol::Job;
use std::path::{Path, PathBuf};
use worker::reduce::step::{Ending, First, Step, Take, run as step};
use worker::reduce::{Op, Request};
use worker::settings::Settings;

fn text(path: &Path) -> String {
    protocol::name::to_text(path)
}

/// Runs all nodes of the tree, any that can be run being next, with so many files at once.
fn in_steps(
    dir: &Dir,
    request: &Request,
    target: &str,
    random: &mut Random,
) -> Result<Vec<u8>, String> {
    let settings = Settings::of(&Job::default()).unwrap();
    let stop = Stop::default();
    let tree = Tree::new(request.files.len() as u64, request.fan_in as u64);
    let run = |take: Take, after: Option<String>, result, output: &Path| {
        let step_ = Step {
            op: request.op,
            bits: None,
            take,
            after,
            result,
        };
        // As between processes.
        let sent = serde_json::to_string(&step_).unwrap();
        let heard: Step = serde_json::from_str(&sent).unwrap();
        step(&heard, output, &settings, &stop).map_err(|error| error.to_string())
    };
    let first = dir.0.join("first");
    let path = text(&request.files[0]);
    let name = path.clone();
    run(Take::First { path, name }, None, None, &first)?;
    let first: First = serde_json::from_slice(&std::fs::read(first).unwrap()).unwrap();
    let mut open: Vec<u64> = (0..tree.nodes()).collect();
    let mut done = vec![false; open.len()];
    let kept = |node: u64| dir.0.join(format!("node-{node}"));
    while !open.is_empty() {
        let can = |node: &u64| match tree.needs(*node) {
            Needs::Files(_) => true,
            Needs::Nodes(mut nodes) => nodes.all(|node| done[node as usize]),
        };
        let ready: Vec<u64> = open.iter().copied().filter(can).collect();
        let node = ready[random.next() as usize % ready.len()];
        open.retain(|other| *other != node);
        let (paths, files): (Vec<String>, bool) = match tree.needs(node) {
            Needs::Files(files) => {
                let files = &request.files[files.start as usize..files.end as usize];
                (files.iter().map(|file| text(file)).collect(), true)
            }
            Needs::Nodes(nodes) => (nodes.map(|node| text(&kept(node))).collect(), false),
        };
        let chunks: Vec<_> = paths.chunks(request.max_open_files).collect();
        for (nth, chunk) in chunks.iter().enumerate() {
            let (paths, first) = (chunk.to_vec(), first.clone());
            let take = match files {
                true => Take::Files { first, paths },
                false => Take::Results { first, paths },
            };
            let after = (nth > 0).then(|| text(&dir.0.join(format!("part-{}", nth - 1))));
            let last = nth + 1 == chunks.len();
            let result = (last && node == tree.root()).then(|| Ending {
                target: target.into(),
                first: text(&request.files[0]),
            });
            let output = match last {
                true => kept(node),
                false => dir.0.join(format!("part-{nth}")),
            };
            run(take, after, result, &output)?;
        }
        done[node as usize] = true;
    }
    Ok(std::fs::read(kept(tree.root())).unwrap())
}

fn whole(dir: &Dir, request: &Request, target: &str) -> Result<Vec<u8>, String> {
    let output = dir.0.join(format!("whole.{target}"));
    let request = Request {
        output: output.clone(),
        ..request.clone()
    };
    super::go(&request, 1, 2).map_err(|error| error.to_string())?;
    Ok(std::fs::read(output).unwrap())
}

const OPS: [Op; 5] = [Op::Mean, Op::Sum, Op::Min, Op::Max, Op::Std];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn numbers_come_out_the_same(
        files in 1..40usize,
        fan_in in 2..9usize,
        open in 1..7usize,
        values in 1..40usize,
        kind in 0..3u8,
        seed in 1..u64::MAX,
    ) {
        let (dir, mut random) = (Dir::new(), Random(seed));
        let paths = (0..files).map(|n| {
            let mut one = || match kind {
                0 => random.float().to_string(),
                1 => (random.next() as i64).to_string(),
                // Some whole, some not.
                _ => format!("{}", (random.next() % 4) as f64 / if n == 3 { 2.0 } else { 1.0 }),
            };
            let numbers: Vec<String> = (0..values).map(|_| one()).collect();
            dir.file(&format!("{n}.txt"), numbers.join("\n"))
        });
        let paths: Vec<PathBuf> = paths.collect();
        for op in OPS {
            let mut request = Request::new(op, paths.clone(), PathBuf::new());
            (request.fan_in, request.max_open_files) = (fan_in, open);
            for target in ["txt", "npy"] {
                let parts = in_steps(&dir, &request, target, &mut random);
                prop_assert_eq!(parts, whole(&dir, &request, target));
            }
        }
    }

    #[test]
    fn images_come_out_the_same(
        files in 1..24usize,
        fan_in in 2..9usize,
        open in 1..7usize,
        color in prop::sample::select(vec![Color::Gray, Color::Rgb, Color::Rgba]),
        sample in prop::sample::select(vec![SampleType::U8, SampleType::U16, SampleType::F32]),
        seed in 1..u64::MAX,
    ) {
        let (dir, mut random) = (Dir::new(), Random(seed));
        let format = Format::parse("tiff").unwrap();
        let paths = (0..files).map(|n| {
            let image = picture(&mut random, Shape::new(7, 11, color, sample));
            let bytes = encode(&image, &format, KeepMetadata::All).unwrap();
            dir.file(&format!("{n}.tif"), bytes)
        });
        let paths: Vec<PathBuf> = paths.collect();
        for op in OPS {
            let mut request = Request::new(op, paths.clone(), PathBuf::new());
            (request.fan_in, request.max_open_files) = (fan_in, open);
            for target in ["tif", "npy"] {
                let named = if target == "tif" { "tiff" } else { target };
                let parts = in_steps(&dir, &request, named, &mut random);
                prop_assert_eq!(parts, whole(&dir, &request, target));
            }
        }
    }
}

#[test]
fn a_bad_file_has_the_words_of_a_reduction_in_one_go() {
    let dir = Dir::new();
    let mut files: Vec<PathBuf> = (0..12)
        .map(|n| dir.file(&format!("{n}.csv"), format!("a,b\n{n},2\n3,{n}\n")))
        .collect();
    for (at, bad) in [(7, "a,b\n1,2\n"), (3, "a,b\n1,x\n2,3\n")] {
        let sound = files[at].clone();
        files[at] = dir.file("bad.csv", bad);
        let request = Request::new(Op::Mean, files.clone(), PathBuf::new());
        let parts = in_steps(&dir, &request, "csv", &mut Random(3));
        let told = parts.unwrap_err();
        assert_eq!(told, whole(&dir, &request, "csv").unwrap_err());
        assert!(told.contains("bad.csv"), "{told}");
        files[at] = sound;
    }
    let request = Request::new(Op::Mean, files, PathBuf::new());
    let parts = in_steps(&dir, &request, "csv", &mut Random(3)).unwrap();
    assert_eq!(parts, whole(&dir, &request, "csv").unwrap());
    assert!(parts.starts_with(b"a,b\n"));
}

#[test]
fn what_is_kept_of_another_reduction_or_cut_off_is_refused() {
    let dir = Dir::new();
    let settings = Settings::of(&Job::default()).unwrap();
    let file = text(&dir.file("a.txt", "1 2 3"));
    let go = |op, take, output: &str| {
        let step_ = Step {
            op,
            bits: None,
            take,
            after: None,
            result: None,
        };
        step(&step_, &dir.0.join(output), &settings, &Stop::default())
    };
    let (path, name) = (file.clone(), "a.txt".to_owned());
    go(Op::Sum, Take::First { path, name }, "first").unwrap();
    let first: First =
        serde_json::from_slice(&std::fs::read(dir.0.join("first")).unwrap()).unwrap();
    assert_eq!((first.target.as_str(), first.text), ("txt", true));
    let take = Take::Files {
        first: first.clone(),
        paths: vec![file],
    };
    go(Op::Sum, take, "kept").unwrap();
    let merge = |op, name: &str| {
        let paths = vec![text(&dir.0.join(name))];
        let take = Take::Results {
            first: first.clone(),
            paths,
        };
        go(op, take, "out").map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(merge(Op::Sum, "kept"), Ok(()));
    let other = merge(Op::Max, "kept").unwrap_err();
    assert!(other.contains("another reduction"), "{other}");
    let whole = std::fs::read(dir.0.join("kept")).unwrap();
    dir.file("cut", &whole[..whole.len() - 9]);
    let cut = merge(Op::Sum, "cut").unwrap_err();
    assert!(cut.contains("cut off"), "{cut}");
    let strange = merge(Op::Sum, "a.txt").unwrap_err();
    assert!(strange.contains("partial result"), "{strange}");
}
