//! Reductions against naive ones, for any number of files, ranks, threads and open files.

use imaging::codec::{Format, KeepMetadata, Limits, OpenOptions, decode, encode};
use imaging::comm::{serial::Serial, threads};
use imaging::executor::Stop;
use imaging::{Buffer, Color, Error, Image, SampleType, Shape};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use worker::reduce::{Op, Report, Request, run};

/// A directory that is gone at the end of the test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("sundog-reduce-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn go(request: &Request, n_ranks: usize, n_threads: usize) -> Result<Report, Error> {
    let nothing = |_, _| ();
    if n_ranks == 1 {
        return run(
            &Serial::default(),
            n_threads,
            request,
            &Stop::default(),
            &nothing,
        );
    }
    let mut all = threads::run(n_ranks, |comm| {
        run(comm, n_threads, request, &Stop::default(), &nothing)
    });
    for other in &all[1..] {
        match (&all[0], other) {
            (Err(first), Err(other)) => assert_eq!(first, other),
            (Ok(_), Ok(_)) => {}
            other => panic!("ranks disagree: {other:?}"),
        }
    }
    all.swap_remove(0)
}

/// Random bits, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn float(&mut self) -> f64 {
        let exponent = (self.next() % 40) as i32 - 20;
        (self.next() as i64 as f64) / 2f64.powi(63) * 2f64.powi(exponent)
    }
}

fn numbers(path: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(path).unwrap();
    let parts = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|p| !p.is_empty());
    parts.map(|p| p.parse().unwrap()).collect()
}

fn naive(op: Op, values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let sum = |values: &[f64]| {
        // Neumaier's sum.
        let (mut s, mut c) = (0.0f64, 0.0);
        for &v in values {
            let t = s + v;
            c += if s.abs() >= v.abs() {
                (s - t) + v
            } else {
                (v - t) + s
            };
            s = t;
        }
        s + c
    };
    match op {
        Op::Sum => sum(values),
        Op::Mean => sum(values) / n,
        Op::Min => sorted[0],
        Op::Max => sorted[values.len() - 1],
        Op::Median => (sorted[(values.len() - 1) / 2] + sorted[values.len() / 2]) / 2.0,
        Op::Std => {
            let mean = sum(values) / n;
            let squares: Vec<f64> = values.iter().map(|v| (v - mean) * (v - mean)).collect();
            (sum(&squares) / n).sqrt()
        }
    }
}

const WORLDS: [(usize, usize, usize); 8] = [
    (1, 1, 1),
    (1, 2, 5),
    (2, 1, 2),
    (2, 2, 5),
    (3, 2, 1),
    (3, 1, 5),
    (5, 2, 5),
    (7, 1, 2),
];

