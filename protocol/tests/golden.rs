//! Messages of every version are read for ever, and version 1 is written as it always was.

#![allow(clippy::unwrap_used)]

use protocol::{Event, Job, JobReceipt, message};
use serde_json::Value;

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn written(message: &impl serde::Serialize) -> Value {
    serde_json::to_value(message).unwrap()
}

#[test]
fn job_version_1() {
    let text = include_str!("golden/job.v1.json");
    let job: Job = serde_json::from_str(text).unwrap();
    assert_eq!(written(&job), value(text));
}

#[test]
fn the_least_job_has_the_documented_defaults() {
    let job: Job = serde_json::from_str(include_str!("golden/job.least.v1.json")).unwrap();
    assert_eq!(
        written(&job),
        value(include_str!("golden/job.defaults.v1.json"))
    );
}

#[test]
fn receipt_version_1() {
    let text = include_str!("golden/receipt.v1.json");
    let receipt: JobReceipt = serde_json::from_str(text).unwrap();
    assert_eq!(written(&receipt), value(text));
}

#[test]
fn events_version_1() {
    for line in include_str!("golden/events.v1.jsonl").lines() {
        let event: Event = serde_json::from_str(line).unwrap();
        assert_eq!(written(&event), value(line));
    }
}

#[test]
fn messages_version_1() {
    fn same<T: serde::Serialize + serde::de::DeserializeOwned>(all: &Value, name: &str) {
        let message: T = serde_json::from_value(all[name].clone()).unwrap();
        assert_eq!(written(&message), all[name], "{name}");
    }
    let all = value(include_str!("golden/messages.v1.json"));
    same::<message::StoredJob>(&all, "stored_job");
    same::<message::JobMessage>(&all, "job");
    same::<message::JobPlan>(&all, "plan");
    same::<message::PlanPage>(&all, "page");
    same::<message::JobRound>(&all, "round");
    same::<message::JobCancelled>(&all, "cancelled");
}

#[test]
fn a_key_of_no_meaning_is_an_error_in_a_job_and_passed_over_in_a_receipt() {
    let error = serde_json::from_str::<Job>(r#"{"pipline": "invert"}"#).unwrap_err();
    assert!(
        error.to_string().contains("unknown field `pipline`"),
        "{error}"
    );
    for section in ["limits", "schedule"] {
        let text = format!(r#"{{"{section}": {{"speed": 1}}}}"#);
        assert!(serde_json::from_str::<Job>(&text).is_err(), "{section}");
    }
    let mut receipt = value(include_str!("golden/receipt.v1.json"));
    receipt["weather"] = "rain".into();
    assert!(serde_json::from_value::<JobReceipt>(receipt).is_ok());
}

#[test]
fn schemas_name_the_fields() {
    let schema = written(&schemars::schema_for!(Job));
    assert!(schema["properties"]["pipeline"].is_object());
    assert_eq!(schema["additionalProperties"], Value::Bool(false));
    assert!(written(&schemars::schema_for!(JobReceipt))["properties"]["spec_sha256"].is_object());
    assert!(written(&schemars::schema_for!(Event))["oneOf"].is_array());
}
