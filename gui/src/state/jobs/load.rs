//! How busy the nodes were before the window looked at them, as they tell it themselves.

use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Seconds that one point of the chart stands for; each node tells of itself at least once in so long.
const STEP: i64 = 10;

/// Busy and all workers of all nodes, in order of time.
pub(super) fn history(nodes: &[client::Node], now: Timestamp) -> Vec<(Instant, f32, f32)> {
    let mut steps: BTreeMap<i64, BTreeMap<usize, (f32, f32)>> = BTreeMap::new();
    for (number, node) in nodes.iter().enumerate() {
        for moment in node["series"].as_array().into_iter().flatten() {
            let time = moment["time"].as_str().and_then(|t| t.parse().ok());
            let time: Option<Timestamp> = time;
            let value = |key: &str| moment[key].as_f64().unwrap_or_default() as f32;
            if let Some(time) = time {
                let step = steps.entry(time.as_second() / STEP).or_default();
                // What it said last counts.
                step.insert(number, (value("busy"), value("slots")));
            }
        }
    }
    let point = |(step, all): (i64, BTreeMap<usize, (f32, f32)>)| {
        let ago = u64::try_from(now.as_second() - step * STEP).ok()?;
        let at = Instant::now().checked_sub(Duration::from_secs(ago))?;
        let sum = |part: fn(&(f32, f32)) -> f32| all.values().map(part).sum();
        Some((at, sum(|both| both.0), sum(|both| both.1)))
    };
    steps.into_iter().filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_nodes_did_before_is_added_up_step_by_step() {
        let moment = |time: &str, busy: u32| json!({"time": time, "busy": busy, "slots": 4});
        let nodes = [
            json!({"node": "a", "series": [
                moment("2026-11-28T03:00:01Z", 1),
                moment("2026-11-28T03:00:04Z", 2),
                moment("2026-11-28T03:00:12Z", 3),
            ]}),
            json!({"node": "b", "series": [moment("2026-11-28T03:00:05Z", 4)]}),
            json!({"node": "c"}),
        ];
        let now = "2026-11-28T03:00:20Z".parse().unwrap();
        let told: Vec<(f32, f32)> = history(&nodes, now)
            .into_iter()
            .map(|(_, busy, slots)| (busy, slots))
            .collect();
        assert_eq!(told, [(6.0, 8.0), (3.0, 4.0)]);
    }
}