#[test]
fn text_of_any_number_of_files_and_fan_in() {
    let mut random = Random(88172645463325252);
    for (files, values, fan_in) in [
        (1, 1, 2),
        (2, 7, 2),
        (7, 9000, 3),
        (13, 300, 5),
        (31, 17, 2),
        (26, 1, 4),
    ] {
        let dir = Dir::new();
        let data: Vec<Vec<f64>> = (0..files)
            .map(|_| (0..values).map(|_| random.float()).collect())
            .collect();
        let paths: Vec<PathBuf> = data
            .iter()
            .enumerate()
            .map(|(i, v)| {
                let separator = [" ", "\n", ", ", ";", "\t", "\r\n"][i % 6];
                let text: Vec<String> = v
                    .iter()
                    .map(|v| {
                        if i % 2 == 0 {
                            format!("{v}")
                        } else {
                            format!("{v:e}")
                        }
                    })
                    .collect();
                dir.file(&format!("{i}.txt"), text.join(separator))
            })
            .collect();
        for op in Op::ALL {
            let mut expected: Option<Vec<u8>> = None;
            for (n_ranks, n_threads, open) in WORLDS {
                for memory in [0, 1 << 30] {
                    let mut request = Request::new(op, paths.clone(), dir.0.join("out.txt"));
                    (request.fan_in, request.max_open_files) = (fan_in, open);
                    (request.memory, request.temporary) = (memory, dir.0.clone());
                    let report = go(&request, n_ranks, n_threads).unwrap();
                    assert!(report.peak_open_files <= open, "{report:?}");
                    assert_eq!((report.files, report.values), (files, values));
                    assert!(report.spooled_bytes > 0 || memory > 0);
                    let bytes = std::fs::read(&request.output).unwrap();
                    let expected = expected.get_or_insert_with(|| bytes.clone());
                    assert!(
                        *expected == bytes,
                        "{op:?} {files} {n_ranks} {n_threads} {open} {memory}"
                    );
                }
            }
            let result = numbers(&dir.0.join("out.txt"));
            for (i, &got) in result.iter().enumerate() {
                let column: Vec<f64> = data.iter().map(|v| v[i]).collect();
                let expected = naive(op, &column);
                let scale = column.iter().fold(0f64, |a, v| a.max(v.abs()));
                let error = (got - expected).abs();
                assert!(
                    error <= 1e-15 * expected.abs() + 1e-16 * scale,
                    "{op:?} {got} {expected}"
                );
                if matches!(op, Op::Min | Op::Max | Op::Median) {
                    assert_eq!(got, expected);
                }
            }
        }
        assert_eq!(
            dir.names().len(),
            files + 1,
            "only the inputs and the output are left"
        );
    }
}

fn npy(descr: &str, shape: &str, bytes: Vec<u8>) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut all = b"\x93NUMPY\x01\x00".to_vec();
    all.extend((text.len() as u16).to_le_bytes());
    all.extend(text.into_bytes());
    all.extend(bytes);
    all
}

#[test]
fn integers_beyond_the_doubles_are_exact() {
    let dir = Dir::new();
    let mut random = Random(7);
    let data: Vec<Vec<i64>> = (0..11)
        .map(|_| (0..50).map(|_| random.next() as i64).collect())
        .collect();
    let paths: Vec<PathBuf> = data
        .iter()
        .enumerate()
        .map(|(i, v)| match i % 3 {
            0 => dir.file(
                &format!("{i}.npy"),
                npy(
                    "<i8",
                    "(50,)",
                    v.iter().flat_map(|v| v.to_le_bytes()).collect(),
                ),
            ),
            1 => dir.file(
                &format!("{i}.npy"),
                npy(
                    ">i8",
                    "(50,)",
                    v.iter().flat_map(|v| v.to_be_bytes()).collect(),
                ),
            ),
            _ => dir.file(
                &format!("{i}.txt"),
                v.iter().map(|v| format!("{v}\n")).collect::<String>(),
            ),
        })
        .collect();
    for op in Op::ALL {
        let request = Request::new(op, paths.clone(), dir.0.join("out.csv"));
        for (n_ranks, n_threads, _) in WORLDS {
            assert!(go(&request, n_ranks, n_threads).unwrap().integers);
            let text = std::fs::read_to_string(&request.output).unwrap();
            for (i, got) in text.lines().enumerate() {
                let mut column: Vec<i128> = data.iter().map(|v| i128::from(v[i])).collect();
                column.sort_unstable();
                let sum: i128 = column.iter().sum();
                match op {
                    Op::Sum => assert_eq!(got, sum.to_string()),
                    Op::Min => assert_eq!(got, column[0].to_string()),
                    Op::Max => assert_eq!(got, column[10].to_string()),
                    Op::Median => assert_eq!(got, column[5].to_string()),
                    Op::Mean => {
                        let q = sum.div_euclid(11);
                        let expected = q as f64
                            + ((q - q as f64 as i128) as f64 + sum.rem_euclid(11) as f64 / 11.0);
                        assert_eq!(got.parse::<f64>().unwrap(), expected);
                    }
                    Op::Std => {
                        let floats: Vec<f64> = column.iter().map(|&v| v as f64).collect();
                        let expected = naive(op, &floats);
                        assert!((got.parse::<f64>().unwrap() / expected - 1.0).abs() < 1e-14);
                    }
                }
            }
        }
    }
    // Sums that no 64-bit type holds are refused for .npy, which has none.
    let big = |name: &str, v: u64| dir.file(name, npy("<u8", "(1,)", v.to_le_bytes().to_vec()));
    let paths = vec![big("a.npy", u64::MAX), big("b.npy", u64::MAX)];
    let request = Request::new(Op::Sum, paths.clone(), dir.0.join("out.npy"));
    assert!(
        go(&request, 1, 1)
            .unwrap_err()
            .to_string()
            .contains("36893488147419103230")
    );
    let request = Request::new(Op::Max, paths, dir.0.join("out.npy"));
    go(&request, 1, 1).unwrap();
    let bytes = std::fs::read(&request.output).unwrap();
    assert!(
        bytes.ends_with(&u64::MAX.to_le_bytes()) && String::from_utf8_lossy(&bytes).contains("<u8")
    );
}

