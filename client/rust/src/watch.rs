//! A watch of the ledger that outlives its connections.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use crate::client::Client;
use crate::credential::Header;
use crate::error::{Error, ErrorKind};
use crate::failure::{Failure, expired};
use crate::v1::{WatchRequest, WatchResponse};
use crate::wire::Origin;

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
const NO_REVISION: i64 = -1;

/// A watch: a stream of [`WatchResponse`], each with entries of the ledger, in order, with no gap and no repeat.
///
/// It begins again after the last revision that it received when its connection is lost, when the server restarts or has
/// too much to do. It ends with an error that does not pass, such as [`ErrorKind::RevisionTrimmed`],
/// [`ErrorKind::RevisionsLost`] or [`ErrorKind::PermissionDenied`], and without one when the client is closed. Until its
/// first response, it has the client's default deadline; after that, it tries for as long as it is read.
///
/// Responses without entries, by which the server only moves the revision on, are not given to the caller. The first
/// response is given in any case if the request has `include_levels`.
#[must_use = "a watch does nothing until it is read"]
pub struct Watch {
    responses: BoxStream<'static, Result<WatchResponse, Error>>,
    revision: Arc<AtomicI64>,
}

impl Watch {
    /// Waits for the next response; `None` when the client is closed, or after an error.
    ///
    /// Dropping the future before it is ready loses nothing.
    pub async fn next(&mut self) -> Option<Result<WatchResponse, Error>> {
        self.responses.next().await
    }

    /// Returns the revision up to which the watch has given all entries; `None` before the first response of the
    /// server. A later watch that begins after it misses nothing.
    #[must_use]
    pub fn revision(&self) -> Option<i64> {
        let revision = self.revision.load(Ordering::Acquire);
        (revision != NO_REVISION).then_some(revision)
    }
}

impl Stream for Watch {
    type Item = Result<WatchResponse, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.responses.poll_next_unpin(context)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Watch")
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Follows the ledger of a namespace.
    ///
    /// ```
    /// # use tallykeeper::{Client, Error};
    /// use tallykeeper::v1::WatchRequest;
    ///
    /// # async fn follow(client: &Client) -> Result<(), Error> {
    /// let mut watch = client.watch(WatchRequest { after_revision: Some(0), ..Default::default() });
    /// while let Some(response) = watch.next().await {
    ///     for entry in response?.entries {
    ///         println!("revision {}: {:?}", entry.revision, entry.operation());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self, mut request: WatchRequest) -> Watch {
        self.complete(&mut request);
        let revision = Arc::new(AtomicI64::new(NO_REVISION));
        let following = Following {
            client: self.clone(),
            request,
            open: None,
            pauses: Pauses::new(fastrand::f64),
            give_up_at: None,
            has_renewed: false,
            revision: revision.clone(),
        };
        let responses = stream::try_unfold(following, |mut following| async move {
            let client = following.client.clone();
            let response = tokio::select! {
                biased;
                () = client.closed() => None,
                response = following.next() => Some(response?),
            };
            Ok(response.map(|response| (response, following)))
        });
        Watch {
            responses: responses.boxed(),
            revision,
        }
    }
}

/// A watch through all its connections.
struct Following {
    client: Client,
    request: WatchRequest,
    /// The stream of this connection, and the token with which it was opened.
    open: Option<(Streaming<WatchResponse>, Option<Header>)>,
    pauses: Pauses,
    /// The end of the time for the first response; `None` before the watch is read first.
    give_up_at: Option<Instant>,
    has_renewed: bool,
    revision: Arc<AtomicI64>,
}

impl Following {
    /// Waits for the next response that the caller gets.
    async fn next(&mut self) -> Result<WatchResponse, Error> {
        loop {
            match self.receive().await {
                Ok(response) => {
                    let is_given = self.request.include_levels || !response.entries.is_empty();
                    self.took(&response);
                    if is_given {
                        return Ok(response);
                    }
                }
                Err(failure) => self.wait(failure).await?,
            }
        }
    }

    /// Notes what has been received: the next connection begins after it.
    fn took(&mut self, response: &WatchResponse) {
        self.request.after_revision = Some(response.revision);
        self.request.include_levels = false;
        self.revision.store(response.revision, Ordering::Release);
        self.has_renewed = false;
        self.pauses.reset();
    }

    fn has_begun(&self) -> bool {
        self.revision.load(Ordering::Acquire) != NO_REVISION
    }

