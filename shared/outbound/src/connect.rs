//! Connections to what the policy admits.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use platform::tls::{self, Stream};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::address::Host;
use crate::policy::{Policy, Target};

/// A connection was not there in time.
#[derive(Debug, Error)]
#[error("there was no connection within {0:?}")]
struct ConnectTimeout(Duration);

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Where a name leads.
pub(crate) type Resolver = Arc<dyn Fn(String, u16) -> Found + Send + Sync>;

/// Opens connections.
#[derive(Clone)]
pub(crate) struct Connector {
    policy: Policy,
    resolver: Resolver,
    /// In place of what the machine trusts.
    tls: Option<TlsConnector>,
    timeout: Duration,
}

impl Connector {
    pub(crate) fn new(policy: Policy, timeout: Duration) -> Self {
        let resolver = Arc::new(|name: String, port| -> Found {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
        });
        Self { policy, resolver, tls: None, timeout }
    }

    #[cfg(test)]
    pub(crate) fn with_tls(self, tls: TlsConnector) -> Self {
        Self { tls: Some(tls), ..self }
    }

    #[cfg(test)]
    pub(crate) fn with_resolver(self, resolver: Resolver) -> Self {
        Self { resolver, ..self }
    }

    async fn connect(self, address: Uri) -> Result<Stream, Failure> {
        let target = Target::read(&address)?;
        let (addresses, name) = match &target.host {
            Host::Address(ip) => (vec![SocketAddr::new(*ip, target.port)], ip.to_string()),
            Host::Name(name) => ((self.resolver)(name.clone(), target.port).await?, name.clone()),
        };
        // Those that are checked are those that are connected to: the name is not asked for again.
        let found: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
        self.policy.admit(&target, &found)?;
        let tcp = open(&addresses, self.timeout).await?;
        tcp.set_nodelay(true)?;
        if !target.is_https {
            return Ok(Stream::Plain(tcp));
        }
        let tls = self.tls.unwrap_or_else(tls::connector);
        Ok(Stream::Tls(Box::new(tls.connect(tls::server_name(&name)?, tcp).await?)))
    }
}

/// The first address at which somebody answers. Each is given its part of the time, so that a silent one does not hide the
/// next.
async fn open(addresses: &[SocketAddr], time: Duration) -> io::Result<TcpStream> {
    let each = time / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name leads nowhere");
    for address in addresses {
        match timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let connector = self.clone();
        let limit = self.timeout;
        Box::pin(async move {
            match timeout(limit, connector.connect(address)).await {
                Ok(connected) => connected.map(TokioIo::new),
                Err(_) => Err(ConnectTimeout(limit).into()),
            }
        })
    }
}
