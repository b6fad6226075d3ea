//! Files appear whole or not at all, and their hashes are those of their bytes.

use super::*;

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let dir = std::env::temp_dir().join(format!("sundog-atomic-{}", std::process::id()));
    let target = dir.join("deep/er.bin");
    let dropped = Pending::create(&target).unwrap();
    dropped.writer().write_all(b"half").unwrap();
    drop(dropped);
    assert_eq!(fs::read_dir(dir.join("deep")).unwrap().count(), 0);
    for seek in [false, true] {
        let pending = Pending::create(&target).unwrap();
        let mut writer = pending.writer();
        writer.write_all(b"abc").unwrap();
        if seek {
            writer.seek(SeekFrom::Start(0)).unwrap();
            writer.write_all(b"abc").unwrap();
        }
        let digested = pending.commit().unwrap();
        assert_eq!(
            digested,
            Digested {
                sha256: sha256(b"abc"),
                bytes: 3
            }
        );
        assert_eq!(fs::read(&target).unwrap(), b"abc");
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn files_that_end_together_fail_alone() {
    let dir = std::env::temp_dir().join(format!("sundog-together-{}", std::process::id()));
    let sealed = |name: &str| {
        let pending = Pending::create(&dir.join(name)).unwrap();
        pending.writer().write_all(name.as_bytes()).unwrap();
        pending.seal().unwrap()
    };
    let files: Vec<Sealed> = ["a", "taken", "deep/b"].map(sealed).into();
    assert_eq!(files[2].digested().sha256, sha256(b"deep/b"));
    fs::create_dir(dir.join("taken")).unwrap();
    let dropped = sealed("c");
    drop(dropped);
    let named = commit_all(files);
    assert!(named[0].is_ok() && named[2].is_ok());
    let error = named[1].as_ref().unwrap_err().to_string();
    assert!(error.contains("taken"), "{error}");
    assert_eq!(fs::read(dir.join("deep/b")).unwrap(), b"deep/b");
    // Nothing is left of those that have no name.
    let mut left: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["a", "deep", "taken"]);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn outputs_are_no_more_readable_than_inputs_and_keep_what_is_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let dir = std::env::temp_dir().join(format!("sundog-follow-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let (input, target) = (dir.join("in"), dir.join("out"));
    fs::write(&input, b"in").unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = File::options().write(true).open(&input).unwrap();
    file.set_times(FileTimes::new().set_modified(long_ago))
        .unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for (given, times, keeps, wanted) in [
        (0o600, false, false, 0o600),
        (0o440, false, false, 0o640 & mode(&input)),
        (0o750, true, true, 0o750),
        (0o400, true, true, 0o400),
    ] {
        fs::set_permissions(&input, fs::Permissions::from_mode(given)).unwrap();
        let mut pending = Pending::create(&target).unwrap();
        pending.follow(&input, times, keeps).unwrap();
        assert_eq!(mode(&pending.temporary) & !given & !0o600, 0);
        pending.writer().write_all(b"out").unwrap();
        pending.commit().unwrap();
        assert_eq!(mode(&target), wanted, "{given:o}");
        let modified = fs::metadata(&target).unwrap().modified().unwrap();
        assert_eq!(modified == long_ago, times);
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn large_files_are_written_as_given() {
    let dir = std::env::temp_dir().join(format!("sundog-large-{}", std::process::id()));
    let target = dir.join("large.bin");
    let bytes: Vec<u8> = (0..13_000_007u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    for (piece, seek, flushes, create) in [
        (3_000_000, false, false, Pending::create as fn(&Path) -> _),
        (70_001, true, false, Pending::create),
        (1 << 20, false, true, Pending::create),
        (3_000_000, false, false, Pending::scratch),
        (70_001, true, false, Pending::scratch),
    ] {
        let pending: Pending = create(&target).unwrap();
        let mut writer = pending.writer();
        for part in bytes.chunks(piece) {
            writer.write_all(part).unwrap();
            if flushes {
                writer.flush().unwrap();
            }
        }
        assert_eq!(writer.stream_position().unwrap(), bytes.len() as u64);
        let mut wanted = bytes.clone();
        if seek {
            writer.seek(SeekFrom::Start(9_000_000)).unwrap();
            writer.write_all(b"patched").unwrap();
            wanted[9_000_000..9_000_007].copy_from_slice(b"patched");
        }
        let digested = pending.commit().unwrap();
        assert_eq!(digested.bytes, wanted.len() as u64);
        assert_eq!(digested.sha256, sha256(&wanted));
        assert!(fs::read(&target).unwrap() == wanted);
    }
    fs::remove_dir_all(dir).unwrap();
}
