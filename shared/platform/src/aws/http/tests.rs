use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::result::ConnectorError;
use rcgen::generate_simple_self_signed;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers each request on a connection with `answer`; behind one that is not [`OK`], it closes.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) {
    let mut bytes = Vec::new();
    while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
        if bytes.ends_with(b"\r\n\r\n") {
            bytes.clear();
            stream.write_all(answer).await.unwrap();
            if answer != OK {
                return;
            }
        }
    }
}

/// A server in the clear: its address, and how many connections it was asked for.
async fn server(answer: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/x", listener.local_addr().unwrap());
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&opened);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, answer));
        }
    });
    (address, opened)
}

async fn get(adapter: &Adapter, address: &str) -> Result<(u16, Vec<u8>), ConnectorError> {
    let request = http::Request::get(address).body(SdkBody::empty()).unwrap();
    let response = adapter.call(request.try_into().unwrap()).await?;
    let status = response.status().as_u16();
    let body = aws_smithy_types::byte_stream::ByteStream::new(response.into_body());
    Ok((status, body.collect().await.unwrap().to_vec()))
}

#[tokio::test]
async fn a_connection_is_used_again_until_it_has_rested_for_too_long() {
    let (address, opened) = server(OK).await;
    let adapter = Adapter::new(Connector::new(PATIENCE), Duration::from_millis(200));
    for _ in 0..3 {
        assert_eq!(get(&adapter, &address).await.unwrap(), (200, b"hi".to_vec()));
        // It goes back to the pool in a task of its own.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(opened.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    get(&adapter, &address).await.unwrap();
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_failed_is_told_apart() {
    let adapter = Adapter::new(Connector::new(Duration::from_millis(200)), PATIENCE);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = get(&adapter, &format!("http://{closed}/")).await.unwrap_err();
    assert!(refused.is_io(), "{refused:?}");

    // Whoever listens takes the connection, and never says a word of TLS.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let late = get(&adapter, &format!("https://{}/", mute.local_addr().unwrap())).await.unwrap_err();
    assert!(late.is_timeout(), "{late:?}");

    let (cut, _) = server(b"HTTP/1.1 200 OK\r\ncont").await;
    let cut = get(&adapter, &cut).await.unwrap_err();
    assert_eq!(cut.as_other(), Some(aws_smithy_types::retry::ErrorKind::TransientError), "{cut:?}");

    let (nonsense, _) = server(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
    let nonsense = get(&adapter, &nonsense).await.unwrap_err();
    assert!(nonsense.is_other() && nonsense.as_other().is_none(), "{nonsense:?}");
}

#[tokio::test]
async fn over_tls_only_a_server_with_a_trusted_certificate_of_its_name_is_spoken_to() {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der());
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivateKeyDer::Pkcs8(key.into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not trust us hangs up.
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream, OK));
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
    let trusting = TlsConnector::from(Arc::new(config));
    let trusts = Adapter::new(Connector::new(PATIENCE).with_tls(trusting), PATIENCE);
    assert_eq!(get(&trusts, &format!("https://localhost:{port}/")).await.unwrap().0, 200);
    let other_name = get(&trusts, &format!("https://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(other_name.is_io(), "{other_name:?}");
    let by_default = Adapter::new(Connector::new(PATIENCE), PATIENCE);
    let untrusted = get(&by_default, &format!("https://localhost:{port}/")).await.unwrap_err();
    assert!(untrusted.is_io(), "{untrusted:?}");
}
