#![doc = include_str!("../README.md")]
#![warn(missing_docs, clippy::pedantic)]
#![forbid(unsafe_code)]

mod builder;
mod call;
mod client;
mod contract;
mod credential;
mod error;
mod failure;
mod retry;
mod streams;
mod watch;
mod wire;

pub use builder::{BuildError, ClientBuilder, TIMEOUT_DEFAULT};
pub use call::Call;
pub use client::{Client, new_request_id};
pub use contract::{InNamespace, Mutation, Pages, Rpc, Streamed, Unary};
pub use error::{Error, ErrorKind, FailedOperation, FieldViolation};
pub use streams::Items;
pub use tonic::Code;
pub use watch::Watch;

/// The messages of the contract, and tonic's own stubs, generated from `protos/tallykeeper/v1`.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    rustdoc::broken_intra_doc_links,
    rustdoc::invalid_html_tags,
    reason = "the code is generated"
)]
#[rustfmt::skip]
pub mod v1 {
    include!("generated/tallykeeper.v1.rs");
}
