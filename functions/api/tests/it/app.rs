//! A typed test application: verbs over the router.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{Context, router};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use jiff::Timestamp;
use platform::embedded::{BlobFolder, Embedded};
use platform::{Clock, QueueName, Source};
use serde_json::Value;
use store::keys::Role;
use store::{HashKey, Store};
use tempfile::TempDir;
use tower::ServiceExt;

/// A clock that stands still until it is moved; whoever sleeps on it moves it.
#[derive(Debug)]
pub struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(by).unwrap();
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.now().duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

/// The API with one key of each role.
pub struct TestApp {
    pub router: Router,
    pub store: Store,
    pub engine: Embedded,
    pub clock: Arc<TestClock>,
    pub blob: Arc<BlobFolder>,
    _files: TempDir,
    viewer: String,
    manager: String,
    publisher: String,
    admin: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The body, where the status is this.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem, where the status and the code are these.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert!(problem["type"].as_str().unwrap().ends_with(&format!("-{status}")), "{problem}");
        problem
    }

    #[track_caller]
    pub fn etag(&self) -> String {
        self.headers["etag"].to_str().unwrap().to_owned()
    }
}

/// A request on its way.
pub struct Call<'a> {
    app: &'a TestApp,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Body,
}

impl Call<'_> {
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        let call = self.header("content-type", "application/json");
        Self { body: Body::from(body.to_string()), ..call }
    }

    pub fn csv(self, body: impl Into<Body>) -> Self {
        let call = self.header("content-type", "text/csv");
        Self { body: body.into(), ..call }
    }

    pub fn body(self, body: impl Into<Body>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub async fn send(self) -> Answer {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(self.body).unwrap();
        let response = self.app.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl TestApp {
    pub async fn new() -> Self {
        Self::over(|_, clock| Embedded::in_memory(clock)).await
    }

    /// The same over a database in files, for which a call has to wait: in memory none ever does.
    pub async fn on_disk() -> Self {
        Self::over(|folder, clock| Embedded::open(&folder.join("data"), clock).unwrap()).await
    }

    async fn over(engine: impl FnOnce(&Path, Arc<TestClock>) -> Embedded) -> Self {
        let clock = Arc::new(TestClock(Mutex::new("2026-11-25T09:00:00Z".parse().unwrap())));
        let files = tempfile::tempdir().unwrap();
        let engine = engine(files.path(), clock.clone());
        let store = Store::new(engine.platform(), HashKey([7; 32]));
        let blob = Arc::new(BlobFolder::open(&files.path().join("files")).unwrap());
        let key = async |role| store.keys.create("test", role).await.unwrap().0;
        Self {
            viewer: key(Role::Viewer).await,
            manager: key(Role::Manager).await,
            publisher: key(Role::Publisher).await,
            admin: key(Role::Admin).await,
            router: router(Context::new(store.clone(), blob.clone())),
            blob,
            _files: files,
            store,
            engine,
            clock,
        }
    }

    pub fn key(&self, role: Role) -> &str {
        match role {
            Role::Viewer => &self.viewer,
            Role::Manager => &self.manager,
            Role::Publisher => &self.publisher,
            Role::Admin => &self.admin,
        }
    }

    /// A request without a key.
    pub fn anonymous(&self, method: Method, path: &str) -> Call<'_> {
        Call { app: self, method, path: path.to_owned(), headers: Vec::new(), body: Body::empty() }
    }

    /// A request with the key of a role.
    pub fn as_role(&self, role: Role, method: Method, path: &str) -> Call<'_> {
        self.anonymous(method, path).header("authorization", format!("Bearer {}", self.key(role)))
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        self.as_role(Role::Viewer, Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Call<'_> {
        self.as_role(Role::Publisher, Method::POST, path)
    }

    pub fn put(&self, path: &str) -> Call<'_> {
        self.as_role(Role::Manager, Method::PUT, path)
    }

    pub fn patch(&self, path: &str) -> Call<'_> {
        self.as_role(Role::Manager, Method::PATCH, path)
    }

    pub fn delete(&self, path: &str) -> Call<'_> {
        self.as_role(Role::Manager, Method::DELETE, path)
    }

    /// Posts and gives the id of what was made.
    pub async fn create(&self, path: &str, body: &Value) -> String {
        let made = self.post(path).json(body).send().await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Takes what lies in a queue.
    pub async fn take(&self, queue: QueueName) -> Vec<Value> {
        let received = self.engine.receive(queue, 10, Duration::from_secs(30), 5).await.unwrap();
        received.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
    }
}
