//! Somebody who is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// What was posted.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Post {
    pub(crate) fn id(&self) -> &str {
        self.headers["webhook-id"].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What it answers: the first of these, and the last of them from then on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Status(u16),
    /// 503, and to come again after so many seconds.
    Busy(u32),
    /// Says nothing for longer than anybody waits.
    Silent,
}

#[derive(Debug, Default)]
struct Inner {
    posts: Mutex<Vec<Post>>,
    answers: Mutex<VecDeque<Answer>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl Receiver {
    pub(crate) async fn start(answers: &[Answer]) -> Self {
        let inner = Arc::new(Inner::default());
        *inner.answers.lock().unwrap() = answers.iter().copied().collect();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(take).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, inner }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        self.inner.posts.lock().unwrap().clone()
    }

    pub(crate) fn answers(&self, answers: &[Answer]) {
        *self.inner.answers.lock().unwrap() = answers.iter().copied().collect();
    }
}

async fn take(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> (StatusCode, HeaderMap) {
    inner.posts.lock().unwrap().push(Post { headers, body });
    let answer = {
        let mut answers = inner.answers.lock().unwrap();
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0] }
    };
    let mut headers = HeaderMap::new();
    let status = match answer {
        Answer::Status(status) => status,
        Answer::Busy(seconds) => {
            headers.insert("retry-after", seconds.into());
            503
        }
        Answer::Silent => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            500
        }
    };
    (StatusCode::from_u16(status).unwrap(), headers)
}
