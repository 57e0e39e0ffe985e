//! Whether a request may have gone out.
//!
//! The kind of an error does not tell: a timeout may have struck while connecting or while waiting for the answer, a reset
//! before or after the request. What tells is the request's body, since no service can take a request without it: nobody
//! asks for the body before there is a connection to write it to.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body::{Body, Frame, SizeHint};

/// Nobody has asked for the body.
const UNTOUCHED: u8 = 0;
/// Somebody has, and so it may have gone out.
const BEGUN: u8 = 1;
/// Nobody had, and nobody will get it any more.
const SEALED: u8 = 2;

/// How far the request of one call has come: an interceptor, for calls that must not be repeated where they may have been
/// taken. Clones are of the same call.
#[derive(Debug, Clone, Default)]
pub struct Handover(Arc<AtomicU8>);

/// Whether the server may have had the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It surely has not, and it won't.
    Never,
    /// It may have.
    Maybe,
}

impl Handover {
    /// The end of the call: how far it came. A connection that holds the request still, unwritten, won't write it.
    pub fn end(&self) -> Reached {
        match self.0.compare_exchange(UNTOUCHED, SEALED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(SEALED) => Reached::Never,
            Err(_) => Reached::Maybe,
        }
    }

    /// Whether the body may be written.
    fn begin(&self) -> bool {
        self.0.compare_exchange(UNTOUCHED, BEGUN, Ordering::AcqRel, Ordering::Acquire) != Err(SEALED)
    }
}

impl Intercept for Handover {
    fn name(&self) -> &'static str {
        "Handover"
    }

    /// The request is signed by now: nothing needs its bytes any more but the connection.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.request_mut().body_mut();
        let inner = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Watched { inner, handover: self.clone() });
        Ok(())
    }
}

/// A body that notes when it is asked for.
struct Watched {
    inner: SdkBody,
    handover: Handover,
}

impl Body for Watched {
    type Data = <SdkBody as Body>::Data;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if !self.handover.begin() {
            return Poll::Ready(Some(Err("the call is over".into())));
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(body: &mut Watched) -> Option<Result<Frame<<Watched as Body>::Data>, BoxError>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Pin::new(body).poll_frame(&mut context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => panic!("a body in memory is never pending"),
        }
    }

    #[test]
    fn a_request_nobody_asked_for_has_reached_nobody_and_is_not_given_out_later() {
        let handover = Handover::default();
        let mut body = Watched { inner: SdkBody::from("message"), handover: handover.clone() };
        assert_eq!(handover.end(), Reached::Never);
        assert!(matches!(poll(&mut body), Some(Err(_))));
        assert_eq!(handover.end(), Reached::Never);
    }

    #[test]
    fn a_request_that_was_asked_for_may_have_reached_the_server() {
        let handover = Handover::default();
        let mut body = Watched { inner: SdkBody::from("message"), handover: handover.clone() };
        let frame = poll(&mut body).unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap().as_ref(), b"message");
        assert_eq!(handover.end(), Reached::Maybe);
        assert!(poll(&mut body).is_none(), "what was begun is not cut short");
    }

    #[test]
    fn its_length_is_known_to_the_connection() {
        let body = Watched { inner: SdkBody::from("message"), handover: Handover::default() };
        assert_eq!(Body::size_hint(&body).exact(), Some(7));
        assert!(!body.is_end_stream());
    }
}
