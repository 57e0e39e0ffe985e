//! Who may call what. Each operation of the OpenAPI document names the role it needs, and that is what is enforced: the
//! document and the guard can't differ. An operation that names none needs an admin.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use campaign::model::Actor;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::keys::{ApiKey, Role};
use store::{Keys, StoreError};

use crate::error::{Kind, Problem};

/// How long a key that was found is taken to be good: a revoked one works no longer than that.
const REMEMBER: Duration = Duration::from_secs(1);
/// How many keys are remembered.
const MOST_REMEMBERED: usize = 1000;

/// Which role each operation needs.
#[derive(Clone)]
pub(crate) struct Guard {
    operations: Arc<HashMap<(Method, String), Access>>,
    keys: KeyRing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Public,
    Role(Role),
}

/// Keys, remembered for a moment.
#[derive(Clone)]
struct KeyRing {
    keys: Keys,
    clock: Arc<dyn platform::Clock>,
    found: Arc<Mutex<Found>>,
}

/// Keys by the hash of their secret, and until when they are taken to be good.
type Found = HashMap<[u8; 32], (Duration, ApiKey)>;

impl Guard {
    /// The guard of these operations, with the roles that the document names.
    pub(crate) fn new(
        operations: Vec<(Method, String)>,
        document: &str,
        keys: Keys,
        clock: Arc<dyn platform::Clock>,
    ) -> Self {
        // Without a document, all of it is an admin's.
        let document: Document = serde_json::from_str(document).unwrap_or_default();
        let with_access = |(method, path): (Method, String)| {
            let documented = document.paths.get(&path);
            let documented = documented.and_then(|methods| methods.get(&method.as_str().to_lowercase()));
            let access = documented.map_or(Access::Role(Role::Admin), Operation::access);
            ((method, path), access)
        };
        let operations = operations.into_iter().map(with_access).collect();
        Self { operations: Arc::new(operations), keys: KeyRing { keys, clock, found: Arc::default() } }
    }

    /// What this operation needs; `None` where the path has no such method.
    fn needs(&self, method: &Method, path: &str) -> Option<Access> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        if let Some(access) = self.operations.get(&(method.clone(), path.to_owned())) {
            return Some(*access);
        }
        // Another method of an operation's path is answered by a fallback. Any other path was added past the operations,
        // and is nobody's but an admin's.
        let is_known = self.operations.keys().any(|(_, known)| known == path);
        (!is_known).then_some(Access::Role(Role::Admin))
    }
}

/// What is read of the document: operations by path and method.
#[derive(Debug, Default, Deserialize)]
struct Document {
    paths: HashMap<String, HashMap<String, Operation>>,
}

#[derive(Debug, Deserialize)]
struct Operation {
    /// The ways to call it: for each the schemes, and the roles with which one may.
    #[serde(default)]
    security: Vec<HashMap<String, Vec<Value>>>,
}

impl Operation {
    fn access(&self) -> Access {
        match self.security.first() {
            Some(schemes) if schemes.is_empty() => Access::Public,
            Some(schemes) => {
                let role = schemes.values().next().and_then(|roles| Role::deserialize(roles.first()?).ok());
                Access::Role(role.unwrap_or(Role::Admin))
            }
            None => Access::Role(Role::Admin),
        }
    }
}

/// Lets a request through to its handler if its key has the role, with the key beside it.
pub(crate) async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    // What matches no operation is answered by the fallbacks, which give away nothing.
    let needed = match path.and_then(|path| guard.needs(request.method(), path)) {
        None | Some(Access::Public) => return next.run(request).await,
        Some(Access::Role(role)) => role,
    };
    let key = match guard.keys.find(request.headers()).await {
        Ok(Some(key)) => key,
        Ok(None) => {
            let detail = "give an API key as Authorization: Bearer <key> or x-api-key: <key>";
            return Problem::new(Kind::Unauthenticated, detail).into_response();
        }
        Err(error) => return Problem::from(error).into_response(),
    };
    let caller = Caller { id: key.id, name: key.name };
    let mut response = if key.role < needed {
        let detail = format!("this takes the role {}, the key has {}", name(needed), name(key.role));
        Problem::new(Kind::Forbidden, detail).into_response()
    } else {
        request.extensions_mut().insert(caller.clone());
        next.run(request).await
    };
    // For the log, which is further out.
    response.extensions_mut().insert(caller);
    response
}

/// The key that a request came with.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) id: String,
    name: String,
}

/// Who asks, for the history. Every operation that changes a campaign takes a key.
impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().ok_or_else(Problem::internal)?;
        Ok(Self(Actor::key(&caller.id, &caller.name)))
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct By(pub(crate) Actor);

/// A role's name.
pub(crate) const fn name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Manager => "manager",
        Role::Publisher => "publisher",
        Role::Admin => "admin",
    }
}

impl KeyRing {
    async fn find(&self, headers: &HeaderMap) -> Result<Option<ApiKey>, StoreError> {
        // Callers of other services may send a credential of theirs in the one header and ours in the other.
        for secret in secrets(headers).into_iter().flatten() {
            if let Some(key) = self.find_secret(secret).await? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    async fn find_secret(&self, secret: &str) -> Result<Option<ApiKey>, StoreError> {
        let hash: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let now = self.clock.monotonic();
        if let Some((until, key)) = self.remembered().get(&hash)
            && now < *until
        {
            return Ok(Some(key.clone()));
        }
        let found = self.keys.find(secret).await?;
        let mut remembered = self.remembered();
        match &found {
            Some(key) => {
                if remembered.len() >= MOST_REMEMBERED {
                    remembered.clear();
                }
                remembered.insert(hash, (now + REMEMBER, key.clone()));
            }
            None => {
                remembered.remove(&hash);
            }
        }
        Ok(found)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What may be a key: the bearer token, and what x-api-key holds.
fn secrets(headers: &HeaderMap) -> [Option<&str>; 2] {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, secret) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    let own = headers.get("x-api-key").and_then(|value| value.to_str().ok());
    [bearer, own].map(|secret| secret.filter(|secret| !secret.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_names_no_role_is_an_admins() {
        let clock: Arc<dyn platform::Clock> = Arc::new(platform::SystemClock);
        let platform = platform::embedded::Embedded::in_memory(Arc::clone(&clock)).platform();
        let document = json!({ "paths": { "/a": {
            "get": { "security": [{ "bearer": ["viewer"] }] },
            "post": {},
            "put": { "security": [{ "bearer": ["no such role"] }] },
            "delete": { "security": [{}] },
        } } });
        let served =
            [Method::GET, Method::POST, Method::PUT, Method::DELETE].map(|method| (method, "/a".to_owned()));
        let mut served = Vec::from(served);
        served.push((Method::GET, "/past-the-document".to_owned()));
        let guard = Guard::new(served, &document.to_string(), Keys::new(platform), clock);
        let admin = Some(Access::Role(Role::Admin));
        assert_eq!(guard.needs(&Method::GET, "/a"), Some(Access::Role(Role::Viewer)));
        assert_eq!(guard.needs(&Method::HEAD, "/a"), Some(Access::Role(Role::Viewer)));
        assert_eq!(guard.needs(&Method::DELETE, "/a"), Some(Access::Public));
        assert_eq!(guard.needs(&Method::POST, "/a"), admin);
        assert_eq!(guard.needs(&Method::PUT, "/a"), admin);
        assert_eq!(guard.needs(&Method::GET, "/past-the-document"), admin);
        assert_eq!(guard.needs(&Method::GET, "/past-the-operations"), admin);
        assert_eq!(guard.needs(&Method::PATCH, "/a"), None);
    }
}
