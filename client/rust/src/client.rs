//! The client: one connection, the defaults of its calls, and how a call is sent until it is answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::client::Grpc;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::builder::{BuildError, ClientBuilder};
use crate::contract::{Rpc, Streamed, Unary};
use crate::credential::{Credential, Header};
use crate::error::{Error, ErrorKind};
use crate::failure::{Failure, expired};
use crate::retry::Attempts;
use crate::wire::Wire;

/// The size that a response may have. tonic's own 4 MiB are less than 1,000 reservations of 100 lines.
const RESPONSE_BYTES_MAX: usize = 64 << 20;

/// A client of a Tallykeeper server.
///
/// It has one connection, on which any number of calls go at once. Clones share it, and are cheap.
///
/// ```no_run
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tallykeeper::Client;
///
/// let client = Client::connect_lazy("127.0.0.1:50051")?;
/// let response = client.increment("page-views").await?;
/// println!("{}", response.counter.unwrap_or_default().value);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The connection; `None` once the client is closed.
    wire: Mutex<Option<Wire>>,
    closed: CancellationToken,
    address: String,
    namespace: String,
    timeout: Duration,
    retries: bool,
    credential: Credential,
}

/// Returns a request id that nobody has used: a UUID of version 4.
#[must_use]
pub fn new_request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

impl Client {
    /// Makes a client of the server at an address, without TLS and without a token. It connects with its first call.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is not written as `host:port`, or if there is no Tokio runtime.
    pub fn connect_lazy(address: impl Into<String>) -> Result<Client, BuildError> {
        Client::builder(address).connect_lazy()
    }

    /// Returns the options of a client of the server at an address, written as `host:port`.
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(address.into())
    }

    pub(crate) fn over(
        wire: Wire,
        address: String,
        namespace: String,
        timeout: Duration,
        retries: bool,
        credential: Credential,
    ) -> Client {
        Client {
            shared: Arc::new(Shared {
                wire: Mutex::new(Some(wire)),
                closed: CancellationToken::new(),
                address,
                namespace,
                timeout,
                retries,
                credential,
            }),
        }
    }

    /// Closes the connection of this client and its clones. Calls under way end with [`ErrorKind::Closed`], and watches
    /// end.
    pub fn close(&self) {
        self.shared.closed.cancel();
        self.shared.wire.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(crate) fn address(&self) -> &str {
        &self.shared.address
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.shared.timeout
    }

    /// Waits until the client is closed.
    pub(crate) async fn closed(&self) {
        self.shared.closed.cancelled().await;
    }

    /// Returns the error of a call on a client that was closed.
    pub(crate) fn closed_error(&self) -> Error {
        let message = format!("the client of {} was closed", self.address());
        Error::new(Code::Cancelled, ErrorKind::Closed, message)
    }

    /// Fills in the namespace and the request id of a request, if it has none.
    pub(crate) fn complete<R: Rpc>(&self, request: &mut R) {
        request.complete(&self.shared.namespace, &new_request_id);
    }

    /// Sends a request until it is answered, or until the failure is final or the deadline is over.
    pub(crate) async fn unary<R: Unary>(&self, request: R, timeout: Duration) -> Result<R::Response, Error> {
        self.answer(request, timeout, |sending| sending.unary().boxed()).await
    }

    /// Opens a stream of responses. The deadline is that of the opening: the stream itself has none.
    pub(crate) async fn stream<R: Streamed>(
        &self,
        request: R,
        timeout: Duration,
    ) -> Result<Streaming<R::Response>, Error> {
        self.answer(request, timeout, |sending| sending.streamed().boxed())
            .await
    }

    async fn answer<R: Rpc, T>(&self, mut request: R, timeout: Duration, send: Send<R, T>) -> Result<T, Error> {
        self.complete(&mut request);
        let request_id = request.request_id().to_owned();
        let deadline = Instant::now() + timeout;
        let attempts = tokio::time::timeout_at(deadline, self.attempts(request, deadline, send));
        let outcome = tokio::select! {
            biased;
            () = self.closed() => Err(self.closed_error()),
            outcome = attempts => outcome.unwrap_or_else(|_| Err(expired(self.address()))),
        };
        outcome.map_err(|error| error.with_request_id(&request_id))
    }

    async fn attempts<R: Rpc, T>(&self, request: R, deadline: Instant, send: Send<R, T>) -> Result<T, Error> {
        let mut attempts = Attempts::new(fastrand::f64);
        let mut has_renewed = false;
        loop {
            let token = self.token().await?;
            let failure = match self.attempt(&request, token.as_ref(), Some(deadline), send).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            if !has_renewed && self.renews(&failure.error, token.as_ref()).await {
                has_renewed = true;
                continue;
            }
            let pause = self.shared.retries.then(|| attempts.pause(&failure)).flatten();
            match pause {
                Some(pause) if Instant::now() + pause < deadline => tokio::time::sleep(pause).await,
                _ => return Err(failure.error),
            }
        }
    }

    /// Sends a request once.
    pub(crate) async fn attempt<R: Rpc, T>(
        &self,
        request: &R,
        token: Option<&Header>,
        deadline: Option<Instant>,
        send: Send<R, T>,
    ) -> Result<T, Failure> {
        let wire = self.shared.wire.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(wire) = wire else {
            return Err(Failure::of(self.closed_error()));
        };
        let mut message = Request::new(request.clone());
        if let Some(token) = token {
            message.metadata_mut().insert("authorization", token.clone());
        }
        let grpc = Grpc::new(wire).max_decoding_message_size(RESPONSE_BYTES_MAX);
        send(Sending {
            grpc,
            message,
            deadline,
        })
        .await
        .map_err(|status| Failure::read(status, self.address(), request.request_id()))
    }

    /// Returns the `authorization` header of the next attempt.
    pub(crate) async fn token(&self) -> Result<Option<Header>, Error> {
        self.shared.credential.header().await
    }

    /// Forgets the token of an attempt that failed because the token has expired. Tells whether there will be a new
    /// one.
    pub(crate) async fn renews(&self, error: &Error, token: Option<&Header>) -> bool {
        matches!(error.kind(), ErrorKind::CredentialExpired) && self.shared.credential.renew(token).await
    }
}

/// How an attempt is sent.
pub(crate) type Send<R, T> = fn(Sending<R>) -> BoxFuture<'static, Result<T, Status>>;

/// An attempt that is ready to be sent.
pub(crate) struct Sending<R> {
    grpc: Grpc<Wire>,
    message: Request<R>,
    /// The deadline of a unary call; a stream has none.
    deadline: Option<Instant>,
}

impl<R: Rpc> Sending<R> {
    async fn unary(mut self) -> Result<R::Response, Status> {
        if let Some(deadline) = self.deadline {
            self.message.set_timeout(deadline - Instant::now());
        }
        self.grpc.ready().await.map_err(not_ready)?;
        let (path, codec) = (
            PathAndQuery::from_static(R::PATH),
            ProstCodec::<R, R::Response>::default(),
        );
        Ok(self.grpc.unary(self.message, path, codec).await?.into_inner())
    }

    pub(crate) async fn streamed(mut self) -> Result<Streaming<R::Response>, Status> {
        self.grpc.ready().await.map_err(not_ready)?;
        let (path, codec) = (
            PathAndQuery::from_static(R::PATH),
            ProstCodec::<R, R::Response>::default(),
        );
        Ok(self
            .grpc
            .server_streaming(self.message, path, codec)
            .await?
            .into_inner())
    }
}

fn not_ready(error: tonic::transport::Error) -> Status {
    Status::from_error(Box::new(error))
}
