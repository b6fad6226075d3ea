//! The operations in WebAssembly, as pages use them, against this program: the same files to the last byte.

use crate::{picture, run};
use cloud::testing::{available, find_program};
use imaging::op::Op;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What scripts/demo-page made, if it was run here.
pub fn module() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasm");
    Some(root.join("built/sundog.wasm.gz")).filter(|file| file.exists())
}

fn ready() -> bool {
    available(find_program("node"), "Node.js")
        && available(module(), "the module of scripts/demo-page --module")
}

/// Runs orders in the module; what it says of each.
fn in_wasm(dir: &Path, orders: &[Value]) -> Vec<Value> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasm");
    let file = dir.join("orders.json");
    fs::write(&file, json!(orders).to_string()).unwrap();
    let said = Command::new(find_program("node").unwrap())
        .arg(web.join("tests/node.mjs"))
        .arg(web.join("web/engine.js"))
        .arg(module().unwrap())
        .arg(file)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{err}");
    crate::lines(&String::from_utf8(said.stdout).unwrap())
}

/// Pictures of each kind that operations tell apart, small and odd.
fn pictures(dir: &Path) -> Vec<(&'static str, &'static str)> {
    picture(&dir.join("rgb.ppm"), 61, 47);
    let make = |from: &str, to: &str, pipeline: &str| {
        let made = run(dir, &["run", from, "-o", to, "-p", pipeline]);
        assert_eq!(made.0, 0, "{}", made.2);
    };
    make("rgb.ppm", "rgb.png", "crop(x=2, y=3, width=53, height=41)");
    make(
        "rgb.ppm",
        "gray.png",
        "grayscale | crop(width=38, height=45)",
    );
    let mut deep = b"P6 29 31 65535\n".to_vec();
    deep.extend((0..29 * 31 * 3).flat_map(|i: u32| (i * 977 % 65536).to_be_bytes()[2..].to_vec()));
    fs::write(dir.join("deep.ppm"), deep).unwrap();
    let mut alpha =
        b"P7\nWIDTH 23\nHEIGHT 19\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n".to_vec();
    alpha.extend((0..23 * 19 * 4).map(|i: u32| (i * i % 251) as u8));
    fs::write(dir.join("alpha.pam"), alpha).unwrap();
    let mut floats = b"PF\n21 17\n-1.0\n".to_vec();
    floats.extend((0..21 * 17 * 3).flat_map(|i: u32| ((i % 97) as f32 / 96.0).to_le_bytes()));
    fs::write(dir.join("floats.pfm"), floats).unwrap();
    vec![
        ("rgb.png", "png"),
        ("gray.png", "png"),
        ("deep.ppm", "png"),
        ("alpha.pam", "png"),
        ("floats.pfm", "npy"),
    ]
}

/// The example of an operation, and the operation with nothing given where it needs nothing.
fn calls(op: &Op) -> Vec<String> {
    let mut calls = vec![op.example.to_owned()];
    if op.params.iter().all(|param| param.default().is_some()) {
        calls.push(op.name.to_owned());
    }
    calls.dedup();
    calls
}

#[test]
fn every_operation_makes_the_same_bytes_in_webassembly() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let pictures = pictures(dir);
    let mut orders = Vec::new();
    let mut native = Vec::new();
    for (number, call) in imaging::ops::ALL
        .iter()
        .flat_map(|op| calls(op))
        .enumerate()
    {
        for format in ["png", "npy"] {
            let files = pictures.iter().filter(|(_, as_)| *as_ == format);
            let files: Vec<&str> = files.map(|(file, _)| *file).collect();
            let out = format!("native/{number}-{format}");
            let mut arguments = vec!["run"];
            arguments.extend(&files);
            arguments.extend(["-o", &out, "-p", &call, "--format", format]);
            let ended = run(dir, &arguments);
            // Some are refused: of all pictures, or of those that they do not suit.
            assert!([0, 1, 2, 3].contains(&ended.0), "{call}: {}", ended.2);
            for file in files {
                let stem = file.split('.').next().unwrap();
                let to = format!("wasm-{number}-{stem}.{format}");
                orders.push(json!({
                    "file": dir.join(file), "pipeline": call, "format": format, "to": dir.join(&to),
                }));
                native.push((dir.join(out.clone()).join(format!("{stem}.{format}")), to));
            }
        }
    }
    let said = in_wasm(dir, &orders);
    assert_eq!(said.len(), orders.len());
    let mut made = 0;
    for ((order, said), (here, there)) in orders.iter().zip(&said).zip(&native) {
        assert!(said["trap"].is_null(), "{order}: {said}");
        // What is refused is refused by both.
        assert_eq!(here.exists(), said["error"].is_null(), "{order}: {said}");
        if here.exists() {
            made += 1;
            let same = fs::read(here).unwrap() == fs::read(dir.join(there)).unwrap();
            assert!(same, "{order} differs from {}", here.display());
        }
    }
    // Nearly all of them do something on nearly all pictures.
    assert!(made * 10 > orders.len() * 9, "{made} of {}", orders.len());
}

#[test]
fn files_keep_their_turn_and_what_they_say_in_webassembly_too() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // A camera's file that lies on its side, with a resolution, as TIFF and as PNG.
    crate::colours::turned(dir, "side.tif");
    let pipeline = "gaussian(sigma=2) | resize(width=20)";
    let mut orders = Vec::new();
    for format in [
        "png",
        "tiff(compression=lzw)",
        "pnm",
        "qoi",
        "bmp",
        "gif",
        "fits",
    ] {
        let name = format.split('(').next().unwrap();
        let out = format!("native-{name}");
        let arguments = [
            "run", "side.tif", "-o", &out, "-p", pipeline, "--format", format,
        ];
        assert_eq!(run(dir, &arguments).0, 0, "{format}");
        orders.push(json!({
            "file": dir.join("side.tif"), "pipeline": pipeline, "format": format, "to": dir.join(format!("{name}.wasm")),
        }));
    }
    let said = in_wasm(dir, &orders);
    for (order, said) in orders.iter().zip(&said) {
        assert!(
            said["error"].is_null() && said["trap"].is_null(),
            "{order}: {said}"
        );
        let there = PathBuf::from(order["to"].as_str().unwrap());
        let name = there.file_stem().unwrap().to_str().unwrap();
        let here = fs::read_dir(dir.join(format!("native-{name}"))).unwrap();
        let mut here = here.map(|entry| entry.unwrap().path());
        let here = here
            .find(|path| path.extension().is_some_and(|e| e != "json"))
            .unwrap();
        let same = fs::read(&here).unwrap() == fs::read(&there).unwrap();
        assert!(same, "{order} differs from {}", here.display());
    }
}
