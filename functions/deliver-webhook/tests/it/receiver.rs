//! A server that records what it is asked, and answers as it is told: byte by byte, so that it can fail in any place.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The first line.
    pub(crate) line: String,
    /// Headers as they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |(header, _): &&(String, String)| header.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|(_, value)| value.as_str())
    }
}

/// What it does with a connection.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// Reads a request, and says this.
    Say(String),
    /// Closes before it has read anything, which resets the connection.
    ResetUnread,
    /// Reads a request, and closes.
    CloseAfterRequest,
    /// Reads a request, and says nothing.
    Silent,
    /// Reads a request, says this, and goes on with an answer that has no end.
    Endless(String),
}

/// An answer of this status.
pub(crate) fn status(status: u16) -> Behaviour {
    said(status, "")
}

/// An answer of this status, with these headers.
pub(crate) fn said(status: u16, headers: &str) -> Behaviour {
    let body = r#"{"secret": "of the receiver"}"#;
    let length = if status == 204 { 0 } else { body.len() };
    Behaviour::Say(format!(
        "HTTP/1.1 {status} Whatever\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{}",
        &body[..length]
    ))
}

#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Receiver {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            behaviour: Arc::new(Mutex::new(behaviour)),
        };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let receiver = serving.clone();
                tokio::spawn(async move { receiver.serve(stream).await });
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// What it was asked since the last time.
    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// An error is the caller's hanging up.
    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let behaviour = self.behaviour.lock().unwrap().clone();
        if matches!(behaviour, Behaviour::ResetUnread) {
            // Something has come and is never read, so that closing resets.
            stream.readable().await.ok()?;
            return None;
        }
        let asked = read(&mut stream).await?;
        self.asked.lock().unwrap().push(asked);
        match behaviour {
            Behaviour::Say(answer) => stream.write_all(answer.as_bytes()).await.ok()?,
            Behaviour::Endless(answer) => {
                stream.write_all(answer.as_bytes()).await.ok()?;
                loop {
                    stream.write_all(&[b'x'; 4096]).await.ok()?;
                }
            }
            Behaviour::Silent => tokio::time::sleep(Duration::from_secs(3600)).await,
            Behaviour::ResetUnread | Behaviour::CloseAfterRequest => {}
        }
        None
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.split("\r\n");
    let line = lines.next()?.to_owned();
    let header =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    let headers: Vec<_> = lines.filter_map(header).collect();
    let asked = Asked { line, headers, body: Vec::new() };
    let length: usize = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(head + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked { body, ..asked })
}
