//! Connections: TCP, and TLS over it where the address says `https`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::tls::{self, Stream};

/// A connection was not there in time.
#[derive(Debug, Error)]
#[error("there was no connection within {0:?}")]
pub(super) struct ConnectTimeout(Duration);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens connections.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    /// In place of what the machine trusts.
    tls: Option<TlsConnector>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { tcp, tls: None, timeout }
    }

    #[cfg(test)]
    pub(super) fn with_tls(self, tls: TlsConnector) -> Self {
        Self { tls: Some(tls), ..self }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let timeout = self.timeout;
        let tls = self.tls.clone();
        let name = (address.scheme() == Some(&Scheme::HTTPS))
            .then(|| tls::server_name(address.host().unwrap_or_default()));
        let tcp = self.tcp.call(address);
        let connecting = async move {
            let tcp = tcp.await?.into_inner();
            let stream = match name {
                None => Stream::Plain(tcp),
                Some(name) => {
                    Stream::Tls(Box::new(tls.unwrap_or_else(tls::connector).connect(name?, tcp).await?))
                }
            };
            Ok::<_, Failure>(TokioIo::new(stream))
        };
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimeout(timeout).into()),
            }
        })
    }
}
