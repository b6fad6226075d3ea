//! Jobs in a real `sundog serve`: results, links, hashes, workers.

use super::common::{Desk, photos};
use super::programs::{composed, sundog};
use eframe::egui;
use gui::command::Command as Ask;
use gui::state::inspect::Side;
use gui::state::jobs::{Link, Target, Token, Until};
use protocol::state::JobState;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

/// A `sundog serve` that ends with this.
pub struct Serve {
    child: Child,
    pub address: String,
    pub token: String,
}

impl Serve {
    pub fn start(home: &Path) -> Serve {
        let mut child = sundog(home)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--json",
                "--threads",
                "2",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let link = said["link"].as_str().unwrap();
        Serve {
            child,
            address: said["address"].as_str().unwrap().to_owned(),
            token: link.split_once("#token=").unwrap().1.to_owned(),
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A window with two photos that reaches a `sundog serve`, whose home is the folder `home`.
pub fn at_serve() -> (Desk, Serve) {
    let dir = photos();
    std::fs::remove_file(dir.path().join("photos/cut.png")).unwrap();
    let home = dir.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let serve = Serve::start(&home);
    let mut desk = composed(dir);
    let token = Token {
        text: serve.token.clone(),
        keep: false,
    };
    let gateway = Target::Gateway(serve.address.clone());
    desk.ask(Ask::Target(gateway, Some(token)));
    desk.until("the gateway", |s| s.jobs.link == Link::Up);
    (desk, serve)
}

/// The same after it has submitted a job, and the job, which is over.
fn submitted() -> (Desk, Serve, String) {
    let (mut desk, serve) = at_serve();
    desk.click("Submit");
    desk.until("the end of the job", |s| {
        let job = s.jobs.chosen_status();
        job.is_some_and(|job| job.state == JobState::Succeeded)
    });
    let job = desk.state().jobs.chosen.clone().unwrap();
    (desk, serve, job)
}

#[test]
fn links_say_how_long_they_are_good_and_are_renewed() {
    let (mut desk, serve, job) = submitted();
    desk.click("Results and links");
    desk.until("the links", |s| s.jobs.links.is_some());
    let links = |desk: &Desk| {
        let page = desk.state().jobs.links.as_ref().unwrap();
        assert_eq!(page.job, job);
        (
            page.outputs[0].url.clone(),
            page.until(jiff::Timestamp::now()),
        )
    };
    let (url, until) = links(&desk);
    // An hour was asked for, and that is what the store signed.
    assert!(matches!(until, Until::Left(3500..=3600)), "{until:?}");
    assert!(desk.sees("min left") && desk.sees("2 links"));
    desk.click("Copy link");
    assert_eq!(desk.copied(), [url]);
    desk.harness.check_accessibility();
    // A link that has ended cannot be copied, and says so.
    desk.change(|state| {
        for output in &mut state.jobs.links.as_mut().unwrap().outputs {
            output.expires = Some("2020-01-01T00:00:00Z".into());
        }
    });
    assert!(desk.sees("These links have ended: renew them"));
    desk.click("Copy link");
    assert_eq!(desk.copied(), Vec::<String>::new());
    desk.click("Renew links");
    desk.until("new links", |s| {
        let page = s.jobs.links.as_ref().unwrap();
        matches!(page.until(jiff::Timestamp::now()), Until::Left(3500..))
    });
    desk.click("Copy link");
    assert_eq!(desk.copied(), [links(&desk).0]);
    desk.click("Back to the images");
    assert!(desk.state().jobs.links.is_none());
    drop(serve);
}

#[test]
fn chosen_results_are_fetched_alone() {
    let (mut desk, serve, _) = submitted();
    desk.click("Results and links");
    desk.until("the links", |s| s.jobs.links.is_some());
    assert!(!desk.can_press("Download chosen"));
    desk.click_containing("more/b.jpg");
    assert!(desk.sees("2 links, 1 chosen"));
    desk.click("Download chosen");
    desk.until("the file", |s| !s.banners.is_empty());
    assert!(desk.sees("1 file fetched into"));
    let out = desk.path("window");
    assert!(out.join("more/b.jpg").is_file() && !out.join("a.jpg").exists());
    // Such a receipt would name files that are not there.
    assert!(!out.join("sundog-receipt.json").exists());
    drop(serve);
}

#[test]
fn a_job_that_somebody_else_deletes_goes_soon_also_far_down_the_list() {
    let (mut desk, serve, first) = submitted();
    let home = desk.path("home");
    let photo = desk.path("photos/a.ppm");
    for _ in 0..23 {
        let mut submit = sundog(&home);
        submit.arg("submit").arg(&photo).args(["-p", "invert"]);
        assert!(submit.output().unwrap().status.success());
    }
    desk.until("all jobs", |s| s.jobs.list.len() == 24);
    desk.until("their ends", |s| {
        s.jobs.list.iter().all(|job| job.state.is_final())
    });
    // Down to the oldest.
    desk.harness.hover_at(egui::pos2(200.0, 400.0));
    desk.harness.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: egui::vec2(0.0, -5000.0),
        phase: egui::TouchPhase::Move,
        modifiers: egui::Modifiers::NONE,
        source: egui::MouseWheelSource::Wheel,
    });
    desk.until("the oldest in sight", |s| s.jobs.part.is_some());
    let began = std::time::Instant::now();
    let mut delete = sundog(&home);
    delete.arg("delete").arg(&first);
    assert!(delete.output().unwrap().status.success());
    desk.until("its end", |s| {
        s.jobs.list.iter().all(|job| job.job != first)
    });
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    assert_eq!(desk.state().jobs.list.len(), 23);
    drop(serve);
}

#[test]
fn a_result_of_a_job_is_seen_beside_its_input_and_its_hashes_hold() {
    let (mut desk, serve, job) = submitted();
    desk.click("Results and links");
    desk.until("the links", |s| s.jobs.links.is_some());
    let first = desk.state().jobs.links.as_ref().unwrap().outputs[0].clone();
    desk.click("Compare");
    desk.until("both pictures and the receipt", |s| {
        let i = &s.inspect;
        matches!((&i.before, &i.after), (Side::Seen(_), Side::Seen(_))) && i.record.is_some()
    });
    assert!(desk.sees("What was fetched has the hash of its receipt"));
    let sha256 = first.sha256.unwrap();
    let pipeline = imaging::Pipeline::parse("clahe | gaussian(sigma=1.1) | rotate(degrees=90)");
    let pipeline = pipeline.unwrap().to_string();
    for told in ["Receipt", &sha256, &job, &pipeline] {
        assert!(desk.sees(told), "{told}: {:?}", desk.state().inspect.record);
    }
    desk.click("Copy SHA-256");
    assert_eq!(desk.copied(), [sha256]);
    desk.harness.check_accessibility();
    desk.click("Close the comparison");
    assert!(!desk.state().inspect.open);
    desk.click("Verify");
    desk.until("the hashes", |s| s.jobs.verified.is_some());
    assert!(desk.sees("2 outputs match their receipts"));
    drop(serve);
}

#[test]
fn the_number_of_workers_is_set_from_the_monitor() {
    let (mut desk, serve, _) = submitted();
    desk.click("Monitor");
    desk.until("nodes", |s| !s.jobs.nodes.is_empty());
    let before = desk.state().jobs.nodes.len();
    assert!(!desk.can_press("Set workers"), "nothing was changed yet");
    desk.slide("Workers", (before + 1) as f64);
    desk.click("Set workers");
    desk.until("another node", |s| s.jobs.nodes.len() == before + 1);
    assert!(desk.sees(&format!("{} workers asked for", before + 1)));
    desk.slide("Workers", 1.0);
    desk.click("Set workers");
    desk.until("the end of the others", |s| s.jobs.nodes.len() == 1);
    desk.harness.check_accessibility();
    drop(serve);
}
