//! A client with one connection that is kept, as lean as can be: it shares the machine with what is measured.

use anyhow::{Context, ensure};
use envoi_tests::process::Api;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    /// Connects to where the API is.
    pub(crate) async fn connect(api: &Api) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(host(api)?).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::new() })
    }

    /// Sends a request and reads the answer to its end, which must have this status.
    pub(crate) async fn ask(&mut self, request: &[u8], status: u16) -> anyhow::Result<()> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        let mut end = None;
        loop {
            ensure!(self.stream.read_buf(&mut self.answer).await? > 0, "the connection has ended");
            if end.is_none()
                && let Some(head) = memchr::memmem::find(&self.answer, b"\r\n\r\n")
            {
                let text = std::str::from_utf8(&self.answer[..head])?.to_ascii_lowercase();
                let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
                end = Some(head + 4 + length.context("an answer has a length")?.parse::<usize>()?);
            }
            if end.is_some_and(|end| self.answer.len() >= end) {
                ensure!(
                    self.answer.starts_with(format!("HTTP/1.1 {status}").as_bytes()),
                    "it is answered: {}",
                    String::from_utf8_lossy(&self.answer)
                );
                return Ok(());
            }
        }
    }
}

/// Where the API is, as a `host` header has it.
pub(crate) fn host(api: &Api) -> anyhow::Result<&str> {
    api.base().strip_prefix("http://").context("it is called in the clear")
}

/// The value below which this percentage of the values is. Sorts them.
pub(crate) fn percentile(values: &mut [f64], percent: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let place = (values.len().saturating_sub(1) as f64 * percent / 100.0).round() as usize;
    values.get(place).copied()
}
