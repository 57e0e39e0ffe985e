//! The HTTP client under the SDK's: HTTP/1.1 over connections that are kept, with rustls.
//!
//! The SDK brings one of its own, with HTTP/2, proxies and a pool of its own make, of which AWS's services use nothing: it
//! makes each function a tenth larger. This one does for AWS what the runtime's client does for Lambda, and shares its code.

mod connect;
mod failure;

use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpInfo, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use self::connect::Connector;

/// A client for the SDK's, with connections of its own. A connection may take `connect_timeout`, TLS included, and be at
/// rest for `rest` before it is closed. It sets no other limit; the SDK's timeouts of a whole attempt are not its business,
/// and those of connecting and reading in a client's configuration are not looked at.
pub fn http_client(connect_timeout: Duration, rest: Duration) -> SharedHttpClient {
    SharedHttpClient::new(OneForAll { connector: connector(connect_timeout, rest) })
}

/// What is under [`http_client`].
pub(super) fn connector(connect_timeout: Duration, rest: Duration) -> SharedHttpConnector {
    SharedHttpConnector::new(Adapter::new(Connector::new(connect_timeout), rest))
}

/// Gives every client of the SDK the same connections.
#[derive(Debug)]
struct OneForAll {
    connector: SharedHttpConnector,
}

impl HttpClient for OneForAll {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector.clone()
    }
}

/// Hyper's client, as the SDK calls it.
struct Adapter {
    client: Client<Connector, SdkBody>,
}

impl Adapter {
    fn new(connector: Connector, rest: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(rest)
            .build(connector);
        Self { client }
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").finish_non_exhaustive()
    }
}

impl HttpConnector for Adapter {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let captured = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            // The SDK gives up a connection on which a call failed in a way that others may share.
            capture.set_connection_retriever(move || metadata(&captured));
        }
        let answer = self.client.request(request);
        HttpConnectorFuture::new(async move {
            match answer.await {
                Ok(response) => HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                    .map_err(|error| ConnectorError::other(error.into(), None)),
                Err(error) => Err(failure::of(error)),
            }
        })
    }
}

fn metadata(captured: &CaptureConnection) -> Option<ConnectionMetadata> {
    let captured = captured.clone();
    let mut extensions = http::Extensions::new();
    captured.connection_metadata().as_ref()?.get_extras(&mut extensions);
    let addresses = extensions.get::<HttpInfo>();
    let mut metadata = ConnectionMetadata::builder().proxied(false).poison_fn(move || {
        if let Some(connected) = captured.connection_metadata().as_ref() {
            connected.poison();
        }
    });
    metadata
        .set_local_addr(addresses.map(HttpInfo::local_addr))
        .set_remote_addr(addresses.map(HttpInfo::remote_addr));
    Some(metadata.build())
}

#[cfg(test)]
mod tests;
