//! Who calls a campaign: through the real API, over ports whose calls may go wrong.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use campaign::{CallScheduleId, CampaignType, ExecutionId, Status};
use platform::embedded::BlobFolder;
use platform::{Scan, Table};
use serde_json::{Value, json};
use store::calls::CallState;
use store::keys::Role;
use store::ledger::State;
use store::{HashKey, Store, StoreError, tables};
use tempfile::TempDir;
use tower::ServiceExt;

use super::World;

/// How often a request is made again before its caller gives up.
const TRIES: usize = 5;

/// What is remembered of the calls of a world.
#[derive(Default)]
pub(super) struct Caller {
    /// The API, until its process dies.
    api: tokio::sync::Mutex<Option<Api>>,
    key: tokio::sync::OnceCell<String>,
    executions: Mutex<Vec<ExecutionId>>,
    schedules: Mutex<Vec<CallScheduleId>>,
}

struct Api {
    router: Router,
    _files: TempDir,
}

/// An answer of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Value,
}

/// What became of the recipients of a call, as the API tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// How the execution stands.
    pub status: Value,
    /// By action, the reason that stands for what became of each recipient, in the order of the call.
    pub reasons: BTreeMap<u64, Vec<String>>,
    /// By action, the profile of each.
    pub profiles: BTreeMap<u64, Vec<Value>>,
}

impl World {
    /// Makes a request, again and again until it is answered, as callers do. A process that dies of it is replaced.
    ///
    /// # Panics
    /// Where there is never an answer.
    pub async fn request(&self, method: Method, path: &str, body: &Value) -> Answer {
        for _ in 0..TRIES {
            match self.request_once(method.clone(), path, body).await {
                Some(answer) if !answer.status.is_server_error() => return answer,
                _ => {}
            }
        }
        panic!("{method} {path} is not answered");
    }

    /// Makes a request once; `None` where the process died of it.
    pub async fn request_once(&self, method: Method, path: &str, body: &Value) -> Option<Answer> {
        let key = self
            .caller
            .key
            .get_or_init(|| async { self.store.keys.create("caller", Role::Publisher).await.unwrap().0 })
            .await;
        let mut api = self.caller.api.lock().await;
        let router = api.get_or_insert_with(|| self.api()).router.clone();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let Some(response) = self.faults.alive(router.oneshot(request)).await else {
            *api = None;
            return None;
        };
        let (parts, body) = response.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Some(Answer { status: parts.status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }

    fn api(&self) -> Api {
        let files = tempfile::tempdir().unwrap();
        let store = Store::new(self.platform(), HashKey([7; 32]));
        let blob = BlobFolder::open(files.path()).unwrap();
        Api { router: api::router(api::Context::new(store, std::sync::Arc::new(blob))), _files: files }
    }

    /// The body of a call to these recipients.
    pub fn call_body(&self, request: &str, recipients: &[Value]) -> Value {
        json!({ "requestId": request, "campaignId": self.campaign, "recipients": recipients })
    }

    /// Calls the campaign for these recipients until that is taken; its execution.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn call(&self, request: &str, recipients: &[Value]) -> ExecutionId {
        let body = self.call_body(request, recipients);
        let answer = self.request(Method::POST, "/im/executions/unitary", &body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        let id = answer.body["executionId"].as_str().unwrap().parse().unwrap();
        self.wait_for(id);
        id
    }

    /// The world is not at its end before this execution is.
    pub fn wait_for(&self, execution: ExecutionId) {
        self.caller.executions.lock().unwrap().push(execution);
    }

    /// The world is not at its end before this call was made or taken back.
    pub fn wait_for_schedule(&self, schedule: CallScheduleId) {
        self.caller.schedules.lock().unwrap().push(schedule);
    }

    /// Whether somebody is called, or will be.
    pub(super) async fn is_called(&self) -> bool {
        let executions = self.caller.executions.lock().unwrap().clone();
        for id in executions {
            let head = self.store.ledger.head(id).await.unwrap();
            if head.is_some_and(|head| head.state == State::Running) {
                return true;
            }
        }
        let schedules = self.caller.schedules.lock().unwrap().clone();
        for id in schedules {
            match self.store.call_schedule(id).await {
                Ok(schedule) if schedule.state == CallState::Scheduled => return true,
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        false
    }

    /// What the API says of the execution of a call.
    pub async fn heard(&self, execution: ExecutionId) -> Heard {
        let path = format!("/im/executions/audience/{execution}");
        let status = self.request(Method::GET, &path, &Value::Null).await.body;
        let (mut reasons, mut profiles) = (BTreeMap::new(), BTreeMap::new());
        let mut cursor = String::new();
        loop {
            // Small pages, so that walking them is tried, too.
            let path = format!("/executions/{execution}/recipients?limit=3{cursor}");
            let page = self.request(Method::GET, &path, &Value::Null).await.body;
            for item in page["items"].as_array().unwrap() {
                let action = item["action"].as_u64().unwrap();
                let of_action: &mut Vec<String> = reasons.entry(action).or_default();
                assert_eq!(item["index"], of_action.len(), "in the order of the call: {page}");
                of_action.push(item["reason"].as_str().unwrap().to_owned());
                let of_action: &mut Vec<Value> = profiles.entry(action).or_default();
                of_action.push(item["profile_id"].clone());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Heard { status, reasons, profiles },
            }
        }
    }

    /// Whether any table holds this text in any attribute.
    pub async fn holds(&self, text: &str) -> bool {
        let holds = |value: &platform::Value| match value {
            platform::Value::S(value) => value.contains(text),
            platform::Value::N(_) => false,
            platform::Value::B(value) => memchr::memmem::find(value, text.as_bytes()).is_some(),
        };
        for table in [tables::CONTROL, tables::PROFILES, tables::AUDIENCE, tables::LEDGER] {
            let mut scan = Scan { bucket: 0, of: 1, after: None, limit: 1000 };
            loop {
                let page = self.engine.scan(table, scan.clone()).await.unwrap();
                if page.items.iter().any(|item| item.attributes.values().any(holds)) {
                    return true;
                }
                match page.next {
                    Some(next) => scan.after = Some(next),
                    None => break,
                }
            }
        }
        false
    }

    /// Counts calls to ports anew from here, and spoils this one or none.
    pub fn begin_faults(&self, plan: Option<(usize, super::super::Fault)>) {
        self.faults.begin(plan);
    }

    /// Activates a campaign that calls start, and lets it go live.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn go_live(&self) {
        self.activate().await;
        self.run().await;
        let campaign = self.store.campaigns.get(self.campaign).await.unwrap();
        assert_eq!((campaign.kind, campaign.status), (CampaignType::ApiTriggered, Status::Live));
    }
}
