//! Text, CSV and `.npy`.

use super::{Dir, Random, WORLDS, go, naive};
use imaging::Error;
use imaging::comm::threads;
use imaging::executor::Stop;
use std::path::{Path, PathBuf};
use worker::reduce::{Op, Request, run};

fn numbers(path: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(path).unwrap();
    let parts = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|p| !p.is_empty());
    parts.map(|p| p.parse().unwrap()).collect()
}

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
fn names_of_columns_go_along() {
    let dir = Dir::new();
    let files = vec![
        dir.file("a.csv", "time,left,right\n1,2,3\n4,5,6\n"),
        dir.file("b.csv", "time,left,right\n3,2,1\n6,5,4\n"),
    ];
    let output = dir.0.join("out.csv");
    let request = Request::new(Op::Mean, files.clone(), output.clone());
    go(&request, 2, 1).unwrap();
    let text = std::fs::read_to_string(&output).unwrap();
    assert_eq!(text, "time,left,right\n2,2,2\n5,5,5\n");
    // A line with a number in it is data, and a word there is an error.
    let odd = dir.file("c.csv", "1,two,3\n1,2,3\n");
    let request = Request::new(Op::Mean, vec![odd], output);
    let error = go(&request, 1, 1).unwrap_err().to_string();
    assert!(error.contains("line 1: `two` is not a number"), "{error}");
}

#[test]
fn arrays_in_any_order_and_of_half_floats() {
    let dir = Dir::new();
    let values: [i16; 6] = [1, 2, 3, 4, 5, 6];
    let little = |order: [usize; 6]| -> Vec<u8> {
        order
            .iter()
            .flat_map(|&i| values[i].to_le_bytes())
            .collect()
    };
    let c = npy("<i2", "(2, 3)", little([0, 1, 2, 3, 4, 5]));
    let fortran = npy("<i2", "(2, 3)", little([0, 3, 1, 4, 2, 5]));
    let mut fortran = fortran;
    let at = fortran.windows(5).position(|w| w == b"False").unwrap();
    fortran[at..at + 5].copy_from_slice(b"True ");
    let half = npy(
        "<f2",
        "(2, 3)",
        [0x3C00u16; 6]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect(),
    );
    let files = vec![
        dir.file("c.npy", c),
        dir.file("f.npy", fortran),
        dir.file("h.npy", half),
    ];
    let output = dir.0.join("out.txt");
    go(&Request::new(Op::Sum, files, output.clone()), 2, 2).unwrap();
    assert_eq!(numbers(&output), [3.0, 5.0, 7.0, 9.0, 11.0, 13.0]);
}

#[test]
fn what_does_not_fit_is_named() {
    let dir = Dir::new();
    let files = vec![
        dir.file(
            "a.npy",
            npy(
                "<u8",
                "(2,)",
                [u64::MAX, 0].iter().flat_map(|v| v.to_le_bytes()).collect(),
            ),
        ),
        dir.file(
            "b.npy",
            npy(
                "<i8",
                "(2,)",
                [0i64, -9].iter().flat_map(|v| v.to_le_bytes()).collect(),
            ),
        ),
    ];
    let request = Request::new(Op::Sum, files, dir.0.join("out.npy"));
    let error = go(&request, 1, 1).unwrap_err().to_string();
    assert!(
        error.contains("goes from -9 to 18446744073709551615"),
        "{error}"
    );
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
