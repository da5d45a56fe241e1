//! The calls of the contract as traits of their requests: the path of each, its response and the fields that the client
//! fills in. `generated/calls.rs` implements them for each request.

use prost::Message;

#[allow(clippy::wildcard_imports, reason = "every request is in the table")]
use crate::v1::*;

/// A request: a call of the contract, with the message that answers it.
///
/// The SDK implements it for each request message of [`crate::v1`].
pub trait Rpc: Message + Default + Clone + 'static {
    /// The message that answers the request.
    type Response: Message + Default + 'static;
    /// The path of the call on the wire, as in `/tallykeeper.v1.CounterService/Increment`.
    const PATH: &'static str;

    #[doc(hidden)]
    fn complete(&mut self, namespace: &str, new_request_id: &dyn Fn() -> String);

    /// Returns the request id of a mutation, and an empty text for a read.
    fn request_id(&self) -> &str;
}

/// A request that one response answers.
pub trait Unary: Rpc {}

/// A request that a stream of responses answers.
pub trait Streamed: Rpc {}

/// A request within a namespace.
pub trait InNamespace: Rpc {
    #[doc(hidden)]
    fn set_namespace(&mut self, namespace: String);
}

/// A request that changes something, and that the server carries out once for each request id.
pub trait Mutation: Unary + InNamespace {
    #[doc(hidden)]
    fn set_request_id(&mut self, request_id: String);
    #[doc(hidden)]
    fn set_reason(&mut self, reason: String);
    #[doc(hidden)]
    fn set_reference(&mut self, reference: String);
}

/// A request for a page of a listing.
pub trait Pages: Unary {
    /// The message of which a page has many.
    type Item: Send + 'static;

    #[doc(hidden)]
    fn set_page_token(&mut self, page_token: String);
    #[doc(hidden)]
    fn items_and_next_page_token(response: Self::Response) -> (Vec<Self::Item>, String);
}

macro_rules! mutation {
    ($request:ident, $response:ident, $path:literal) => {
        impl Rpc for $request {
            type Response = $response;
            const PATH: &'static str = $path;

            fn complete(&mut self, namespace: &str, new_request_id: &dyn Fn() -> String) {
                if self.namespace.is_empty() {
                    self.namespace = namespace.to_owned();
                }
                if self.request_id.is_empty() {
                    self.request_id = new_request_id();
                }
            }

            fn request_id(&self) -> &str {
                &self.request_id
            }
        }
        impl InNamespace for $request {
            fn set_namespace(&mut self, namespace: String) {
                self.namespace = namespace;
            }
        }
        impl Mutation for $request {
            fn set_request_id(&mut self, request_id: String) {
                self.request_id = request_id;
            }
            fn set_reason(&mut self, reason: String) {
                self.reason = reason;
            }
            fn set_reference(&mut self, reference: String) {
                self.reference = reference;
            }
        }
    };
}

macro_rules! read {
    ($request:ident, $response:ident, $path:literal) => {
        impl Rpc for $request {
            type Response = $response;
            const PATH: &'static str = $path;

            fn complete(&mut self, namespace: &str, _: &dyn Fn() -> String) {
                if self.namespace.is_empty() {
                    self.namespace = namespace.to_owned();
                }
            }

            fn request_id(&self) -> &str {
                ""
            }
        }
        impl InNamespace for $request {
            fn set_namespace(&mut self, namespace: String) {
                self.namespace = namespace;
            }
        }
    };
}

macro_rules! read_everywhere {
    ($request:ident, $response:ident, $path:literal) => {
        impl Rpc for $request {
            type Response = $response;
            const PATH: &'static str = $path;

            fn complete(&mut self, _: &str, _: &dyn Fn() -> String) {}

            fn request_id(&self) -> &str {
                ""
            }
        }
    };
}

macro_rules! unary {
    ($request:ident) => {
        impl Unary for $request {}
    };
}

macro_rules! stream {
    ($request:ident) => {
        impl Streamed for $request {}
    };
}

macro_rules! pages {
    ($request:ident, $item:ident, $items:ident) => {
        impl Pages for $request {
            type Item = $item;

            fn set_page_token(&mut self, page_token: String) {
                self.page_token = page_token;
            }

            fn items_and_next_page_token(response: Self::Response) -> (Vec<$item>, String) {
                (response.$items, response.next_page_token)
            }
        }
    };
}

macro_rules! operation {
    ($request:ident, $variant:ident) => {
        impl From<$request> for Operation {
            fn from(request: $request) -> Operation {
                Operation {
                    operation: Some(operation::Operation::$variant(request)),
                }
            }
        }
    };
}

include!("generated/calls.rs");
