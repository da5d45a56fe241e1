//! Streams of what the server sends: the items of a listing, and the responses of a verification.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tonic::Streaming;

use crate::client::Client;
use crate::contract::Pages;
use crate::error::Error;
use crate::v1;

/// A stream of items, which ends with the first error.
///
/// It is a [`Stream`], and its method [`next`](Items::next) needs no trait.
#[must_use = "a stream does nothing until it is read"]
pub struct Items<T>(BoxStream<'static, Result<T, Error>>);

impl<T> Items<T> {
    /// Waits for the next item; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        self.0.next().await
    }
}

impl<T> Stream for Items<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Items(…)")
    }
}

impl Client {
    /// Lists the items of all pages, and reads each page when it is needed.
    ///
    /// The request says which: `ListEntriesRequest`, `ListStockRequest`, `ListCountersRequest`,
    /// `ListReservationsRequest` or `ListNamespacesRequest`. To read one page, use [`call`](Client::call).
    ///
    /// ```
    /// # use tallykeeper::{Client, Error};
    /// use tallykeeper::v1::ListEntriesRequest;
    ///
    /// # async fn history(client: &Client) -> Result<(), Error> {
    /// let request = ListEntriesRequest { item: "dune".to_owned(), newest_first: true, ..Default::default() };
    /// let mut entries = client.list(request);
    /// while let Some(entry) = entries.next().await {
    ///     println!("{:?}", entry?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn list<R: Pages>(&self, request: R) -> Items<R::Item> {
        let client = self.clone();
        let pages = stream::try_unfold(Some(request), move |request| {
            let client = client.clone();
            async move {
                let Some(mut request) = request else {
                    return Ok(None);
                };
                let page = client.call(request.clone()).await?;
                let (items, next_page_token) = R::items_and_next_page_token(page);
                let next = (!next_page_token.is_empty()).then(|| {
                    request.set_page_token(next_page_token);
                    request
                });
                Ok(Some((items, next)))
            }
        });
        let items = pages.flat_map(|page| match page {
            Ok(items) => stream::iter(items).map(Ok).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        });
        Items(items.boxed())
    }

    /// Compares the ledger of a namespace with its levels and reservations. The stream gives the progress about every
    /// half second, and the result at the end. It has no deadline: a large namespace takes minutes.
    ///
    /// An empty namespace in the request means that of the client.
    pub fn verify_namespace(&self, request: v1::VerifyNamespaceRequest) -> Items<v1::VerifyNamespaceResponse> {
        let client = self.clone();
        let responses = async move {
            match client.stream(request, client.timeout()).await {
                Ok(responses) => responses_until_closed(client, responses).left_stream(),
                Err(error) => stream::iter([Err(error)]).right_stream(),
            }
        };
        Items(stream::once(responses).flatten().boxed())
    }
}

/// Returns the responses of a stream, which ends with an error when the client is closed.
fn responses_until_closed<T: Send + 'static>(
    client: Client,
    responses: Streaming<T>,
) -> impl Stream<Item = Result<T, Error>> + Send {
    stream::try_unfold((client, responses), |(client, mut responses)| async move {
        let response = tokio::select! {
            biased;
            () = client.closed() => return Err(client.closed_error()),
            response = responses.message() => response,
        };
        let response = response.map_err(|status| Error::of_stream(status, client.address()))?;
        Ok(response.map(|response| (response, (client, responses))))
    })
}
