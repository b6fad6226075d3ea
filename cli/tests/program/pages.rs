//! Files of several pictures.

use super::*;
use serde_json::json;

/// A TIFF of gray pages, each with its size and one value.
fn stack(path: &Path, pages: &[(u32, u32, u8)]) {
    let mut bytes = b"II*\0\0\0\0\0".to_vec();
    let mut link = 4;
    for (width, height, value) in pages {
        let strip = bytes.len() as u32;
        bytes.extend(vec![*value; (width * height) as usize]);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        let at = bytes.len() as u32;
        bytes[link..link + 4].copy_from_slice(&at.to_le_bytes());
        let entries = [
            (256, *width),
            (257, *height),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, strip),
            (277, 1),
            (278, *height),
            (279, width * height),
        ];
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            bytes.extend((tag as u16).to_le_bytes());
            bytes.extend(4u16.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        link = bytes.len();
        bytes.extend([0; 4]);
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn pages(dir: &Path) {
    stack(
        &dir.join("in/s.tif"),
        &[(4, 3, 10), (5, 70, 20), (6, 2, 30)],
    );
}

fn hashes(receipt: &Value) -> Vec<(u64, String)> {
    let pages = receipt["tasks"][0]["pages"].as_array().unwrap();
    let page = |page: &Value| {
        let hash = page["output_sha256"].as_str().unwrap().to_owned();
        (page["page"].as_u64().unwrap(), hash)
    };
    pages.iter().map(page).collect()
}

#[test]
fn pages_become_files_where_the_format_holds_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    pages(dir);
    let base = [
        "run",
        "in",
        "-o",
        "out",
        "--format",
        "png",
        "-p",
        "gaussian(sigma=1)",
    ];
    let (code, out, err) = run(dir, &[&base[..], &["--json"]].concat());
    assert_eq!(code, 0, "{err}");
    let ended = lines(&out)
        .into_iter()
        .find(|e| e["event"] == "task_finished")
        .unwrap();
    let outputs = ["out/s-p0001.png", "out/s-p0002.png", "out/s-p0003.png"];
    assert_eq!(ended["outputs"], json!(outputs));
    let first = receipt(dir, "out/sundog-receipt.json");
    let task = &first["tasks"][0];
    assert_eq!(task["output"], outputs[0]);
    let sizes: Vec<_> = (0..3)
        .map(|n| {
            (
                task["pages"][n]["width"].clone(),
                task["pages"][n]["height"].clone(),
            )
        })
        .collect();
    assert_eq!(
        sizes,
        [
            (json!(4), json!(3)),
            (json!(5), json!(70)),
            (json!(6), json!(2))
        ]
    );
    let expected = hashes(&first);
    assert!(run(dir, &["verify", "out"]).2.contains("3 of 3"));
    assert_eq!(run(dir, &["reproduce", "out", "--thread-ranks", "2"]).0, 0);
    let (_, _, err) = run(dir, &[&base[..], &["--skip-existing"]].concat());
    assert!(err.contains("1 left alone"), "{err}");
    for world in [
        ["--thread-ranks", "3", "--mode", "images"],
        ["--thread-ranks", "3", "--mode", "rows"],
        ["--threads", "2", "--mode", "auto"],
    ] {
        fs::remove_dir_all(dir.join("out")).unwrap();
        let (code, out, err) = run(dir, &[&base[..], &world, &["--json"]].concat());
        assert_eq!(code, 0, "{world:?}: {err}");
        assert_eq!(lines(&out)[0]["tasks"], 1);
        assert_eq!(
            hashes(&receipt(dir, "out/sundog-receipt.json")),
            expected,
            "{world:?}"
        );
    }
    fs::write(dir.join("out/s-p0002.png"), "changed").unwrap();
    assert_eq!(run(dir, &["verify", "out"]).0, 1);
}

#[test]
fn some_pages_are_asked_for_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    pages(dir);
    let made = |more: &[&str]| {
        let _ = fs::remove_dir_all(dir.join("out"));
        let base = ["run", "in", "-o", "out", "--format", "bmp"];
        let (code, _, err) = run(dir, &[&base[..], more].concat());
        let mut names: Vec<String> = fs::read_dir(dir.join("out"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".bmp"))
            .collect();
        names.sort();
        (code, names, err)
    };
    assert_eq!(made(&["--pages", "first"]).1, ["s.bmp"]);
    assert_eq!(made(&["--pages", "2..3"]).1, ["s-p0002.bmp", "s-p0003.bmp"]);
    let named = ["--names", "{stem}_{width}_{page}.{format}"];
    assert_eq!(
        made(&named).1,
        ["s_4_0001.bmp", "s_5_0002.bmp", "s_6_0003.bmp"]
    );
    let (code, names, err) = made(&["--pages", "4..9"]);
    assert_eq!((code, names.len()), (1, 0));
    assert!(
        err.contains("has 3 pages, and --pages 4..9 names none"),
        "{err}"
    );
    let (code, _, err) = made(&["--pages", "last"]);
    assert_eq!(code, 2);
    assert!(err.contains("write all, first, or N..M"), "{err}");
    let (_, info, _) = run(dir, &["info", "in/s.tif"]);
    assert!(info.contains("3 pages (4x3, 5x70, 6x2)"), "{info}");
    let (_, plan, _) = run(
        dir,
        &["run", "in", "-o", "out", "--format", "bmp", "--dry-run"],
    );
    assert!(plan.contains("3 pages in 3 files"), "{plan}");
}

