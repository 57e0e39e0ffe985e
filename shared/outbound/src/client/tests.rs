use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::header::LOCATION;
use rcgen::generate_simple_self_signed;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::address::Kind;
use crate::connect::Resolver;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// What a server does with each request.
#[derive(Clone)]
enum Does {
    /// Answers, and waits for the next.
    Answers(String),
    /// Answers so far and closes.
    Breaks(&'static str),
    /// Answers so far and keeps silent.
    Stalls(&'static str),
}

/// Serves one connection; returns when it is closed.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, does: Does, seen: Arc<Mutex<Vec<u8>>>) {
    let mut bytes = Vec::new();
    while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
        // The tests' one body ends like this.
        if !bytes.ends_with(b"}") {
            continue;
        }
        seen.lock().unwrap().append(&mut bytes);
        match &does {
            Does::Answers(answer) => {
                // A client that has read enough hangs up.
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            Does::Breaks(answer) => {
                stream.write_all(answer.as_bytes()).await.unwrap();
                return;
            }
            Does::Stalls(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
        }
    }
}

struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counted, kept) = (Arc::clone(&connections), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, does.clone(), Arc::clone(&kept)));
            }
        });
        Self { address, connections, seen }
    }

    fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn seen(&self) -> String {
        String::from_utf8(self.seen.lock().unwrap().clone()).unwrap()
    }
}

fn allowing() -> Policy {
    Policy::allowing("http://127.0.0.1").unwrap()
}

fn limits() -> Limits {
    Limits { answer: 1000, ..Limits::default() }
}

fn post(url: &str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(b"{}")).unwrap()
}

async fn call(server: &Server) -> Result<Response<Bytes>, Error> {
    Client::new(allowing(), limits()).send(post(&server.url())).await
}

/// Names lead where a test says, in turn.
fn leads(answers: Vec<Vec<SocketAddr>>) -> Resolver {
    let asked = AtomicUsize::new(0);
    Arc::new(move |_, _| {
        let turn = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let found = answers[turn].clone();
        Box::pin(async move { Ok(found) })
    })
}

#[tokio::test]
async fn an_answer_is_read_whole_and_the_connection_used_again() {
    let server = Server::start(Does::Answers(OK.to_owned())).await;
    let client = Client::new(allowing(), limits());
    for _ in 0..3 {
        let answer = client.send(post(&server.url())).await.unwrap();
        assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::OK, &b"hi"[..]));
        // It goes back to the pool in a task of its own.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.connections(), 1);
    let seen = server.seen().to_ascii_lowercase();
    assert!(seen.starts_with("post /hook?a=b http/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: {}\r\n", server.address)), "{seen}");
    assert!(seen.contains("content-length: 2\r\n"), "{seen}");
}

#[tokio::test]
async fn a_client_whose_connections_may_not_rest_keeps_none() {
    let server = Server::start(Does::Answers(OK.to_owned())).await;
    let client = Client::new(allowing(), Limits { rest: Duration::ZERO, ..limits() });
    for connections in 1..4 {
        client.send(post(&server.url())).await.unwrap();
        // Were it kept, it would go back to the pool in a task of its own.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(server.connections(), connections);
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let other = Server::start(Does::Answers(OK.to_owned())).await;
    let moved = format!("HTTP/1.1 307 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", other.url());
    let server = Server::start(Does::Answers(moved)).await;
    let answer = call(&server).await.unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.headers()[LOCATION], other.url());
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn of_an_answer_that_is_too_long_no_more_is_read_than_the_limit() {
    for large in [
        format!("HTTP/1.1 201 OK\r\ncontent-length: 2000000\r\n\r\n{}", "x".repeat(2_000_000)),
        format!(
            "HTTP/1.1 201 OK\r\ntransfer-encoding: chunked\r\n\r\n{}",
            "3e8\r\n".to_owned() + &"x".repeat(1000) + "\r\n1\r\nx\r\n0\r\n\r\n"
        ),
    ] {
        let server = Server::start(Does::Answers(large)).await;
        let client = Client::new(allowing(), limits());
        for calls in 1..=2 {
            let error = client.send(post(&server.url())).await.unwrap_err();
            assert!(matches!(error, Error::TooLarge { limit: 1000, .. }), "{error:?}");
            assert_eq!(error.status(), Some(StatusCode::CREATED));
            assert!(!error.is_surely_not_taken());
            // The rest of the answer is not waited for: the next call has a connection of its own.
            assert_eq!(server.connections(), calls);
        }
    }
    let just_fits = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", "x".repeat(1000));
    assert_eq!(call(&Server::start(Does::Answers(just_fits)).await).await.unwrap().body().len(), 1000);
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let head = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(1 << 20));
    let error = call(&Server::start(Does::Answers(head)).await).await.unwrap_err();
    assert!(matches!(error, Error::Broken { status: None, .. }), "{error:?}");
}

