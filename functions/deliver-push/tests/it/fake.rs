//! What stands in for Google: a token endpoint that checks who asks, and Firebase Cloud Messaging, both of which record what
//! they are asked and answer as they are told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Made for tests.
pub const KEY: &str = include_str!("../../../../shared/outbound/src/service_account/test_key.pem");
pub const EMAIL: &str = "push@my-app.iam.example.com";
pub const PROJECT: &str = "my-app";

/// A message that Firebase Cloud Messaging was asked to send.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub bearer: String,
    pub message: Value,
}

impl Asked {
    pub fn token(&self) -> &str {
        self.message["token"].as_str().unwrap()
    }
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status, a header line more (or none), and a body.
    Answer(u16, &'static str, String),
    /// These bytes, and the end of the connection.
    Bytes(&'static str),
    /// Nothing, for as long as anybody waits.
    Silence,
}

impl Reply {
    pub fn taken() -> Self {
        let name = json!({ "name": format!("projects/{PROJECT}/messages/0:1") });
        Self::Answer(200, "", name.to_string())
    }

    /// An error as Firebase Cloud Messaging writes it.
    pub fn error(status: u16, canonical: &str, code: &str) -> Self {
        let fcm =
            json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code });
        let error = json!({ "code": status, "message": "No.", "status": canonical, "details": [fcm] });
        Self::Answer(status, "", json!({ "error": error }).to_string())
    }

    pub fn unregistered() -> Self {
        Self::error(404, "NOT_FOUND", "UNREGISTERED")
    }
}

type Replies = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// What the server shares with its test.
#[derive(Clone)]
struct Shared {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// How often the token endpoint was asked.
    tokens: Arc<Mutex<usize>>,
    /// What the token endpoint does instead of giving a token.
    no_token: Arc<Mutex<Option<Reply>>>,
    replies: Replies,
}

pub struct Google(Shared);

impl Google {
    pub async fn start(replies: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let shared = Shared {
            url: format!("http://{address}"),
            asked: Arc::default(),
            tokens: Arc::default(),
            no_token: Arc::default(),
            replies: Arc::new(replies),
        };
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        Self(shared)
    }

    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The JSON file of the account that it knows.
    pub fn account(&self) -> Value {
        json!({
            "type": "service_account", "project_id": PROJECT, "private_key_id": "k1", "private_key": KEY,
            "client_email": EMAIL, "token_uri": format!("{}/token", self.url()),
        })
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.0.asked.lock().unwrap().clone()
    }

    pub fn tokens_given(&self) -> usize {
        *self.0.tokens.lock().unwrap()
    }

    /// What the token endpoint does from now on, where it is not to give tokens.
    pub fn gives_no_token(&self, instead: Option<Reply>) {
        *self.0.no_token.lock().unwrap() = instead;
    }
}

async fn serve(mut stream: TcpStream, shared: Shared) {
    let mut bytes = Vec::new();
    while let Some((path, headers, body)) = read(&mut stream, &mut bytes).await {
        let reply = if path == "/token" {
            token(&shared, &headers, &body)
        } else {
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
            assert_eq!(headers["content-type"], "application/json");
            let asked =
                Asked { path, bearer: headers["authorization"].clone(), message: body["message"].clone() };
            shared.asked.lock().unwrap().push(asked.clone());
            (shared.replies)(&asked)
        };
        let text = match reply {
            Reply::Answer(status, header, body) => {
                let length = body.len();
                format!("HTTP/1.1 {status} Said\r\n{header}content-length: {length}\r\n\r\n{body}")
            }
            Reply::Bytes(text) => {
                drop(stream.write_all(text.as_bytes()).await);
                return;
            }
            Reply::Silence => {
                // Until the other side hangs up.
                drop(stream.read(&mut [0]).await);
                return;
            }
        };
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A whole request: path, headers, body. `None` where the other side has hung up.
async fn read(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
) -> Option<(String, HashMap<String, String>, Vec<u8>)> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let mut lines = head.lines();
            let path = lines.next()?.strip_prefix("POST ")?.strip_suffix(" HTTP/1.1")?.to_owned();
            let headers: HashMap<_, _> = lines
                .map(|line| line.split_once(": ").unwrap())
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let whole = end + 4 + headers["content-length"].parse::<usize>().unwrap();
            if bytes.len() >= whole {
                let body = bytes[end + 4..whole].to_vec();
                bytes.drain(..whole);
                return Some((path, headers, body));
            }
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Gives a token to whoever proves to be the account.
fn token(shared: &Shared, headers: &HashMap<String, String>, body: &[u8]) -> Reply {
    let number = {
        let mut tokens = shared.tokens.lock().unwrap();
        *tokens += 1;
        *tokens
    };
    if let Some(instead) = shared.no_token.lock().unwrap().clone() {
        return instead;
    }
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    let body = std::str::from_utf8(body).unwrap();
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let jwt = body.strip_prefix(grant).unwrap();
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key());
    public.verify(signed.as_bytes(), &signature).expect("the account has signed");
    let part =
        |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let (header, claims) =
        signed.split_once('.').map(|(header, claims)| (part(header), part(claims))).unwrap();
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    assert_eq!(claims["iss"], EMAIL);
    assert_eq!(claims["aud"], format!("{}/token", shared.url));
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/firebase.messaging");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    let given =
        json!({ "access_token": format!("access-{number}"), "expires_in": 3599, "token_type": "Bearer" });
    Reply::Answer(200, "content-type: application/json\r\n", given.to_string())
}

fn public_key() -> Vec<u8> {
    let inner: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(inner).unwrap()).unwrap();
    key.public_key().as_ref().to_vec()
}
