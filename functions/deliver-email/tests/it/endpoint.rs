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
    /// The only recipient.
    pub fn to(&self) -> &str {
        self.body["Destination"]["ToAddresses"][0].as_str().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What becomes of a request.
pub enum Reply {
    /// Taken, under this id.
    Taken(String),
    /// An error as SES gives it: status, the code in a header, the message in the body.
    Error(u16, &'static str, String),
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
    pub events: UnboundedReceiver<Event>,
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
            Reply::Taken(id) => {
                answer(&mut connection, "200 OK", "", &serde_json::json!({ "MessageId": id }).to_string());
            }
            Reply::Error(status, code, message) => {
                let header = format!("x-amzn-ErrorType: {code}\r\n");
                let body = serde_json::json!({ "message": message }).to_string();
                answer(&mut connection, &format!("{status} No"), &header, &body);
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

fn answer(connection: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    // The client may have hung up.
    let _ = connection.write_all(format!("{head}{body}").as_bytes());
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
