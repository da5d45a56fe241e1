//! A call before it is sent, and the calls that have their own method.

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::client::Client;
use crate::contract::{InNamespace, Mutation, Unary};
use crate::error::Error;
use crate::v1;

/// A call that is sent when it is awaited.
///
/// The client fills in its namespace, and a fresh request id for a mutation, where the call has none. It sends the call
/// again after failures that may pass, always with the same request id.
///
/// ```
/// # use tallykeeper::{Client, Error};
/// # async fn count(client: &Client) -> Result<(), Error> {
/// let response = client
///     .increment("tickets")
///     .delta(3)
///     .reference("order-17")
///     .request_id("order-17-tickets")
///     .await?;
/// assert!(response.revision > 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call is sent when it is awaited"]
pub struct Call<R> {
    client: Client,
    request: R,
    timeout: Duration,
}

impl<R: Unary> Call<R> {
    /// Sets the deadline of this call with all its retries.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Changes fields of the request for which there is no method.
    ///
    /// ```
    /// # use tallykeeper::{Client, Error};
    /// # async fn read(client: &Client) -> Result<(), Error> {
    /// let response = client.get_counter("tickets").with(|request| request.min_revision = 7).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with(mut self, change: impl FnOnce(&mut R)) -> Self {
        change(&mut self.request);
        self
    }

    /// Sends the call, as `await` does.
    ///
    /// # Errors
    ///
    /// Returns the server's error, or that of a server that does not answer.
    pub async fn send(self) -> Result<R::Response, Error> {
        self.client.unary(self.request, self.timeout).await
    }
}

impl<R: Unary + InNamespace> Call<R> {
    /// Sets the namespace of this call.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.request.set_namespace(namespace.into());
        self
    }
}

impl<R: Mutation> Call<R> {
    /// Sets the request id: 1 to 64 printable ASCII characters. The server carries out a request once for each id.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request.set_request_id(request_id.into());
        self
    }

    /// Sets the reason for the change, which the ledger keeps: at most 64 bytes.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.request.set_reason(reason.into());
        self
    }

    /// Sets the thing that the change belongs to (an order, a loan), which the ledger keeps: at most 256 bytes.
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.request.set_reference(reference.into());
        self
    }
}

impl<R> IntoFuture for Call<R>
where
    R: Unary,
{
    type Output = Result<R::Response, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.send().boxed()
    }
}