#[tokio::test]
async fn what_breaks_after_the_request_may_have_been_taken() {
    let error = call(&Server::start(Does::Breaks("")).await).await.unwrap_err();
    assert!(matches!(error, Error::Broken { status: None, .. }), "{error:?}");
    assert!(!error.is_surely_not_taken());
    let nonsense = call(&Server::start(Does::Breaks("SSH-2.0-OpenSSH_9.6\r\n\r\n")).await).await.unwrap_err();
    assert!(matches!(nonsense, Error::Broken { status: None, .. }), "{nonsense:?}");
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    let half = call(&Server::start(Does::Breaks(half)).await).await.unwrap_err();
    assert!(matches!(half, Error::Broken { status: Some(StatusCode::OK), .. }), "{half:?}");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_may_be_of_a_request_that_was_taken() {
    let hasty = Limits { call: Duration::from_millis(300), ..limits() };
    for (does, expected) in [
        (Does::Stalls(""), None),
        (Does::Stalls("HTTP/1.1 202 OK\r\ncontent-length: 9\r\n\r\nhalf"), Some(StatusCode::ACCEPTED)),
    ] {
        let server = Server::start(does).await;
        let error = Client::new(allowing(), hasty).send(post(&server.url())).await.unwrap_err();
        assert!(matches!(error, Error::Late { .. }), "{error:?}");
        assert!(!error.is_surely_not_taken());
        assert_eq!(error.status(), expected);
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_taken() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = Client::new(allowing(), limits());
    let refused = client.send(post(&format!("http://{closed}/"))).await.unwrap_err();
    assert!(matches!(refused, Error::NotConnected(_)), "{refused:?}");
    assert!(refused.is_surely_not_taken());

    // Whoever listens takes the connection, and never says a word of TLS: by whichever time is up first.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/", mute.local_addr().unwrap());
    for (connect, call) in [(200, 10_000), (10_000, 200)] {
        let hasty =
            Limits { connect: Duration::from_millis(connect), call: Duration::from_millis(call), ..limits() };
        let late = Client::new(allowing(), hasty).send(post(&address)).await.unwrap_err();
        assert!(matches!(late, Error::NotConnected(_)), "{late:?}");
    }
    let nowhere = Connector::new(allowing(), limits().connect).with_resolver(leads(vec![vec![]]));
    let lost = Client::over(nowhere, allowing(), limits()).send(post("https://nowhere.example/")).await;
    assert!(matches!(lost, Err(Error::NotConnected(_))), "{lost:?}");
}

#[tokio::test]
async fn nobody_is_connected_to_whom_the_policy_does_not_admit() {
    let server = Server::start(Does::Answers(OK.to_owned())).await;
    let port = server.address.port();
    let client = Client::new(Policy::public_only(), limits());
    for (address, refusal) in [
        (format!("https://127.0.0.1:{port}/"), Refusal::NotPublic(Kind::Loopback)),
        (format!("https://0x7f000001:{port}/"), Refusal::NotPublic(Kind::Loopback)),
        (format!("https://017700000001:{port}/"), Refusal::NotPublic(Kind::Loopback)),
        (format!("https://2130706433:{port}/"), Refusal::NotPublic(Kind::Loopback)),
        (format!("https://[::ffff:127.0.0.1]:{port}/"), Refusal::NotPublic(Kind::Loopback)),
        (format!("https://localhost:{port}/"), Refusal::NotPublic(Kind::Loopback)),
        ("https://169.254.169.254/latest/meta-data".to_owned(), Refusal::NotPublic(Kind::LinkLocal)),
        ("http://8.8.8.8/".to_owned(), Refusal::Scheme),
        (format!("https://user@127.0.0.1:{port}/"), Refusal::Credentials),
    ] {
        let error = client.send(post(&address)).await.unwrap_err();
        assert!(matches!(error, Error::Refused(why) if why == refusal), "{address}: {error:?}");
        assert!(error.is_surely_not_taken());
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_is_checked_where_it_leads_when_it_is_connected_to() {
    let server = Server::start(Does::Answers(OK.to_owned())).await;
    let public: SocketAddr = "8.8.8.8:443".parse().unwrap();
    let send = async |answers| {
        let connector = Connector::new(Policy::public_only(), limits().connect).with_resolver(leads(answers));
        Client::over(connector, Policy::public_only(), limits()).send(post("https://rebind.example/")).await
    };
    for answers in [vec![vec![server.address]], vec![vec![public, server.address]]] {
        let error = send(answers).await.unwrap_err();
        assert!(matches!(error, Error::Refused(Refusal::NotPublic(Kind::Loopback))), "{error:?}");
    }
    assert_eq!(server.connections(), 0);

    // A name is asked for once a connection: where it leads the second time can't matter. Here the first answer is allowed,
    // and any other would be refused.
    let away: SocketAddr = "10.0.0.1:1".parse().unwrap();
    let resolver = leads(vec![vec![server.address], vec![away]]);
    let connector = Connector::new(allowing(), limits().connect).with_resolver(resolver);
    let client = Client::over(connector, allowing(), limits());
    let address = format!("http://rebind.example:{}/", server.address.port());
    assert_eq!(client.send(post(&address)).await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn of_several_addresses_the_first_that_answers_is_used() {
    let server = Server::start(Does::Answers(OK.to_owned())).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let resolver = leads(vec![vec![closed, server.address]]);
    let connector = Connector::new(allowing(), limits().connect).with_resolver(resolver);
    let client = Client::over(connector, allowing(), limits());
    assert_eq!(client.send(post("http://two.example/")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn over_tls_only_a_server_with_a_trusted_certificate_of_its_name_is_spoken_to() {
    let made = generate_simple_self_signed(["hooks.example".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivateKeyDer::Pkcs8(key.into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not trust us hangs up.
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream, Does::Answers(OK.to_owned()), Arc::clone(&kept)));
            }
        }
    });
    let mut trusted = RootCertStore::empty();
    trusted.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let by_default = Connector::new(allowing(), limits().connect).with_resolver(leads(vec![vec![address]]));
    let trusting = by_default.clone().with_tls(TlsConnector::from(Arc::new(config)));
    let send = async |connector: &Connector, host: &str| {
        let url = format!("https://{host}:{}/", address.port());
        Client::over(connector.clone(), allowing(), limits()).send(post(&url)).await
    };
    assert_eq!(send(&trusting, "hooks.example").await.unwrap().status(), StatusCode::OK);
    assert_eq!(send(&trusting, "hooks.example.").await.unwrap().status(), StatusCode::OK);
    let before = seen.lock().unwrap().len();
    for (connector, host) in
        [(&trusting, "other.example"), (&by_default, "hooks.example"), (&trusting, "127.0.0.1")]
    {
        let error = send(connector, host).await.unwrap_err();
        assert!(matches!(error, Error::NotConnected(_)), "{host}: {error:?}");
    }
    assert_eq!(seen.lock().unwrap().len(), before, "no request was sent");
}
