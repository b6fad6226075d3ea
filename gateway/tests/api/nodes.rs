//! Nodes, what they did lately, and how many there are to be.

use crate::site::Site;
use dispatcher::jobs::Rules;
use dispatcher::scale::Command;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_told_with_their_series() {
    let mut site = Site::new().await;
    site.start_dispatcher();
    let found = loop {
        let (status, found) = site.call("GET", "v1/nodes", &site.ada, None).await;
        assert_eq!(status, StatusCode::OK);
        if !found["series"].as_array().unwrap().is_empty() {
            break found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let node = &found["nodes"][0];
    assert_eq!(
        (&node["node"], &node["state"]),
        (&json!("node"), &json!("working"))
    );
    assert!(
        node["time"].is_string() && node["load"].is_number(),
        "{node}"
    );
    assert_eq!(node["series"][0]["slots"], node["slots"]);
    let total = &found["series"][0];
    assert_eq!(
        (&total["nodes"], &total["slots"]),
        (&json!(1), &node["slots"])
    );
    // Nobody starts workers here.
    assert_eq!(found["workers"], Value::Null);
    let wish = json!({"workers": 2});
    let (status, why) = site.call("PUT", "v1/scale", &site.root, Some(wish)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        why["detail"]
            .as_str()
            .unwrap()
            .contains("SUNDOG_SCALE_COMMAND"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_has_the_cluster_scaled_by_its_program() {
    let dir = tempfile::tempdir().unwrap();
    let (script, told) = (dir.path().join("scale"), dir.path().join("told"));
    std::fs::write(&script, "#!/bin/sh\n[ $1 -lt 9 ] && echo $1 >>$2\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let line = format!("{} {{workers}} {}", script.display(), told.display());
    let command = Arc::new(Command::parse(&line).unwrap());
    let site = Site::with(|config| config.scale = Some(command), Rules::default()).await;
    let scale = async |token: &str, wish: Value| {
        let (status, answer) = site.call("PUT", "v1/scale", token, Some(wish)).await;
        (status.as_u16(), answer)
    };
    assert_eq!(scale("", json!({"workers": 3})).await.0, 401);
    let (status, why) = scale(&site.ada, json!({"workers": 3})).await;
    assert_eq!((status, &why["code"]), (403, &json!("forbidden")));
    for wrong in [
        json!({"workers": 0}),
        json!({"workers": -1}),
        json!({"workers": 3, "x": 1}),
        json!({}),
    ] {
        assert_eq!(scale(&site.root, wrong.clone()).await.0, 400, "{wrong}");
    }
    assert!(!told.exists());
    let asked = scale(&site.root, json!({"workers": 3})).await;
    assert_eq!(asked, (200, json!({"workers": 3, "before": null})));
    assert_eq!(
        scale(&site.root, json!({"workers": 5})).await.1["before"],
        3
    );
    assert_eq!(std::fs::read_to_string(&told).unwrap(), "3\n5\n");
    let (status, why) = scale(&site.root, json!({"workers": 9})).await;
    assert_eq!(status, 409);
    assert!(
        why["detail"].as_str().unwrap().contains("exit status: 1"),
        "{why}"
    );
    // Who may change it is told what was asked for.
    let (_, found) = site.call("GET", "v1/nodes", &site.root, None).await;
    assert_eq!(found["workers"], json!({"wanted": 5, "most": 10000}));
    let (_, found) = site.call("GET", "v1/nodes", &site.ada, None).await;
    assert_eq!(found["workers"], Value::Null);
}
