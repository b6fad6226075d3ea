//! Nodes as people see them: what each says of itself, and what all did in the last quarter of an hour.

use super::Jobs;
use crate::error::Result;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// What one place of the common series stands for: each node tells of itself at least once in so long.
const STEP: u64 = 10;

/// What nodes there are.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Nodes {
    /// What each says of itself: `node`, `state`, `slots`, `busy`, `load`, `ranks`, …, and its own `series`.
    pub nodes: Vec<Map<String, Value>>,
    /// What all of them did together, in order of time.
    pub series: Vec<Total>,
}

/// What all nodes did at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Total {
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// How many there were.
    pub nodes: u32,
    /// Slots that worked.
    pub busy: u32,
    /// Slots that there were.
    pub slots: u32,
}

impl Jobs {
    /// The nodes that live, and the series of the last 15 minutes.
    pub async fn nodes(&self) -> Result<Nodes> {
        let (beats, moments) = tokio::join!(self.events.nodes(), self.events.samples());
        let (mut own, mut steps) = (BTreeMap::new(), BTreeMap::new());
        for moment in moments? {
            let sample = moment.sample;
            let (busy, slots) = (sample.busy, sample.slots);
            let place = json!({"time": text(moment.time), "busy": busy, "slots": slots});
            let series: &mut Vec<Value> = own.entry(sample.node.clone()).or_default();
            series.push(place);
            let since = moment.time.duration_since(SystemTime::UNIX_EPOCH);
            let step = since.unwrap_or_default().as_secs() / STEP;
            let of_all: &mut BTreeMap<String, (u32, u32)> = steps.entry(step).or_default();
            // What it said last counts.
            of_all.insert(sample.node, (busy, slots));
        }
        let nodes = beats?.into_iter().map(|beat| {
            let body: Option<Map<String, Value>> = serde_json::from_str(&beat.body).ok();
            let mut body = body.unwrap_or_default();
            let series = own.remove(&beat.node).unwrap_or_default();
            body.insert("series".into(), series.into());
            body.insert("node".into(), beat.node.into());
            body
        });
        let series = steps.into_iter().map(|(step, of_all)| Total {
            time: text(SystemTime::UNIX_EPOCH + Duration::from_secs(step * STEP)),
            nodes: of_all.len() as u32,
            busy: of_all.values().map(|(busy, _)| busy).sum(),
            slots: of_all.values().map(|(_, slots)| slots).sum(),
        });
        Ok(Nodes {
            nodes: nodes.collect(),
            series: series.collect(),
        })
    }
}

fn text(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Rules;
    use cloud::events::memory::MemoryEvents;
    use cloud::events::{Events as _, Heartbeat, Sample};
    use cloud::queue::memory::MemoryQueue;
    use cloud::store::Store;
    use std::sync::Arc;

    #[tokio::test]
    async fn each_node_has_its_series_and_all_have_one() {
        let events = MemoryEvents::default();
        let jobs = Jobs {
            queue: Arc::new(MemoryQueue::new()),
            events: Arc::new(events.clone()),
            store: Store::memory(),
            rules: Rules::default(),
        };
        for (node, busy) in [("a", 1), ("a", 2), ("gone", 4)] {
            let node = node.to_owned();
            let slots = 4;
            events.sample(&Sample { node, busy, slots }).await.unwrap();
        }
        let beat = Heartbeat {
            node: "a".into(),
            body: r#"{"state":"working"}"#.into(),
        };
        events.beat(&beat, Duration::from_secs(60)).await.unwrap();
        let found = jobs.nodes().await.unwrap();
        assert_eq!(found.nodes.len(), 1);
        let series = found.nodes[0]["series"].as_array().unwrap();
        assert_eq!((&found.nodes[0]["node"], series.len()), (&json!("a"), 2));
        assert_eq!(
            (&series[1]["busy"], &series[1]["slots"]),
            (&2.into(), &4.into())
        );
        // In one step or, at its edge, in two.
        let last = found.series.last().unwrap();
        assert!(last.slots >= 4 && last.busy >= 4, "{:?}", found.series);
        let busy: u32 = found.series.iter().map(|total| total.busy).sum();
        assert!((6..=7).contains(&busy), "{:?}", found.series);
    }
}
