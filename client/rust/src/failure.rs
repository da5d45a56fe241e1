//! A failed attempt: the error for the caller, and the facts that a retry needs.

use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::error::{Error, ErrorKind};
use crate::wire::{Origin, cause_of, origin_of};

/// The server's word on when to send a call again (`grpc-retry-pushback-ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushback {
    After(Duration),
    Never,
}

/// A failed attempt.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) origin: Origin,
    pub(crate) pushback: Option<Pushback>,
}

impl Failure {
    /// Returns the failure of an attempt that this client ended itself.
    pub(crate) fn of(error: Error) -> Failure {
        Failure {
            error,
            origin: Origin::Expired,
            pushback: None,
        }
    }

    /// Reads the status of an attempt to call the server at an address.
    pub(crate) fn read(status: Status, address: &str, request_id: &str) -> Failure {
        let origin = origin_of(&status);
        let pushback = pushback_of(&status);
        let error = match origin {
            Origin::Answer => answered(&status, address),
            Origin::NotSent | Origin::Refused => Error::new(
                Code::Unavailable,
                ErrorKind::Unavailable,
                format!("no Tallykeeper server answers at {address}: {}", cause_of(&status)),
            ),
            Origin::Lost => Error::new(
                Code::Unavailable,
                ErrorKind::Unavailable,
                format!(
                    "the connection to {address} was lost before the answer: {}",
                    cause_of(&status)
                ),
            ),
            Origin::Expired => expired(address),
        };
        Failure {
            error: error.with_request_id(request_id).with_source(status),
            origin,
            pushback,
        }
    }
}

/// Returns the error of a call whose deadline is over.
pub(crate) fn expired(address: &str) -> Error {
    Error::new(
        Code::DeadlineExceeded,
        ErrorKind::DeadlineExceeded,
        format!("no answer from {address} before the deadline"),
    )
}

fn answered(status: &Status, address: &str) -> Error {
    if let Some(error) = pb::Status::decode(status.details())
        .ok()
        .and_then(|details| Error::from_details(status.code(), &details))
    {
        return error;
    }
    let message = match status.code() {
        Code::Unimplemented => format!(
            "the gRPC server at {address} does not know this call: it is no Tallykeeper server, or an older one"
        ),
        code => format!("the call to {address} failed with {code:?}: {}", status.message()),
    };
    Error::new(status.code(), ErrorKind::of_code(status.code()), message)
}

fn pushback_of(status: &Status) -> Option<Pushback> {
    let value = status.metadata().get("grpc-retry-pushback-ms")?;
    let pause_ms = value.to_str().ok().and_then(|text| text.parse().ok());
    Some(pause_ms.map_or(Pushback::Never, |pause_ms| {
        Pushback::After(Duration::from_millis(pause_ms))
    }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tonic::metadata::MetadataMap;
    use tonic::{ConnectError, TimeoutExpired};

    pub(crate) fn answer(code: Code) -> Failure {
        Failure::read(Status::new(code, "a message"), "127.0.0.1:1", "")
    }

    pub(crate) fn answer_with(code: Code, key: &'static str, value: &str) -> Failure {
        let mut metadata = MetadataMap::new();
        metadata.insert(key, value.parse().unwrap());
        Failure::read(Status::with_metadata(code, "a message", metadata), "127.0.0.1:1", "")
    }

    pub(crate) fn not_sent() -> Failure {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let status = Status::from_error(Box::new(ConnectError(Box::new(refused))));
        Failure::read(status, "127.0.0.1:1", "")
    }

    #[test]
    fn a_refused_connection_was_not_sent_and_says_where() {
        let failure = not_sent();
        assert_eq!(failure.origin, Origin::NotSent);
        assert_eq!(
            failure.error.to_string(),
            "no Tallykeeper server answers at 127.0.0.1:1: connection refused"
        );
    }

    #[test]
    fn a_handshake_with_invalid_data_is_refused() {
        let invalid = std::io::Error::new(std::io::ErrorKind::InvalidData, "unknown issuer");
        let status = Status::from_error(Box::new(ConnectError(Box::new(invalid))));
        let failure = Failure::read(status, "127.0.0.1:1", "");
        assert_eq!(failure.origin, Origin::Refused);
        assert!(failure.error.message().ends_with("unknown issuer"), "{}", failure.error);
    }

    #[test]
    fn an_unknown_of_the_server_is_an_answer_and_an_unknown_of_the_connection_is_lost() {
        assert_eq!(answer(Code::Unknown).origin, Origin::Answer);
        let broken = Status::from_error("broken pipe".into());
        assert_eq!(broken.code(), Code::Unknown);
        let failure = Failure::read(broken, "127.0.0.1:1", "id-1");
        assert_eq!(failure.origin, Origin::Lost);
        assert_eq!(failure.error.code(), Code::Unavailable);
        assert_eq!(failure.error.request_id(), "id-1");
    }

    #[test]
    fn a_timeout_of_the_channel_is_the_deadline() {
        let failure = Failure::read(Status::from_error(Box::new(TimeoutExpired(()))), "127.0.0.1:1", "");
        assert_eq!(failure.origin, Origin::Expired);
        assert!(matches!(failure.error.kind(), ErrorKind::DeadlineExceeded));
    }
}