#[test]
fn special_values() {
    let dir = Dir::new();
    let paths = vec![
        dir.file("a.txt", "nan inf -inf inf 0 1e308"),
        dir.file("b.txt", "1 1 1 -inf -0.0 1e308"),
        dir.file("c.txt", "2 2 2 3 0 1"),
    ];
    for (op, expected) in [
        (Op::Sum, "nan\ninf\n-inf\nnan\n0\ninf\n"),
        (Op::Mean, "nan\ninf\n-inf\nnan\n0\ninf\n"),
        (Op::Min, "nan\n1\n-inf\n-inf\n-0\n1\n"),
        (Op::Max, "nan\ninf\n2\ninf\n0\n1e308\n"),
        (Op::Median, "nan\n2\n1\n3\n0\n1e308\n"),
    ] {
        for fan_in in [2, 5] {
            let mut request = Request::new(op, paths.clone(), dir.0.join("out.txt"));
            request.fan_in = fan_in;
            go(&request, 2, 1).unwrap();
            assert_eq!(
                std::fs::read_to_string(&request.output).unwrap(),
                expected,
                "{op:?}"
            );
        }
    }
}

#[test]
fn the_first_bad_file_is_named_by_all_ranks() {
    let dir = Dir::new();
    let good = "1 2 3\n4";
    let many = |bad: &[(usize, &str)]| -> Vec<PathBuf> {
        let text = |i| bad.iter().find(|b| b.0 == i).map_or(good, |b| b.1);
        (0..40)
            .map(|i| dir.file(&format!("f{i:02}.txt"), text(i)))
            .collect()
    };
    for (bad, parts) in [
        (
            &[(17, "1 2 3"), (23, "x")][..],
            &["f17.txt", "3 values", "f00.txt has 4 values"][..],
        ),
        (&[(39, "1 2 3 4 5")], &["f39.txt", "5 values", "4 values"]),
        (
            &[(8, "1 2\n3 4,5x"), (9, "")],
            &["f08.txt", "line 2", "`5x`", "not a number"],
        ),
        (&[(3, "1,,2,3")], &["f03.txt", "line 1", "missing"]),
        (&[(0, "x")], &["f00.txt", "line 1", "`x`"]),
    ] {
        for op in [Op::Mean, Op::Min, Op::Median, Op::Std] {
            for (n_ranks, n_threads, open) in WORLDS {
                let mut request = Request::new(op, many(bad), dir.0.join("out.txt"));
                (request.max_open_files, request.fan_in) = (open, 3);
                let error = go(&request, n_ranks, n_threads).unwrap_err().to_string();
                for part in parts {
                    assert!(error.contains(part), "{error:?} lacks {part:?}");
                }
                assert_eq!(dir.names().len(), 40, "nothing is left behind");
            }
        }
    }
    let none = Request::new(Op::Mean, vec![], dir.0.join("out.txt"));
    assert!(matches!(go(&none, 2, 1), Err(Error::Pipeline(_))));
    let missing = Request::new(
        Op::Mean,
        vec![dir.0.join("none.txt")],
        dir.0.join("out.txt"),
    );
    assert!(
        go(&missing, 2, 1)
            .unwrap_err()
            .to_string()
            .contains("none.txt")
    );
    let short = npy("<f8", "(3,)", vec![0; 20]);
    let cut = Request::new(
        Op::Mean,
        vec![dir.file("cut.npy", short)],
        dir.0.join("out.txt"),
    );
    assert!(
        go(&cut, 1, 1)
            .unwrap_err()
            .to_string()
            .contains("cut.npy: the file is cut off")
    );
    let two = npy("<f8", "(2, 1)", vec![0; 16]);
    let three = npy("<f8", "(1, 2)", vec![0; 16]);
    let files = vec![dir.file("two.npy", two), dir.file("three.npy", three)];
    let error = go(&Request::new(Op::Mean, files, dir.0.join("out.txt")), 1, 1).unwrap_err();
    assert!(error.to_string().contains("1x2 values, but"), "{error}");
}