    async fn receive(&mut self) -> Result<WatchResponse, Failure> {
        if self.has_begun() {
            return self.receive_at_last().await;
        }
        let timeout = self.client.timeout();
        let deadline = *self.give_up_at.get_or_insert_with(|| Instant::now() + timeout);
        let response = tokio::time::timeout_at(deadline, self.receive_at_last()).await;
        response.unwrap_or_else(|_| Err(Failure::of(expired(self.client.address()))))
    }

    async fn receive_at_last(&mut self) -> Result<WatchResponse, Failure> {
        if self.open.is_none() {
            let token = self.client.token().await.map_err(Failure::of)?;
            let opening = self.client.attempt(&self.request, token.as_ref(), None, |sending| {
                sending.streamed().boxed()
            });
            match opening.await {
                Ok(responses) => self.open = Some((responses, token)),
                Err(failure) => return Err(self.renewed(failure, token.as_ref()).await),
            }
        }
        let Some((responses, token)) = &mut self.open else {
            unreachable!("the watch is open");
        };
        let status = match responses.message().await {
            Ok(Some(response)) => return Ok(response),
            Ok(None) => Status::unavailable("the server ended the watch"),
            Err(status) => status,
        };
        let token = token.take();
        self.open = None;
        let failure = Failure::read(status, self.client.address(), "");
        Err(self.renewed(failure, token.as_ref()).await)
    }

    /// Makes an expired token's failure one that passes, if there will be a new token.
    async fn renewed(&mut self, mut failure: Failure, token: Option<&Header>) -> Failure {
        if !self.has_renewed && self.client.renews(&failure.error, token).await {
            self.has_renewed = true;
            failure.origin = Origin::NotSent;
        }
        failure
    }

    /// Waits before the watch begins again. Returns the error if it is one that ends the watch.
    async fn wait(&mut self, failure: Failure) -> Result<(), Error> {
        if !may_pass(&failure) {
            return Err(failure.error);
        }
        let pause = self.pauses.next().max(failure.error.retry_after().unwrap_or_default());
        if !self.has_begun() && self.give_up_at.is_some_and(|end| Instant::now() + pause >= end) {
            return Err(failure.error);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// The pauses of a watch between its connections: 0.1 s, then twice as long each time up to 5 s, a random half of it,
/// so that the watchers of a server that restarts do not come together.
#[derive(Debug)]
struct Pauses {
    backoff: Duration,
    draw: fn() -> f64,
}

impl Pauses {
    fn new(draw: fn() -> f64) -> Pauses {
        Pauses {
            backoff: BACKOFF_MIN,
            draw,
        }
    }

    fn next(&mut self) -> Duration {
        let backoff = self.backoff;
        self.backoff = (2 * backoff).min(BACKOFF_MAX);
        backoff.mul_f64(f64::midpoint(1.0, (self.draw)()))
    }

    fn reset(&mut self) {
        self.backoff = BACKOFF_MIN;
    }
}

/// Tells whether a watch that failed begins again.
fn may_pass(failure: &Failure) -> bool {
    match failure.origin {
        Origin::NotSent | Origin::Lost => true,
        Origin::Refused | Origin::Expired => false,
        Origin::Answer => {
            let kind = failure.error.kind();
            let too_much = matches!(
                kind,
                ErrorKind::Overloaded | ErrorKind::RateLimited | ErrorKind::TooManyWatches | ErrorKind::WatcherTooSlow
            );
            let code = failure.error.code();
            // A watch has no deadline, and the server cancels no watch: these two codes come from a proxy.
            too_much || matches!(code, Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::tests::{answer, not_sent};

    #[test]
    fn pauses_double_up_to_five_seconds_and_begin_again_after_a_response() {
        let mut pauses = Pauses::new(|| 1.0);
        let millis: Vec<_> = (0..8).map(|_| pauses.next().as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        pauses.reset();
        assert_eq!(pauses.next(), BACKOFF_MIN);
        assert_eq!(Pauses::new(|| 0.0).next(), BACKOFF_MIN / 2);
    }

    #[test]
    fn a_watch_begins_anew_after_what_passes_alone() {
        let passing: Vec<_> = (0..=16)
            .map(Code::from)
            .filter(|code| may_pass(&answer(*code)))
            .collect();
        assert_eq!(passing, [Code::Cancelled, Code::DeadlineExceeded, Code::Unavailable]);
        assert!(may_pass(&not_sent()));
        let broken = Failure::read(Status::from_error("reset".into()), "127.0.0.1:1", "");
        assert!(may_pass(&broken));
    }
}