impl Client {
    /// Makes the call of any request of the contract.
    ///
    /// ```
    /// # use tallykeeper::{Client, Error};
    /// use tallykeeper::v1::MoveCopiesRequest;
    ///
    /// # async fn restock(client: &Client) -> Result<(), Error> {
    /// let request = MoveCopiesRequest {
    ///     item: "dune".to_owned(),
    ///     from_location: "cellar".to_owned(),
    ///     to_location: "shop".to_owned(),
    ///     copies: Some(2),
    ///     ..Default::default()
    /// };
    /// let response = client.call(request).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call<R: Unary>(&self, request: R) -> Call<R> {
        Call {
            client: self.clone(),
            request,
            timeout: self.timeout(),
        }
    }

    /// Adds 1, or [`delta`](Call::delta), to a counter. A counter that does not exist is created.
    pub fn increment(&self, counter: impl Into<String>) -> Call<v1::IncrementRequest> {
        self.call(v1::IncrementRequest {
            counter: counter.into(),
            ..Default::default()
        })
    }

    /// Reads a counter.
    pub fn get_counter(&self, counter: impl Into<String>) -> Call<v1::GetCounterRequest> {
        self.call(v1::GetCounterRequest {
            counter: counter.into(),
            ..Default::default()
        })
    }

    /// Sets a counter to a value. A counter that does not exist is created.
    pub fn set_counter(&self, counter: impl Into<String>, value: i64) -> Call<v1::SetCounterRequest> {
        self.call(v1::SetCounterRequest {
            counter: counter.into(),
            value: Some(value),
            ..Default::default()
        })
    }

    /// Takes copies of an item, all or none (`DecrementCopies`).
    pub fn take_copies(&self, item: impl Into<String>, copies: i64) -> Call<v1::DecrementCopiesRequest> {
        self.call(v1::DecrementCopiesRequest {
            item: item.into(),
            copies: Some(copies),
            ..Default::default()
        })
    }

    /// Returns copies of an item to the stock, or adds new ones (`IncrementCopies`).
    pub fn return_copies(&self, item: impl Into<String>, copies: i64) -> Call<v1::IncrementCopiesRequest> {
        self.call(v1::IncrementCopiesRequest {
            item: item.into(),
            copies: Some(copies),
            ..Default::default()
        })
    }

    /// Sets the copies on hand of an item.
    pub fn set_stock(&self, item: impl Into<String>, on_hand: i64) -> Call<v1::SetStockRequest> {
        self.call(v1::SetStockRequest {
            item: item.into(),
            on_hand: Some(on_hand),
            ..Default::default()
        })
    }

    /// Reads the stock level of an item.
    pub fn get_stock(&self, item: impl Into<String>) -> Call<v1::GetStockRequest> {
        self.call(v1::GetStockRequest {
            item: item.into(),
            ..Default::default()
        })
    }

    /// Reserves copies, of all lines or of none, for 15 minutes or for [`ttl`](Call::ttl).
    ///
    /// ```
    /// # use tallykeeper::{Client, Error};
    /// use std::time::Duration;
    ///
    /// # async fn order(client: &Client) -> Result<(), Error> {
    /// let response = client
    ///     .reserve([("dune", 2), ("emma", 1)])
    ///     .holder("customer-7")
    ///     .ttl(Duration::from_secs(600))
    ///     .await?;
    /// let reservation = response.reservation.unwrap_or_default();
    /// client.commit(reservation.reservation_id).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reserve<L>(&self, lines: impl IntoIterator<Item = L>) -> Call<v1::ReserveRequest>
    where
        L: Into<v1::StockLine>,
    {
        self.call(v1::ReserveRequest {
            lines: lines.into_iter().map(Into::into).collect(),
            ..Default::default()
        })
    }

    /// Takes the copies of a reservation: all of them, or those of the [`lines`](Call::lines).
    pub fn commit(&self, reservation_id: impl Into<String>) -> Call<v1::CommitRequest> {
        self.call(v1::CommitRequest {
            reservation_id: reservation_id.into(),
            ..Default::default()
        })
    }

    /// Gives the copies of a reservation back.
    pub fn release(&self, reservation_id: impl Into<String>) -> Call<v1::ReleaseRequest> {
        self.call(v1::ReleaseRequest {
            reservation_id: reservation_id.into(),
            ..Default::default()
        })
    }

    /// Gives an active reservation more time, from now on.
    pub fn extend(&self, reservation_id: impl Into<String>, ttl: Duration) -> Call<v1::ExtendRequest> {
        self.call(v1::ExtendRequest {
            reservation_id: reservation_id.into(),
            ttl: Some(protobuf_duration(ttl)),
            ..Default::default()
        })
    }

    /// Applies many operations in one call (`Apply`).
    ///
    /// ```
    /// # use tallykeeper::{Client, Error};
    /// use tallykeeper::v1::{BatchMode, DecrementCopiesRequest, IncrementRequest};
    ///
    /// # async fn sell(client: &Client) -> Result<(), Error> {
    /// let sale = DecrementCopiesRequest { item: "dune".to_owned(), ..Default::default() };
    /// let count = IncrementRequest { counter: "sold".to_owned(), ..Default::default() };
    /// let response = client.batch(BatchMode::Independent).add(sale).add(count).await?;
    /// for result in &response.results {
    ///     if let Some(error) = result.failure() {
    ///         println!("{error}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch(&self, mode: v1::BatchMode) -> Call<v1::ApplyRequest> {
        self.call(v1::ApplyRequest {
            mode: mode.into(),
            ..Default::default()
        })
    }
}

