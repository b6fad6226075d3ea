//! What webhooks are delivered to: keeps every request, and answers as it is told.

use crate::site::LIMIT;
use axum::Router;
use axum::body::Bytes;
use axum::response::Response;
use http::HeaderMap;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request that the receiver got.
#[derive(Clone, Debug)]
pub struct Got {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Receives deliveries and answers as it is told.
pub struct Receiver {
    pub port: u16,
    pub got: Arc<Mutex<Vec<Got>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// `answer` sees how many requests came before.
    pub async fn start(answer: impl Fn(usize) -> Response + Send + Sync + 'static) -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let (seen, answer) = (got.clone(), Arc::new(answer));
        let router = Router::new().fallback(move |headers: HeaderMap, body: Bytes| async move {
            let before = {
                let mut seen = seen.lock().unwrap();
                seen.push(Got { headers, body });
                seen.len() - 1
            };
            answer(before)
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Receiver { port, got, task }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub async fn wait(&self, n: usize) -> Vec<Got> {
        let wait = async {
            while self.got().len() < n {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.got()
        };
        tokio::time::timeout(LIMIT, wait).await.expect("deliveries")
    }
}
