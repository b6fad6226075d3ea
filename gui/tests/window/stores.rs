//! Inputs that lie in a store, before a server of objects that checks signatures.

use super::common::{Desk, picture};
use cloud::config::{Config, Location};
use cloud::testing::objects::{Account, ObjectServer};
use eframe::egui;
use gui::args::Args;
use gui::command::Command;
use gui::state::files::Info;
use gui::state::run::Plan;
use gui::state::view::Exactness;
use gui::work::objects::Services;
use std::sync::Arc;

/// A server with a bucket, and the services that lead there.
struct Bucket {
    server: ObjectServer,
    services: Arc<Config>,
    runtime: tokio::runtime::Runtime,
}

impl Bucket {
    fn new() -> Bucket {
        let account = Account::Aws {
            key_id: "trial".into(),
            secret: "secret-of-a-trial".into(),
        };
        let server = ObjectServer::start(account).unwrap();
        // Lists come in pages, as they do from a real one.
        server.set_page(100);
        let vars = [
            ("SUNDOG_S3_ENDPOINT", server.url().as_str()),
            ("AWS_ACCESS_KEY_ID", "trial"),
            ("AWS_SECRET_ACCESS_KEY", "secret-of-a-trial"),
            ("AWS_REGION", "us-east-1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Bucket {
            services: Arc::new(Config::from_vars(vars).unwrap()),
            server,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn put(&self, objects: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let location = Location::parse("s3://bucket").unwrap();
        self.runtime.block_on(async {
            let store = self.services.open(&location).unwrap();
            for (name, bytes) in objects {
                let put = store.put(&name, bytes.into(), "application/octet-stream");
                put.await.unwrap();
            }
        });
    }

    fn get(&self, name: &str) -> Vec<u8> {
        let location = Location::parse("s3://bucket").unwrap();
        self.runtime.block_on(async {
            let store = self.services.open(&location).unwrap();
            store.get(name, 1 << 20).await.unwrap().to_vec()
        })
    }

    /// A window that finds it.
    fn desk(&self) -> Desk {
        let mut desk = Desk::open(tempfile::tempdir().unwrap(), Args::default());
        let window = desk.harness.state_mut().as_mut().unwrap();
        window.work.services = Services::Given(self.services.clone());
        // What is fetched is what a test asks for.
        window.state.far = false;
        desk
    }
}

fn ppm(width: usize, height: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ppm");
    picture(&path, width, height);
    std::fs::read(path).unwrap()
}

#[test]
fn a_prefix_is_typed_listed_previewed_and_run_to_the_same_bytes() {
    let bucket = Bucket::new();
    bucket.put([
        ("raw/a.ppm".into(), ppm(60, 40)),
        ("raw/more/b.ppm".into(), ppm(31, 17)),
        ("raw/Thumbs.db".into(), vec![0]),
        ("other/c.ppm".into(), ppm(5, 5)),
    ]);
    let mut desk = bucket.desk();
    desk.click("Path…");
    assert!(!desk.can_press("Add what is there"));
    desk.write("Path or address", "s3://bucket/raw/");
    desk.click("Add what is there");
    desk.until("the list", |s| {
        s.searching == 0 && s.files.entries.len() == 2
    });
    assert!(desk.sees("a.ppm") && desk.sees("more/b.ppm") && desk.sees("in its store"));
    assert!(desk.sees("1 file passed over"));
    desk.harness.check_accessibility();
    // The one that is looked at is fetched, and then its size is known.
    desk.until_exact();
    assert_eq!(desk.state().view.before.as_ref().unwrap().size, (60, 40));
    assert!(desk.sees("60 × 40"));
    assert_eq!(desk.state().files.entries[1].info, Info::Far);
    let out = desk.path("out").to_str().unwrap().to_owned();
    let pipeline = "equalize | sharpen";
    desk.change(|state| {
        state.setup.output = out.clone();
        state.setup.format = "png".into();
        state.edit.type_text(pipeline.into());
    });
    desk.until("the preview of another pipeline", |s| {
        matches!(&s.view.exactness, Exactness::Exact(w) if w.format == "png") && !s.view.busy
    });
    let Exactness::Exact(written) = desk.state().view.exactness.clone() else {
        unreachable!()
    };
    // The job names the prefix, as a person would write it.
    assert_eq!(desk.state().job().unwrap().inputs, ["s3://bucket/raw/"]);
    desk.ask(Command::Plan);
    desk.until("the plan", |s| matches!(s.plan, Plan::Made(_)));
    assert!(desk.sees("2 outputs") && !desk.path("out").exists());
    desk.ask(Command::ClosePlan);
    desk.run(&out, "png", pipeline);
    let digest = worker::atomic::digest_file(&desk.path("out/a.png")).unwrap();
    assert_eq!(digest.sha256, written.sha256);
    assert!(desk.path("out/more/b.png").is_file());
    // A result beside its input, which is fetched for that.
    desk.click("a.ppm");
    desk.until("both pictures", |s| {
        use gui::state::inspect::Side;
        matches!(
            (&s.inspect.before, &s.inspect.after),
            (Side::Seen(_), Side::Seen(_))
        )
    });
    assert_eq!(bucket.server.refusals(), Vec::<&str>::new());
}

#[test]
fn a_prefix_is_pasted_and_results_go_to_a_store() {
    let bucket = Bucket::new();
    bucket.put([("raw/a.ppm".into(), ppm(20, 10))]);
    let mut desk = bucket.desk();
    let pasted = "s3://bucket/raw/a.ppm\nnothing that could be opened";
    desk.harness.event(egui::Event::Paste(pasted.into()));
    desk.frames(2);
    desk.until("the list", |s| {
        s.searching == 0 && s.files.entries.len() == 1
    });
    desk.run("s3://bucket/done/", "png", "invert");
    assert!(bucket.get("done/a.png").starts_with(b"\x89PNG"));
}

#[test]
fn what_is_in_sight_is_fetched_for_its_thumbnail_unless_that_is_switched_off() {
    let bucket = Bucket::new();
    bucket.put((0..3).map(|n| (format!("raw/{n}.ppm"), ppm(30 + n, 20))));
    bucket.put([("raw/cut.png".into(), b"\x89PNG\r\n\x1a\n\0\0".to_vec())]);
    let mut desk = bucket.desk();
    desk.ask(Command::Add(vec!["s3://bucket/raw/".into()]));
    desk.until("the list", |s| {
        s.searching == 0 && s.files.entries.len() == 4
    });
    desk.until_exact();
    let far = |s: &gui::state::State| {
        let far = s.files.entries.iter().filter(|e| e.info == Info::Far);
        far.count()
    };
    assert_eq!(far(desk.state()), 3, "only what is looked at is fetched");
    desk.click("⋯");
    desk.click("Thumbnails of what lies in stores");
    desk.until("their headers", |s| far(s) == 0);
    assert!(desk.sees("31 × 20") && desk.sees("32 × 20"));
    let cut = desk
        .state()
        .files
        .entries
        .iter()
        .find(|e| e.shown == "cut.png");
    assert!(matches!(cut.unwrap().info, Info::Broken(_)));
}

#[test]
fn a_long_list_comes_page_by_page_and_is_given_up_with_the_files() {
    let bucket = Bucket::new();
    bucket.put((0..2300).map(|n| (format!("many/{n:05}.jpg"), vec![0xff, 0xd8, 0xff])));
    let mut desk = bucket.desk();
    desk.ask(Command::Add(vec!["s3://bucket/many".into()]));
    desk.until("the first of them", |s| !s.files.entries.is_empty());
    desk.until("all of them", |s| s.searching == 0);
    assert_eq!(desk.state().files.entries.len(), 2300);
    assert_eq!(desk.state().files.entries[2299].shown, "02299.jpg");
    desk.ask(Command::Add(vec!["s3://bucket/many/*1.jpg".into()]));
    desk.ask(Command::Clear);
    desk.until("the end of the search", |s| s.searching == 0);
    assert!(desk.state().files.entries.is_empty());
}

#[test]
fn a_store_that_cannot_be_reached_or_has_no_such_object_says_so() {
    let bucket = Bucket::new();
    let mut desk = bucket.desk();
    desk.ask(Command::Add(vec!["s3://bucket/none/".into()]));
    desk.until("the answer", |s| s.searching == 0);
    assert!(desk.sees("no such object"));
    // Without a way to the store.
    let window = desk.harness.state_mut().as_mut().unwrap();
    let vars = [
        (
            "SUNDOG_S3_ENDPOINT".to_owned(),
            "http://127.0.0.1:9".to_owned(),
        ),
        ("AWS_ACCESS_KEY_ID".to_owned(), "trial".to_owned()),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), "x".to_owned()),
    ];
    window.work.services = Services::Given(Arc::new(Config::from_vars(vars).unwrap()));
    desk.ask(Command::Clear);
    desk.ask(Command::Add(vec!["s3://bucket/other/".into()]));
    desk.until("the answer", |s| {
        s.searching == 0 && !s.files.entries.is_empty()
    });
    let Info::Broken(why) = desk.state().files.entries[0].info.clone() else {
        panic!("{:?}", desk.state().files.entries)
    };
    assert!(desk.sees(&why), "{why}");
    desk.harness.check_accessibility();
}