impl Call<v1::IncrementRequest> {
    /// Sets the number to add; a negative number subtracts.
    pub fn delta(self, delta: i64) -> Self {
        self.with(|request| request.delta = Some(delta))
    }

    /// Sets the bounds and the time to live that the counter gets if this call creates it.
    pub fn create(self, counter: v1::NewCounter) -> Self {
        self.with(|request| request.create = Some(counter))
    }
}

impl Call<v1::SetCounterRequest> {
    /// Sets the value that the counter must have for the change to be made.
    pub fn expected_value(self, value: i64) -> Self {
        self.with(|request| request.expected_value = Some(value))
    }
}

impl Call<v1::DecrementCopiesRequest> {
    /// Sets the location to take the copies from.
    pub fn location(self, location: impl Into<String>) -> Self {
        self.with(|request| request.location = location.into())
    }

    /// Sets what happens if there are fewer copies.
    pub fn shortage_policy(self, policy: v1::ShortagePolicy) -> Self {
        self.with(|request| request.shortage_policy = policy.into())
    }
}

impl Call<v1::IncrementCopiesRequest> {
    /// Sets the location to add the copies at.
    pub fn location(self, location: impl Into<String>) -> Self {
        self.with(|request| request.location = location.into())
    }
}

impl Call<v1::SetStockRequest> {
    /// Sets the location of the stock level.
    pub fn location(self, location: impl Into<String>) -> Self {
        self.with(|request| request.location = location.into())
    }

    /// Sets the copies on hand that the level must have for the change to be made.
    pub fn expected_on_hand(self, on_hand: i64) -> Self {
        self.with(|request| request.expected_on_hand = Some(on_hand))
    }
}

impl Call<v1::GetStockRequest> {
    /// Sets the location of the stock level.
    pub fn location(self, location: impl Into<String>) -> Self {
        self.with(|request| request.location = location.into())
    }
}

impl Call<v1::ReserveRequest> {
    /// Sets the id of the reservation. Without it, the server chooses one.
    pub fn reservation_id(self, reservation_id: impl Into<String>) -> Self {
        self.with(|request| request.reservation_id = reservation_id.into())
    }

    /// Sets the customer or basket for which the copies are reserved.
    pub fn holder(self, holder: impl Into<String>) -> Self {
        self.with(|request| request.holder = holder.into())
    }

    /// Sets the time that the reservation has to live.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|request| request.ttl = Some(protobuf_duration(ttl)))
    }
}

impl Call<v1::CommitRequest> {
    /// Sets the copies to take. Those that no line names are given back.
    pub fn lines<L: Into<v1::StockLine>>(self, lines: impl IntoIterator<Item = L>) -> Self {
        self.with(|request| request.lines = lines.into_iter().map(Into::into).collect())
    }
}

impl Call<v1::ApplyRequest> {
    /// Adds an operation: the request of the call of the same name, without a request id.
    #[expect(clippy::should_implement_trait, reason = "this adds to a list, and not a number")]
    pub fn add(self, operation: impl Into<v1::Operation>) -> Self {
        self.with(|request| request.operations.push(operation.into()))
    }

    /// Adds operations.
    pub fn add_all<O: Into<v1::Operation>>(self, operations: impl IntoIterator<Item = O>) -> Self {
        self.with(|request| request.operations.extend(operations.into_iter().map(Into::into)))
    }
}

impl From<(&str, i64)> for v1::StockLine {
    fn from((item, copies): (&str, i64)) -> v1::StockLine {
        v1::StockLine {
            item: item.to_owned(),
            location: String::new(),
            copies: Some(copies),
        }
    }
}

impl From<(&str, &str, i64)> for v1::StockLine {
    fn from((item, location, copies): (&str, &str, i64)) -> v1::StockLine {
        v1::StockLine {
            item: item.to_owned(),
            location: location.to_owned(),
            copies: Some(copies),
        }
    }
}

/// Converts a duration. One of more than 292 billion years becomes the longest that protobuf knows.
fn protobuf_duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap_or(prost_types::Duration {
        seconds: i64::MAX,
        nanos: 0,
    })
}
