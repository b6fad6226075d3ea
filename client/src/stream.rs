//! A gateway's stream of events, opened again wherever it breaks off.

use super::follow::{Follow, Update};
use super::http::{Gateway, MAX_REFUSAL, SILENCE, read};
use super::{check_id, problem, sse};
use crate::exit::{Failure, Result};
use protocol::Event;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use std::time::Duration;
use tokio::sync::mpsc;

/// Longest pause between two tries to reach a gateway that was there before.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

impl Gateway {
    pub(super) fn follow(&self, job: &str) -> Result<Follow> {
        check_id(job)?;
        let path = format!("v1/jobs/{job}/events");
        let gateway = self.clone();
        Ok(Follow::spawn(|sender| gateway.stream(path, sender)))
    }

    /// Opens the stream again from the last event, until nobody listens any more.
    async fn stream(self, path: String, sender: mpsc::Sender<Update>) {
        let mut last = None;
        let mut pause = Duration::from_millis(100);
        let mut away = false;
        loop {
            let before: Option<String> = last.clone();
            let reason = match self.read_events(&path, &mut last, &mut away, &sender).await {
                Ok(()) => return,
                Err(Ended::Refused(failure)) => {
                    let _ = sender.send(Update::Over(failure)).await;
                    return;
                }
                Err(Ended::Lost(reason)) => reason,
            };
            if before != last {
                pause = Duration::from_millis(100);
            }
            away = true;
            if sender.send(Update::Away(reason)).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.look_again();
        }
    }

    /// Ok when nobody listens any more.
    async fn read_events(
        &self,
        path: &str,
        last: &mut Option<String>,
        away: &mut bool,
        sender: &mpsc::Sender<Update>,
    ) -> std::result::Result<(), Ended> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(id) = last
            .as_deref()
            .and_then(|id| HeaderValue::from_str(id).ok())
        {
            headers.insert("last-event-id", id);
        }
        let answer = self.once(&Method::GET, path, None, &headers).await;
        let mut response = answer.map_err(|error| Ended::Lost(problem::cause(&error)))?;
        let status = response.status();
        if !status.is_success() {
            let body = read(response, MAX_REFUSAL).await.unwrap_or_default();
            let failure = problem::refused(status, &body);
            return Err(
                match status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
                    true => Ended::Refused(failure),
                    false => Ended::Lost(failure.message),
                },
            );
        }
        if std::mem::take(away) && sender.send(Update::Back).await.is_err() {
            return Ok(());
        }
        let mut parser = sse::Parser::default();
        loop {
            let piece = tokio::select! {
                () = sender.closed() => return Ok(()),
                piece = tokio::time::timeout(SILENCE, response.chunk()) => piece,
            };
            let piece = match piece {
                Err(_) => return Err(Ended::Lost("nothing came for a minute".into())),
                Ok(Err(error)) => return Err(Ended::Lost(problem::cause(&error))),
                Ok(Ok(None)) => return Err(Ended::Lost("the connection was closed".into())),
                Ok(Ok(Some(piece))) => piece,
            };
            let messages = parser.feed(&piece);
            let messages = messages.map_err(|_| Ended::Lost("an event is too long".into()))?;
            for message in messages {
                let id = message.id.clone();
                let update = match message.event.as_str() {
                    "reset" => Some(Update::Reset),
                    // A kind of a later program is passed over.
                    _ => serde_json::from_str::<Event>(&message.data)
                        .ok()
                        .map(|event| Update::Event(Box::new(event))),
                };
                if let Some(update) = update
                    && sender.send(update).await.is_err()
                {
                    return Ok(());
                }
                if id.is_some() {
                    *last = id;
                }
            }
        }
    }
}

/// Why a stream of events ended.
enum Ended {
    /// It may be opened again.
    Lost(String),
    /// It will not be.
    Refused(Failure),
}
