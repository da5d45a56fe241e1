//! The channel, which tells a status of the server from a failure of the connection.
//!
//! tonic reports a stream that was reset with `CANCEL` or `NO_ERROR`, as servers and proxies that are killed or drain
//! do, like a status UNKNOWN of the server. This layer puts an error in its place. So a status with a source is always
//! a failure of the connection, and the server, a proxy or tonic itself made each status without one.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::TryFutureExt;
use futures_util::future::MapOk;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tonic::transport::Channel;
use tonic::{ConnectError, Status, TimeoutExpired};
use tower_service::Service;

type ChannelFuture = <Channel as Service<Request<tonic::body::Body>>>::Future;
type Checked = fn(Response<tonic::body::Body>) -> Response<CheckedBody>;

/// A channel whose responses end with a status, or with an error.
#[derive(Clone, Debug)]
pub(crate) struct Wire(pub(crate) Channel);

impl Service<Request<tonic::body::Body>> for Wire {
    type Response = Response<CheckedBody>;
    type Error = tonic::transport::Error;
    type Future = MapOk<ChannelFuture, Checked>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        self.0.call(request).map_ok(check as Checked)
    }
}

fn check(response: Response<tonic::body::Body>) -> Response<CheckedBody> {
    let awaits_status = response.status() == StatusCode::OK && !has_status(response.headers());
    response.map(|body| CheckedBody { body, awaits_status })
}

fn has_status(headers: &HeaderMap) -> bool {
    headers.contains_key("grpc-status")
}

/// The body of a response. If it ends without a status, it ends with the error [`CutShort`].
pub(crate) struct CheckedBody {
    body: tonic::body::Body,
    awaits_status: bool,
}

impl Body for CheckedBody {
    type Data = <tonic::body::Body as Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) if frame.trailers_ref().is_some_and(has_status) => self.awaits_status = false,
            None if self.awaits_status => {
                self.awaits_status = false;
                return Poll::Ready(Some(Err(Status::from_error(Box::new(CutShort)))));
            }
            _ => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && !self.awaits_status
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The server, or a proxy before it, ended the response without a status.
#[derive(Debug, thiserror::Error)]
#[error("the response was cut short")]
struct CutShort;

/// The origin of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The server, a proxy or tonic's own checks made it.
    Answer,
    /// The request has never left: there was no connection.
    NotSent,
    /// The server is not one that this client may connect to: its certificate, or its protocol, is wrong.
    Refused,
    /// The connection failed after the request was sent: the server may have carried it out.
    Lost,
    /// The deadline was over.
    Expired,
}

/// Returns the origin of a status.
pub(crate) fn origin_of(status: &Status) -> Origin {
    let mut origin = Origin::Answer;
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<TimeoutExpired>() {
            return Origin::Expired;
        }
        if error.is::<ConnectError>() || error.downcast_ref().is_some_and(hyper::Error::is_canceled) {
            return if is_refusal(error) {
                Origin::Refused
            } else {
                Origin::NotSent
            };
        }
        origin = Origin::Lost;
        source = error.source();
    }
    origin
}

/// Tells whether a handshake failed because of what the other side sent; rustls makes it an error of invalid data.
fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    let mut source = Some(error);
    while let Some(error) = source {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::InvalidData) {
            return true;
        }
        source = error.source();
    }
    false
}

/// Returns the innermost cause of a status in words.
pub(crate) fn cause_of(status: &Status) -> String {
    let mut cause = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        cause = error.to_string();
        source = error.source();
    }
    cause
}