#[test]
fn a_page_of_its_own_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    pages(dir);
    let sound = fs::read(dir.join("in/s.tif")).unwrap();
    // The strip of the second page begins behind the file.
    let mut bytes = sound.clone();
    let strip = bytes
        .windows(4)
        .position(|w| w == [20, 20, 20, 20])
        .unwrap() as u32;
    let at = bytes
        .windows(4)
        .rposition(|w| w == strip.to_le_bytes())
        .unwrap();
    bytes[at..at + 4].copy_from_slice(&0x7fff_0000u32.to_le_bytes());
    fs::write(dir.join("in/s.tif"), &bytes).unwrap();
    for world in [
        &["--threads", "2"][..],
        &["--thread-ranks", "2", "--mode", "rows"],
    ] {
        let _ = fs::remove_dir_all(dir.join("out"));
        let base = ["run", "in", "-o", "out", "--format", "png"];
        let (code, _, err) = run(dir, &[&base[..], world].concat());
        assert_eq!(code, 3, "{err}");
        assert!(err.contains("page 2: "), "{err}");
        assert!(dir.join("out/s-p0001.png").is_file() && dir.join("out/s-p0003.png").is_file());
        assert!(!dir.join("out/s-p0002.png").exists());
        assert!(run(dir, &["verify", "out"]).2.contains("2 of 2"));
    }
    fs::write(dir.join("in/s.tif"), &sound).unwrap();
    assert_eq!(
        run(dir, &["run", "--retry-failed", "out/sundog-receipt.json"]).0,
        0
    );
    assert!(run(dir, &["verify", "out"]).2.contains("3 of 3"));
}

#[test]
fn jobs_store_every_page() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    pages(dir);
    let _serve = crate::server::Serve::start(dir);
    let (code, out, err) = run(
        dir,
        &["submit", "in", "--watch", "--json", "--format", "png"],
    );
    assert_eq!(code, 0, "{err}");
    let job = lines(&out)[0]["job"].as_str().unwrap().to_owned();
    assert_eq!(run(dir, &["results", &job, "--download", "got"]).0, 0);
    for page in 1..=3 {
        assert!(dir.join(format!("got/s-p000{page}.png")).is_file());
    }
    assert!(run(dir, &["verify", "got"]).2.contains("3 of 3"));
    assert_eq!(
        run(dir, &["run", "in", "-o", "out", "--format", "png"]).0,
        0
    );
    let got = receipt(dir, "got/sundog-receipt.json");
    assert_eq!(
        hashes(&got),
        hashes(&receipt(dir, "out/sundog-receipt.json"))
    );
    assert_eq!(got["tasks"][0]["pages"][1]["object"], "out/0.2-s-p0002.png");
}
