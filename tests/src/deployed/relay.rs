//! What the functions take for the mail service: it passes every call on to the emulator's, and each answer through the
//! gate of its recipient's domain. A message that is held has been taken.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::thread;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reqwest::Client;
use serde_json::Value;
use tokio::net::TcpListener;

use super::gate::Gates;

/// More than any message.
const LARGEST: usize = 64 << 20;

/// A running relay, in a thread of its own: it outlives the test that started it.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    pub(super) gates: Gates,
    target: &'static OnceLock<String>,
}

#[derive(Clone)]
struct Way {
    http: Client,
    gates: Gates,
    target: &'static OnceLock<String>,
}

impl Relay {
    pub(super) fn start() -> anyhow::Result<Self> {
        let gates = Gates::default();
        let target: &'static OnceLock<String> = Box::leak(Box::default());
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ways = gates.clone();
        thread::Builder::new().name("relay".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let way = Way { http: Client::new(), gates: ways, target };
                let router = Router::new().fallback(pass_on).with_state(way);
                let listener = TcpListener::from_std(listener).expect("it is bound");
                axum::serve(listener, router).await
            })
        })?;
        Ok(Self { address, gates, target })
    }

    /// Where it listens.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says where to pass calls on to; only the first time counts.
    pub(super) fn pass_on_to(&self, endpoint: String) {
        self.target.get_or_init(|| endpoint);
    }
}

async fn pass_on(State(way): State<Way>, request: Request) -> Response {
    match way.pass_on(request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

impl Way {
    async fn pass_on(&self, request: Request) -> anyhow::Result<Response> {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, LARGEST).await?;
        let target = self.target.get().context("it is not known yet where to")?;
        let url = format!("{target}{}", head.uri);
        let domain = domain_of(&body);
        let answer = self
            .http
            .request(head.method, url)
            .headers(without_connection(head.headers))
            .body(body)
            .send()
            .await?;
        let (status, headers) = (answer.status(), without_connection(answer.headers().clone()));
        let body = answer.bytes().await?;
        if let Some(domain) = domain {
            self.gates.pass(&domain).await;
        }
        Ok((status, headers, Body::from(body)).into_response())
    }
}

/// The domain of the first recipient, if it is a message.
fn domain_of(body: &Bytes) -> Option<String> {
    let call: Value = serde_json::from_slice(body).ok()?;
    let (_, domain) = call["Destination"]["ToAddresses"][0].as_str()?.rsplit_once('@')?;
    Some(domain.trim_end_matches('>').to_owned())
}

/// What is said of one connection does not hold of another.
fn without_connection(mut headers: HeaderMap) -> HeaderMap {
    for name in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}
