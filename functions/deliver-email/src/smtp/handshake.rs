//! From nothing to a connection that takes messages.

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::{net::TcpStream, time::Instant};

use super::{
    classify::{self, Step},
    config::{Credentials, SmtpConfig, Tls},
    connection::{Connection, ReadError},
    reply::{Extensions, Reply},
    stream::{Protection, Stream},
};
use crate::{Answer, NotAccepted};

/// Why there is no connection, with the answer for every message that was waiting.
pub(super) enum NotConnected {
    /// The server refuses these credentials.
    LoginRefused(Answer),
    /// Anything else.
    Otherwise(Answer),
}

impl NotConnected {
    pub(super) fn into_answer(self) -> Answer {
        match self {
            Self::LoginRefused(answer) | Self::Otherwise(answer) => answer,
        }
    }
}

impl From<Answer> for NotConnected {
    fn from(answer: Answer) -> Self {
        Self::Otherwise(answer)
    }
}

/// Connects, greets, and logs in with `login`, if with anything.
pub(super) async fn connect(
    config: &SmtpConfig,
    login: Option<&Credentials>,
    protection: Option<&Protection>,
    deadline: Instant,
) -> Result<Connection, NotConnected> {
    match tokio::time::timeout_at(deadline, establish(config, login, protection, deadline)).await {
        Ok(result) => result,
        Err(_) => Err(unreachable("no connection in time").into()),
    }
}

async fn establish(
    config: &SmtpConfig,
    login: Option<&Credentials>,
    protection: Option<&Protection>,
    deadline: Instant,
) -> Result<Connection, NotConnected> {
    let tcp = TcpStream::connect((config.host.as_str(), config.port))
        .await
        .map_err(|error| unreachable(&format!("can't connect: {error}")))?;
    // Each write is a whole step of the protocol: waiting to join it with the next would only cost time.
    tcp.set_nodelay(true).map_err(|error| unreachable(&format!("can't connect: {error}")))?;

    let mut connection = match (config.tls, protection) {
        (Tls::Implicit, Some(protection)) => Connection::new(protect(protection, tcp).await?),
        _ => Connection::new(Stream::Plain(tcp)),
    };
    let greeting = connection.read_reply(deadline).await.map_err(no_reply)?;
    expect(&connection, greeting, Step::Connect, 2)?;
    hello(&mut connection, config, deadline).await?;
    if let (Tls::StartTls, Some(protection)) = (config.tls, protection) {
        connection = start_tls(connection, protection, deadline).await?;
        hello(&mut connection, config, deadline).await?;
    }
    if let Some(credentials) = login {
        log_in(&mut connection, credentials, deadline).await.map_err(|answer| match answer {
            Answer::NotAccepted { cause: NotAccepted::Misconfigured, .. } => {
                NotConnected::LoginRefused(answer)
            }
            answer => NotConnected::Otherwise(answer),
        })?;
    }
    Ok(connection)
}

/// EHLO, or HELO where the server is that old.
async fn hello(connection: &mut Connection, config: &SmtpConfig, deadline: Instant) -> Result<(), Answer> {
    let name = &config.hello_name;
    let reply =
        connection.command(format!("EHLO {name}\r\n").as_bytes(), deadline).await.map_err(no_reply)?;
    connection.extensions = if reply.is_success() {
        Extensions::read(connection.inbox.lines(&reply))
    } else if matches!(reply.code, 500..=504) {
        let reply =
            connection.command(format!("HELO {name}\r\n").as_bytes(), deadline).await.map_err(no_reply)?;
        expect(connection, reply, Step::Connect, 2)?;
        Extensions::default()
    } else {
        return expect(connection, reply, Step::Connect, 2);
    };
    Ok(())
}

async fn start_tls(
    mut connection: Connection,
    protection: &Protection,
    deadline: Instant,
) -> Result<Connection, Answer> {
    if !connection.extensions.starttls {
        return Err(unreachable("the server does not offer STARTTLS"));
    }
    let reply = connection.command(b"STARTTLS\r\n", deadline).await.map_err(no_reply)?;
    expect(&connection, reply, Step::Connect, 2)?;
    // Replies that came before TLS may be anyone's; none may pass for one given under it.
    if !connection.inbox.is_empty() {
        return Err(unreachable("the server spoke out of turn before TLS"));
    }
    match connection.stream {
        Stream::Plain(tcp) => Ok(Connection::new(protect(protection, tcp).await?)),
        Stream::Tls(_) => Err(unreachable("TLS was there already")),
    }
}

async fn protect(protection: &Protection, tcp: TcpStream) -> Result<Stream, Answer> {
    protection.protect(tcp).await.map_err(|error| unreachable(&format!("no TLS: {error}")))
}

/// AUTH PLAIN (RFC 4616), or LOGIN where the server has only that.
async fn log_in(
    connection: &mut Connection,
    credentials: &Credentials,
    deadline: Instant,
) -> Result<(), Answer> {
    let Credentials { username, password } = credentials;
    if connection.extensions.auth_plain {
        let proof = BASE64_STANDARD.encode(format!("\0{username}\0{password}"));
        let reply = connection
            .command(format!("AUTH PLAIN {proof}\r\n").as_bytes(), deadline)
            .await
            .map_err(no_reply)?;
        return expect(connection, reply, Step::Auth, 2);
    }
    if connection.extensions.auth_login {
        let reply = connection.command(b"AUTH LOGIN\r\n", deadline).await.map_err(no_reply)?;
        expect(connection, reply, Step::Auth, 3)?;
        for (secret, class) in [(username, 3), (password, 2)] {
            let line = format!("{}\r\n", BASE64_STANDARD.encode(secret));
            let reply = connection.command(line.as_bytes(), deadline).await.map_err(no_reply)?;
            expect(connection, reply, Step::Auth, class)?;
        }
        return Ok(());
    }
    Err(Answer::not_accepted(NotAccepted::Misconfigured, "the server offers no login we know (PLAIN, LOGIN)"))
}

/// `Ok` if the reply is of `class` (2 for 2yz).
fn expect(connection: &Connection, reply: Reply, step: Step, class: u16) -> Result<(), Answer> {
    if reply.code / 100 == class {
        Ok(())
    } else if reply.is_refusal() {
        Err(classify::refusal(step, reply.code, &connection.inbox.words(&reply), ""))
    } else {
        Err(no_reply(ReadError::Nonsense))
    }
}

fn no_reply(error: ReadError) -> Answer {
    unreachable(error.describe())
}

fn unreachable(detail: &str) -> Answer {
    Answer::not_accepted(NotAccepted::Unreachable, detail)
}
