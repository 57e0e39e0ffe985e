//! One connection's conversation.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use memchr::{memchr, memmem};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    Shared,
    options::{Keep, SinkTls},
};

/// The longest command, login lines included.
const MAX_LINE_BYTES: usize = 12 * 1024;

/// The connection is over, for whatever reason; it is dropped.
#[derive(Debug)]
pub(super) struct Ended;

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Between the two, during the handshake.
    Gone,
}

pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    wire: Wire,
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Replies that are not sent yet.
    pub(super) out: Vec<u8>,
    sender: Option<String>,
    recipients: Vec<String>,
    is_logged_in: bool,
    messages: u64,
}

/// Talks with a client until either has enough.
pub(super) async fn serve(tcp: TcpStream, shared: Arc<Shared>) {
    // Without it the sink would measure the kernel's patience.
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let mut session = Session {
        shared,
        wire: Wire::Plain(tcp),
        input: vec![0; 32 * 1024],
        start: 0,
        end: 0,
        out: Vec::with_capacity(1024),
        sender: None,
        recipients: Vec::new(),
        is_logged_in: false,
        messages: 0,
    };
    // How it ended is in the counts and the record.
    let _ = session.talk().await;
}

impl Session {
    async fn talk(&mut self) -> Result<(), Ended> {
        self.step().await?;
        if self.shared.options.tls == SinkTls::Implicit {
            self.protect().await?;
        }
        self.reply("220 sink ready");
        loop {
            let line = self.line().await?;
            self.step().await?;
            self.command(line.0, line.1).await?;
            if !self.shared.options.pipelining && self.start < self.end {
                self.violation();
            }
        }
    }

    /// Carries out the command that stands at `from..to` of the input.
    async fn command(&mut self, from: usize, to: usize) -> Result<(), Ended> {
        let line = &self.input[from..to];
        let verb_end = line.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(line.len());
        let verb = &line[..verb_end];
        let needs_login = self.shared.options.login.is_some() && !self.is_logged_in;
        if verb.eq_ignore_ascii_case(b"MAIL") {
            if needs_login {
                self.reply("530 5.7.0 Authentication required");
            } else if self.sender.is_some() {
                self.violation();
                self.reply("503 5.5.1 nested MAIL command");
            } else if let Some(refusal) = self.shared.options.refuse_sender.clone() {
                self.refuse(&refusal);
            } else {
                self.sender = Some(address(line));
                self.reply("250 2.1.0 Ok");
            }
        } else if verb.eq_ignore_ascii_case(b"RCPT") {
            let to = address(line);
            self.recipient(to);
        } else if verb.eq_ignore_ascii_case(b"DATA") {
            if self.sender.is_some()
                && (!self.recipients.is_empty() || self.shared.options.data_without_recipient)
            {
                self.reply("354 go ahead");
                self.message().await?;
            } else {
                self.reply("503 5.5.1 need RCPT command");
            }
        } else if verb.eq_ignore_ascii_case(b"RSET") {
            self.forget();
            self.reply("250 2.0.0 Ok");
        } else if verb.eq_ignore_ascii_case(b"NOOP") {
            self.reply("250 2.0.0 Ok");
        } else if verb.eq_ignore_ascii_case(b"EHLO") {
            self.forget();
            self.hello();
        } else if verb.eq_ignore_ascii_case(b"HELO") {
            self.forget();
            self.reply("250 sink");
        } else if verb.eq_ignore_ascii_case(b"AUTH") {
            let line = String::from_utf8_lossy(line).into_owned();
            self.log_in(&line).await?;
        } else if verb.eq_ignore_ascii_case(b"STARTTLS") && self.offers_starttls() {
            self.reply("220 2.0.0 go ahead");
            if let Some(injected) = self.shared.options.inject_after_starttls.clone() {
                self.reply(&injected);
            }
            self.flush().await?;
            self.protect().await?;
        } else if verb.eq_ignore_ascii_case(b"QUIT") {
            self.reply("221 2.0.0 bye");
            self.flush().await?;
            return Err(Ended);
        } else {
            self.reply("500 5.5.2 unknown command");
        }
        Ok(())
    }

