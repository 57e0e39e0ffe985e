//! An endpoint that records what it is asked and answers what it is told to. It runs on threads of its own, so that a test
//! can stop tokio's clock.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and path.
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What becomes of a request.
pub enum Reply {
    /// Status, further header lines, body.
    Answer(u16, &'static str, String),
    /// These bytes, and the end of the connection.
    Bytes(&'static str),
    /// Nothing, until the client hangs up.
    Silence,
}

/// What a connection saw.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Opened,
    /// A request was read whole.
    Read,
    /// A request is left without an answer, and the client has hung up.
    HungUp,
}

pub struct Endpoint {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    events: UnboundedReceiver<Event>,
}

impl Endpoint {
    pub fn start(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (sender, events) = unbounded_channel();
        let reply = Arc::new(reply);
        let log = Arc::clone(&requests);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (log, reply, events) = (Arc::clone(&log), Arc::clone(&reply), sender.clone());
                let _ = events.send(Event::Opened);
                thread::spawn(move || serve(connection.unwrap(), &log, &*reply, &events));
            }
        });
        Self { url, requests, events }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections were opened since this was last asked.
    pub fn opened(&mut self) -> usize {
        std::iter::from_fn(|| self.events.try_recv().ok()).filter(|event| *event == Event::Opened).count()
    }

    pub async fn wait_for(&mut self, event: Event) {
        while self.events.recv().await.unwrap() != event {}
    }
}

/// An address at which nobody listens.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// An address at which a connection is reset before its request was read whole.
pub fn resetting() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        // One connection is all it takes: there is no second try. Closing with bytes unread resets it.
        let (mut connection, _) = listener.accept().unwrap();
        connection.read_exact(&mut [0; 16]).unwrap();
    });
    url
}

fn serve(
    mut connection: TcpStream,
    log: &Mutex<Vec<Request>>,
    reply: &dyn Fn(&Request) -> Reply,
    events: &UnboundedSender<Event>,
) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        log.lock().unwrap().push(request.clone());
        let _ = events.send(Event::Read);
        match reply(&request) {
            Reply::Answer(status, headers, body) => {
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} Such\r\n{headers}content-length: {length}\r\n\r\n{body}");
                // The client may have hung up.
                let _ = connection.write_all(answer.as_bytes());
            }
            Reply::Bytes(bytes) => {
                let _ = connection.write_all(bytes.as_bytes());
                return;
            }
            Reply::Silence => {
                let _ = reader.read(&mut [0]);
                let _ = events.send(Event::HungUp);
                return;
            }
        }
    }
}

/// The next request, unless the client hangs up before its end.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut lines = lines.into_iter();
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    let mut request = Request { line, headers, body: Value::Null };
    let mut body = vec![0; request.header("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    request.body = serde_json::from_slice(&body).unwrap();
    Some(request)
}