#[test]
fn a_stopped_reduction_leaves_nothing() {
    let dir = Dir::new();
    let files = (0..9)
        .map(|i| dir.file(&format!("{i}.txt"), "1 2 3"))
        .collect();
    let request = Request::new(Op::Mean, files, dir.0.join("out.txt"));
    let stop = Stop::default();
    stop.set();
    for result in threads::run(3, |comm| run(comm, 2, &request, &stop, &|_, _| ())) {
        assert!(matches!(result, Err(Error::Stopped(_))));
    }
    assert_eq!(dir.names().len(), 9);
}

fn picture(random: &mut Random, shape: Shape) -> Image {
    let len = shape.rows * shape.row_len();
    let data = match shape.sample {
        SampleType::U8 => Buffer::U8((0..len).map(|_| random.next() as u8).collect()),
        SampleType::U16 => Buffer::U16((0..len).map(|_| random.next() as u16).collect()),
        SampleType::F32 => Buffer::F32((0..len).map(|_| random.float() as f32).collect()),
    };
    Image::new(shape, data)
}

fn samples(buffer: &Buffer) -> Vec<f64> {
    match buffer {
        Buffer::U8(v) => v.iter().map(|&v| f64::from(v)).collect(),
        Buffer::U16(v) => v.iter().map(|&v| f64::from(v)).collect(),
        Buffer::F32(v) => v.iter().map(|&v| f64::from(v)).collect(),
    }
}