    fn hello(&mut self) {
        let options = &self.shared.options;
        let mut lines = vec!["sink".to_owned(), "8BITMIME".to_owned(), "ENHANCEDSTATUSCODES".to_owned()];
        if options.pipelining {
            lines.push("PIPELINING".to_owned());
        }
        if self.offers_starttls() {
            lines.push("STARTTLS".to_owned());
        } else if options.login.is_some() {
            lines.push(format!("AUTH {}", options.mechanisms));
        }
        lines.extend(options.extensions.iter().cloned());
        for (index, line) in lines.iter().enumerate() {
            let mark = if index + 1 == lines.len() { ' ' } else { '-' };
            self.reply(&format!("250{mark}{line}"));
        }
    }

    fn offers_starttls(&self) -> bool {
        self.shared.options.tls == SinkTls::StartTls && matches!(self.wire, Wire::Plain(_))
    }

    async fn log_in(&mut self, line: &str) -> Result<(), Ended> {
        let given = if line.to_ascii_uppercase().starts_with("AUTH PLAIN ") {
            let text = decode(line["AUTH PLAIN ".len()..].trim());
            let mut parts = text.splitn(3, '\0').skip(1).map(str::to_owned);
            parts.next().zip(parts.next())
        } else if line.trim().eq_ignore_ascii_case("AUTH LOGIN") {
            self.reply("334 VXNlcm5hbWU6");
            let (from, to) = self.line().await?;
            let username = decode(&String::from_utf8_lossy(&self.input[from..to]));
            self.step().await?;
            self.reply("334 UGFzc3dvcmQ6");
            let (from, to) = self.line().await?;
            let password = decode(&String::from_utf8_lossy(&self.input[from..to]));
            self.step().await?;
            Some((username, password))
        } else {
            None
        };
        if given.is_some() && given == self.shared.options.login {
            self.is_logged_in = true;
            self.reply("235 2.7.0 welcome");
        } else {
            self.reply("535 5.7.8 authentication failed");
        }
        Ok(())
    }

    fn recipient(&mut self, to: String) {
        let options = &self.shared.options;
        if self.sender.is_none() {
            self.reply("503 5.5.1 need MAIL command");
        } else if let Some(refusal) = options.refuse_recipient.get(&to).cloned() {
            self.refuse(&refusal);
        } else if options.greylist && self.shared.record.is_new(&to) {
            self.refuse("451 4.7.1 Greylisted, please try again in 60 seconds");
        } else {
            self.recipients.push(to);
            self.reply("250 2.1.5 Ok");
        }
    }

    /// Receives a message and answers it.
    async fn message(&mut self) -> Result<(), Ended> {
        let mut searched = self.start;
        let length = loop {
            let body = &self.input[self.start..self.end];
            if body.starts_with(b".\r\n") {
                break 0;
            }
            if let Some(found) = memmem::find(&self.input[searched..self.end], b"\r\n.\r\n") {
                break searched + found + 2 - self.start;
            }
            if self.end > self.start {
                self.step().await?;
            }
            let known = self.end - self.start;
            self.receive().await?;
            // The input may have moved to the front.
            searched = self.start + known.saturating_sub(4);
        };
        let body = self.start..self.start + length;
        self.start += length + 3;
        self.step().await?;
        let wire = &self.input[body.clone()];
        if self.shared.options.keep == Keep::Messages && has_stray_line_end(wire) {
            self.violation();
        }
        if self.recipients.is_empty() {
            self.forget();
            self.reply("554 5.5.1 no valid recipients");
            return Ok(());
        }
        let number = self.shared.counts.offered.fetch_add(1, Ordering::Relaxed) + 1;
        let options = &self.shared.options;
        let refusal = self.recipients.first().and_then(|to| options.refuse_message.get(to)).cloned();
        if let Some(refusal) = refusal {
            self.refuse(&refusal);
        } else if options.per_second.is_some_and(|limit| !self.shared.record.is_within(limit)) {
            self.shared.counts.throttled.fetch_add(1, Ordering::Relaxed);
            self.reply("454 4.7.0 Throttling failure: Maximum sending rate exceeded.");
        } else {
            let sender = self.sender.as_deref().unwrap_or_default();
            self.shared.record.take(sender, &self.recipients, &self.input[body.clone()]);
            self.shared.counts.accepted.fetch_add(1, Ordering::Relaxed);
            self.shared.counts.bytes.fetch_add(length as u64, Ordering::Relaxed);
            self.messages += 1;
            // A server that says 421 now must not deliver the message (RFC 5321, 4.2.5), but it is recorded already.
            if !self.says_421() {
                self.step().await?;
            }
            if self.shared.options.drop_before_reply == Some(number) {
                return Err(Ended);
            }
            self.reply(&format!("250 2.0.0 Ok: queued as {number}"));
        }
        self.forget();
        self.wait(number).await;
        self.step().await?;
        if self.shared.options.close_after.is_some_and(|most| self.messages >= most) {
            self.flush().await?;
            return Err(Ended);
        }
        Ok(())
    }

