//! Job files and settings.

use crate::{photos, receipt, run, sundog};
use std::fs;

#[test]
fn a_job_file_runs_and_flags_override_it() {
    let dir = photos();
    let toml = "version = 1\nname = \"test\"\ninputs = [\"photos\"]\noutput = \"toml\"\n\
                pipeline = [{ op = \"gaussian\", sigma = 1 }]\n[limits]\nmemory = \"1GiB\"\n";
    let yaml = "inputs: [photos]\noutput: yaml\npipeline: gaussian(sigma=1)\n";
    let json = r#"{"inputs": ["photos"], "output": "json", "pipeline": "gaussian(sigma=1)"}"#;
    for (name, text) in [("toml", toml), ("yaml", yaml), ("json", json)] {
        fs::write(dir.path().join(format!("job.{name}")), text).unwrap();
        let (code, _, err) = run(dir.path(), &["run", "--spec", &format!("job.{name}")]);
        assert_eq!(code, 0, "{err}");
    }
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert!(read("toml/a.ppm") == read("yaml/a.ppm") && read("json/a.ppm") == read("yaml/a.ppm"));
    let (code, _, _) = run(
        dir.path(),
        &["run", "--spec", "job.toml", "-o", "flag", "-p", "invert"],
    );
    assert_eq!(code, 0);
    let receipt = receipt(dir.path(), "flag/sundog-receipt.json");
    assert_eq!(receipt["spec"]["pipeline"], "invert");
    assert_eq!(receipt["spec"]["limits"]["memory"], "1GiB");
    assert_eq!(receipt["name"], "test");
}

#[test]
fn a_wrong_job_file_names_file_line_key_and_the_nearest() {
    let dir = photos();
    let wrong = |text: &str| {
        fs::write(dir.path().join("job.toml"), text).unwrap();
        let (code, _, err) = run(dir.path(), &["run", "--spec", "job.toml"]);
        assert_eq!(code, 2, "{err}");
        err
    };
    assert!(
        wrong("version = 1\npipline = \"invert\"\n")
            .contains("job.toml:2: unknown key `pipline` (did you mean `pipeline`?)")
    );
    assert!(wrong("ranks = \"two\"\n").contains("job.toml:1: `ranks`"));
    assert!(
        wrong("\npipeline = \"invrt\"\n")
            .contains("job.toml:2: `pipeline`: there is no operation `invrt`")
    );
    assert!(wrong("version = 9\n").contains("reads version 1"));
    let (code, _, err) = run(dir.path(), &["run", "--spec", "none.toml"]);
    assert_eq!(code, 2);
    assert!(err.contains("none.toml: there is no such file"), "{err}");
}

#[test]
fn settings_come_from_files_and_variables_in_order() {
    let dir = photos();
    fs::create_dir_all(dir.path().join(".config/sundog")).unwrap();
    fs::write(
        dir.path().join(".config/sundog/config.toml"),
        "threads = 1\nmode = \"rows\"\ntoken = \"geheim\"\n",
    )
    .unwrap();
    fs::write(dir.path().join("sundog.toml"), "\nthreads = 2\n").unwrap();
    let output = sundog(dir.path())
        .args(["config", "show", "--origin"])
        .env("SUNDOG_MEMORY", "1GiB")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("threads = 2  # sundog.toml:2\n"), "{text}");
    assert!(
        text.contains("limits.memory = \"1GiB\"  # SUNDOG_MEMORY\n"),
        "{text}"
    );
    assert!(
        text.contains("mode = \"rows\"  # ") && text.contains("config.toml:2\n"),
        "{text}"
    );
    assert!(
        text.contains("on_error = \"continue\"  # default\n"),
        "{text}"
    );
    assert!(
        text.contains("token = \"(set)\"") && !text.contains("geheim"),
        "{text}"
    );

    assert_eq!(
        run(
            dir.path(),
            &["run", "photos", "-o", "out", "--threads", "1"]
        )
        .0,
        0
    );
    let spec = receipt(dir.path(), "out/sundog-receipt.json")["spec"].clone();
    assert_eq!(
        (&spec["threads"], &spec["mode"]),
        (&1.into(), &"rows".into())
    );

    fs::write(dir.path().join("sundog.toml"), "treads = 2\n").unwrap();
    let (code, _, err) = run(dir.path(), &["run", "photos", "-o", "out"]);
    assert_eq!(code, 2);
    assert!(
        err.contains("sundog.toml:1: unknown key `treads` (did you mean `threads`?)"),
        "{err}"
    );
}

#[test]
fn a_folder_names_no_program_to_run() {
    use std::os::unix::fs::PermissionsExt;
    let dir = photos();
    let program = dir.path().join("evil");
    fs::write(&program, "#!/bin/sh\ntouch \"$(dirname \"$0\")/ran\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    for line in [
        "mpirun = \"./evil\"",
        "hostfile = \"hosts\"",
        "s3_endpoint = \"http://127.0.0.1:9\"",
        "gateway = \"http://127.0.0.1:9\"",
    ] {
        fs::write(
            dir.path().join("sundog.toml"),
            format!("ranks = 2\n{line}\n"),
        )
        .unwrap();
        for command in [
            &["run", "photos", "-o", "out"][..],
            &["list"],
            &["config", "show"],
        ] {
            let (code, _, err) = run(dir.path(), command);
            let key = line.split(' ').next().unwrap();
            assert_eq!(code, 2, "{command:?} {err}");
            assert!(
                err.contains(&format!("sundog.toml:2: `{key}` cannot be set by")),
                "{err}"
            );
            assert!(err.contains("SUNDOG_CONFIG"), "{err}");
        }
    }
    // The doctor goes on to look at the rest.
    let (code, out, err) = run(dir.path(), &["doctor"]);
    assert!(
        code == 1 && (out.clone() + &err).contains("`gateway` cannot be set by"),
        "{out}{err}"
    );
    assert!(!dir.path().join("ran").exists() && !dir.path().join("out").exists());
}

#[test]
fn ranks_get_no_secret() {
    use std::os::unix::fs::PermissionsExt;
    let dir = photos();
    let mpirun = dir.path().join("mpirun");
    let script = "#!/bin/sh\nenv > \"$(dirname \"$0\")/seen\"\nexit 1\n";
    fs::write(&mpirun, script).unwrap();
    fs::set_permissions(&mpirun, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = crate::program(dir.path());
    command
        .args(["run", "photos", "-o", "out", "--ranks", "2", "--mpirun"])
        .arg(&mpirun)
        .env("AWS_SECRET_ACCESS_KEY", "swordfish")
        .env("SUNDOG_BROKER", "amqp://user:swordfish@127.0.0.1:9")
        .env("SUNDOG_SIMD", "base");
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let Ok(seen) = fs::read_to_string(dir.path().join("seen")) else {
        // Without the worker beside the program, no ranks are started.
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(err.contains("sundog-worker was not found"), "{err}");
        return;
    };
    assert!(
        seen.contains("SUNDOG_SIMD=base") && !seen.contains("swordfish"),
        "{seen}"
    );
}