#[test]
fn stacks_of_images() {
    let mut random = Random(99);
    for (color, sample, extension, count) in [
        (Color::Rgb, SampleType::U8, "png", 6),
        (Color::Gray, SampleType::U16, "png", 5),
        (Color::Rgba, SampleType::U16, "tif", 7),
        (Color::Gray, SampleType::F32, "tif", 9),
    ] {
        let dir = Dir::new();
        let shape = Shape::new(130, 211, color, sample);
        let format = Format::parse(if extension == "png" { "png" } else { "tiff" }).unwrap();
        let images: Vec<Image> = (0..count).map(|_| picture(&mut random, shape)).collect();
        let paths: Vec<PathBuf> = images
            .iter()
            .enumerate()
            .map(|(i, image)| {
                let bytes = encode(image, &format, KeepMetadata::All).unwrap();
                dir.file(&format!("{i}.{extension}"), bytes)
            })
            .collect();
        let inputs: Vec<Vec<f64>> = images.iter().map(|i| samples(&i.rows.data)).collect();
        for op in Op::ALL {
            for output in [format!("out.{extension}"), "out.npy".to_owned()] {
                let mut request = Request::new(op, paths.clone(), dir.0.join(&output));
                request.fan_in = 3;
                let mut expected: Option<Vec<u8>> = None;
                for (n_ranks, n_threads, open) in WORLDS {
                    request.max_open_files = open;
                    request.memory = if n_threads == 2 { 1 << 16 } else { 1 << 30 };
                    let report = go(&request, n_ranks, n_threads).unwrap();
                    assert!(report.peak_open_files <= open);
                    let bytes = std::fs::read(&request.output).unwrap();
                    let expected = expected.get_or_insert_with(|| bytes.clone());
                    assert!(
                        *expected == bytes,
                        "{op:?} {output} {n_ranks} {n_threads} {open}"
                    );
                }
                let bytes = std::fs::read(&request.output).unwrap();
                let got: Vec<f64> = if output.ends_with("npy") {
                    let header = String::from_utf8_lossy(&bytes[..128]).into_owned();
                    let (values, _) = bytes[128..].as_chunks();
                    match header.contains("<i8") {
                        true => values
                            .iter()
                            .map(|&b| i64::from_le_bytes(b) as f64)
                            .collect(),
                        false => values.iter().map(|&b| f64::from_le_bytes(b)).collect(),
                    }
                } else {
                    samples(
                        &decode(bytes, &Limits::default(), &OpenOptions::default())
                            .unwrap()
                            .rows
                            .data,
                    )
                };
                assert_eq!(got.len(), shape.rows * shape.row_len());
                for (i, &got) in got.iter().enumerate() {
                    let column: Vec<f64> = inputs.iter().map(|v| v[i]).collect();
                    let mut expected = naive(op, &column);
                    if !output.ends_with("npy") {
                        expected = match sample {
                            SampleType::U8 => expected.round_ties_even().min(255.0),
                            SampleType::U16 => expected.round_ties_even().min(65535.0),
                            SampleType::F32 => f64::from(expected as f32),
                        };
                    }
                    let error = (got - expected).abs();
                    assert!(
                        error
                            <= 4e-16
                                * expected
                                    .abs()
                                    .max(f64::from(u8::from(op == Op::Std)) * 65535.0),
                        "{op:?} {output} {got} {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn images_of_another_shape_or_cut_off() {
    let dir = Dir::new();
    let mut random = Random(5);
    let png = Format::parse("png").unwrap();
    let mut image = |name: &str, rows, sample| {
        let image = picture(&mut random, Shape::new(rows, 40, Color::Gray, sample));
        dir.file(name, encode(&image, &png, KeepMetadata::All).unwrap())
    };
    let (a, b) = (
        image("a.png", 30, SampleType::U8),
        image("b.png", 30, SampleType::U8),
    );
    let (c, d) = (
        image("c.png", 30, SampleType::U16),
        image("d.png", 31, SampleType::U8),
    );
    let bytes = std::fs::read(&b).unwrap();
    let cut = dir.file("cut.png", &bytes[..bytes.len() / 2]);
    let text = dir.file("t.txt", "1 2 3");
    let left = dir.names().len();
    for (files, parts) in [
        (vec![&a, &b, &c], ["c.png", "16 bits"]),
        (
            vec![&a, &d, &c],
            [
                "d.png: 40x31 gray of 8 bits",
                "a.png has 40x30 gray of 8 bits",
            ],
        ),
        (vec![&a, &b, &cut, &b, &cut], ["cut.png", ""]),
        (vec![&a, &text], ["t.txt", "no image"]),
        (vec![&text, &a], ["a.png", "an image"]),
        (vec![&text], ["out.png", "numbers cannot be written"]),
    ] {
        let files: Vec<PathBuf> = files.into_iter().cloned().collect();
        for op in [Op::Mean, Op::Median] {
            for n_ranks in [1, 3] {
                let request = Request::new(op, files.clone(), dir.0.join("out.png"));
                let error = go(&request, n_ranks, 2).unwrap_err().to_string();
                parts
                    .iter()
                    .for_each(|part| assert!(error.contains(part), "{error:?} lacks {part:?}"));
                assert_eq!(dir.names().len(), left);
            }
        }
    }
}