    async fn wait(&self, number: u64) {
        let options = &self.shared.options;
        if !options.delay.is_zero() {
            tokio::time::sleep(options.delay).await;
        }
        if let Some((at, wait)) = options.stall
            && at == number
        {
            tokio::time::sleep(wait).await;
        }
    }

    fn forget(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    pub(super) fn reply(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn refuse(&mut self, line: &str) {
        self.shared.counts.refused.fetch_add(1, Ordering::Relaxed);
        self.reply(line);
    }

    fn violation(&self) {
        self.shared.counts.violations.fetch_add(1, Ordering::Relaxed);
    }

    /// Where the next line stands in the input, without its end.
    async fn line(&mut self) -> Result<(usize, usize), Ended> {
        loop {
            if let Some(length) = memchr(b'\n', &self.input[self.start..self.end]) {
                let from = self.start;
                self.start += length + 1;
                let to = from + length;
                let to = if to > from && self.input[to - 1] == b'\r' { to - 1 } else { to };
                return Ok((from, to));
            }
            if self.end - self.start > MAX_LINE_BYTES {
                return Err(Ended);
            }
            self.receive().await?;
        }
    }

    /// Sends what stands ready, then waits for more input.
    async fn receive(&mut self) -> Result<(), Ended> {
        self.flush().await?;
        self.input.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        }
        let space = &mut self.input[self.end..];
        let count = match &mut self.wire {
            Wire::Plain(tcp) => tcp.read(space).await?,
            Wire::Tls(tls) => tls.read(space).await?,
            Wire::Gone => 0,
        };
        if count == 0 {
            return Err(Ended);
        }
        self.end += count;
        Ok(())
    }

    /// Sends what stands ready.
    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        if self.out.is_empty() {
            return Ok(());
        }
        match &mut self.wire {
            Wire::Plain(tcp) => tcp.write_all(&self.out).await?,
            Wire::Tls(tls) => {
                tls.write_all(&self.out).await?;
                tls.flush().await?;
            }
            Wire::Gone => return Err(Ended),
        }
        self.out.clear();
        Ok(())
    }

    async fn protect(&mut self) -> Result<(), Ended> {
        let Wire::Plain(tcp) = std::mem::replace(&mut self.wire, Wire::Gone) else {
            return Err(Ended);
        };
        let Some(identity) = &self.shared.identity else {
            return Err(Ended);
        };
        self.wire = Wire::Tls(Box::new(identity.acceptor.accept(tcp).await?));
        // What came before is not protected.
        (self.start, self.end) = (0, 0);
        Ok(())
    }

    /// Makes the coming drop a reset.
    pub(super) fn reset(&self) {
        let tcp = match &self.wire {
            Wire::Plain(tcp) => tcp,
            Wire::Tls(tls) => tls.get_ref().0,
            Wire::Gone => return,
        };
        // On failure the drop is an ordinary end of the connection, which clients must survive as well.
        let _ = tcp.set_zero_linger();
    }
}

fn decode(text: &str) -> String {
    BASE64_STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// What stands between the angle brackets of a command.
fn address(line: &[u8]) -> String {
    let from = memchr(b'<', line).map_or(line.len(), |at| at + 1);
    let to = memchr::memrchr(b'>', line).filter(|&to| to >= from).unwrap_or(line.len());
    String::from_utf8_lossy(&line[from..to]).into_owned()
}

fn has_stray_line_end(wire: &[u8]) -> bool {
    let stray_lf = memchr::memchr_iter(b'\n', wire).any(|at| at == 0 || wire[at - 1] != b'\r');
    stray_lf || memchr::memchr_iter(b'\r', wire).any(|at| wire.get(at + 1) != Some(&b'\n'))
}
