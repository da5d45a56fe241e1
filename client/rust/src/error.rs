//! The error of a call: its code, its reason and the reason's values, read from the details that the server sends.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::failure::Failure;
use crate::v1;

const DOMAIN: &str = "tallykeeper.io";

/// A call that failed, with all that the server said of it.
///
/// [`kind`](Error::kind) is what a program matches on. [`reason`](Error::reason) and [`values`](Error::values) are the
/// same as the server sent them.
///
/// ```
/// use tallykeeper::{Client, Error, ErrorKind};
///
/// # async fn sell(client: &Client) -> Result<(), Error> {
/// match client.take_copies("dune", 2).await {
///     Ok(response) => println!("{} copies left", response.stock_level.unwrap_or_default().available),
///     Err(error) => match error.kind() {
///         ErrorKind::InsufficientStock { shortages, .. } => println!("only {} left", shortages[0].available),
///         _ => return Err(error),
///     },
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    reason: Option<String>,
    message: String,
    values: BTreeMap<String, String>,
    kind: ErrorKind,
    retry_after: Option<Duration>,
    request_id: String,
    source: Option<Status>,
}

/// The kind of a failure, one for each reason of the contract.
///
/// Nothing was changed, unless the kind says something else.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Operations of an atomic batch failed. The code of the error is that of the first of them.
    BatchRefused {
        /// The number of operations that failed.
        failed_count: i32,
        /// The first operations that failed: at least one, at most 20.
        operations: Vec<FailedOperation>,
    },
    /// The batch has more operations, or more lines, than the server takes.
    BatchTooLarge,
    /// The client was closed before the call was answered. The change may have been made.
    Closed,
    /// The lines of a commit name more copies than are reserved.
    CommitExceedsReserved {
        /// The lines that ask for too many copies, with `requested` and `reserved`: at least one, at most 20.
        shortages: Vec<v1::Shortage>,
        /// The number of lines that ask for too many copies.
        count: i32,
    },
    /// The counter would be outside its bounds.
    CounterBoundExceeded {
        /// The value of the counter, or the one that was to be set.
        value: i64,
        /// The number that could not be added; `None` if a value or bounds were to be set.
        delta: Option<i64>,
        /// The lower bound, if there is one.
        min: Option<i64>,
        /// The upper bound, if there is one.
        max: Option<i64>,
    },
    /// There is no such counter.
    CounterNotFound {
        /// The name of the counter.
        counter: String,
    },
    /// The token or key has expired.
    CredentialExpired,
    /// The server does not know the token, key or certificate.
    CredentialInvalid,
    /// The server asks for a token, a key or a certificate.
    CredentialMissing,
    /// The function that gives the token failed. Nothing was sent.
    CredentialUnavailable,
    /// The deadline was over before there was an answer. The change may have been made: a repeat with the same request
    /// id gets its outcome.
    DeadlineExceeded,
    /// There are fewer copies than were asked for.
    InsufficientStock {
        /// The lines that ask for too many copies: at least one, at most 20.
        shortages: Vec<v1::Shortage>,
        /// The number of lines that ask for too many copies.
        count: i32,
    },
    /// A defect of the server, which has logged it.
    Internal,
    /// Fields of the request break a rule.
    InvalidField {
        /// The fields, each with the rule that it breaks: the first 20.
        violations: Vec<FieldViolation>,
    },
    /// There is no such stock level.
    ItemNotFound {
        /// The item.
        item: String,
        /// The location; `None` if the item has no level at any location.
        location: Option<String>,
    },
    /// The stored level, counter or reservation is one that the server did not write.
    LevelDamaged,
    /// The change was made, but may still be lost: a repeat with the same request id waits until it is safe.
    NotDurableYet,
    /// The change may have been made: a repeat with the same request id gets its outcome.
    OutcomeUnknown,
    /// The server has too many calls to do.
    Overloaded,
    /// The page token does not belong to this listing.
    PageTokenInvalid,
    /// The caller lacks a role.
    PermissionDenied {
        /// The caller, as the server knows it.
        identity: String,
        /// The role that it lacks.
        role: String,
        /// The namespace in which it lacks the role.
        namespace: String,
    },
    /// The caller makes more calls than it may.
    RateLimited,
    /// The request id came before with another request.
    RequestIdReused,
    /// The request has more bytes than the server takes.
    RequestTooLarge {
        /// The bytes of the request.
        size: i64,
        /// The bytes that the server takes.
        limit: i64,
    },
    /// The copies of the reservation were taken: it is no longer active.
    ReservationCommitted {
        /// The id of the reservation.
        reservation_id: String,
    },
    /// Another reservation has this id.
    ReservationExists {
        /// The id of the reservation.
        reservation_id: String,
    },
    /// The time of the reservation was up: it is no longer active.
    ReservationExpired {
        /// The id of the reservation.
        reservation_id: String,
    },
    /// The reservation would live longer than the server allows.
    ReservationLifetimeExceeded {
        /// The id of the reservation.
        reservation_id: String,
        /// The lifetime that was asked for, from the beginning of the reservation.
        lifetime_ms: i64,
        /// The lifetime that the server allows.
        lifetime_ms_max: i64,
    },
    /// There is no such reservation, or it ended so long ago that it is no longer kept.
    ReservationNotFound {
        /// The id of the reservation.
        reservation_id: String,
    },
    /// The copies of the reservation were given back: it is no longer active.
    ReservationReleased {
        /// The id of the reservation.
        reservation_id: String,
    },
    /// The namespace has not reached the revision that was asked for, or the store lost changes.
    RevisionAhead {
        /// The revision of the namespace.
        revision: i64,
    },
    /// The ledger has dropped entries after the revision that was asked for.
    RevisionTrimmed {
        /// The revision that was asked for.
        after_revision: i64,
        /// The first revision that the ledger has.
        oldest: i64,
    },
    /// The store lost entries that the watch may have given. Read the levels, and watch again from there.
    RevisionsLost {
        /// The revision up to which entries may be lost.
        revision: i64,
    },
    /// The server stops.
    ShuttingDown,
    /// With so few copies on hand there would be fewer than are reserved.
    StockBelowReserved {
        /// The item.
        item: String,
        /// The location.
        location: String,
        /// The copies on hand that were to be set.
        on_hand: i64,
        /// The copies that reservations hold.
        reserved: i64,
        /// The copies that may be taken beyond those on hand.
        backorder_limit: i64,
    },
    /// The level still has copies, and so it cannot be deleted.
    StockNotEmpty {
        /// The item.
        item: String,
        /// The location.
        location: String,
        /// The copies on hand.
        on_hand: i64,
        /// The copies that reservations hold.
        reserved: i64,
    },
    /// The store has no memory left for changes.
    StoreOutOfMemory,
    /// The server cannot reach its store.
    StoreUnavailable,
    /// The server has no room for another watch.
    TooManyWatches,
    /// No server answers, or the connection was lost. The change may have been made: a repeat with the same request id
    /// gets its outcome.
    Unavailable,
    /// The counter or level has another value than was expected.
    ValueChanged {
        /// The value that it has.
        actual: i64,
        /// The value that was expected.
        expected: i64,
    },
    /// The result would be outside -(2^53-1) .. 2^53-1.
    ValueOverflow,
    /// The watcher does not read as fast as changes come.
    WatcherTooSlow,
    /// A failure for which this version of the SDK has no kind: see [`Error::code`] and [`Error::reason`].
    Other,
}

/// A field of a request and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path of the field, as in `operations[2].increment.delta`.
    pub field: String,
    /// The rule, with the value that breaks it.
    pub description: String,
}

/// An operation of a batch that failed.
#[derive(Clone, Debug)]
pub struct FailedOperation {
    /// The index of the operation; 0 is the first.
    pub index: i32,
    /// The error with which the call of the operation would have failed.
    pub error: Error,
}

impl Error {
    pub(crate) fn new(code: Code, kind: ErrorKind, message: String) -> Error {
        Error(Box::new(Inner {
            code,
            reason: None,
            message,
            values: BTreeMap::new(),
            kind,
            retry_after: None,
            request_id: String::new(),
            source: None,
        }))
    }

    /// Reads the details of an error; `None` if they are not those of a Tallykeeper server.
    pub(crate) fn from_details(code: Code, status: &pb::Status) -> Option<Error> {
        let info: pb::ErrorInfo = detail(&status.details, "google.rpc.ErrorInfo")?;
        if info.domain != DOMAIN {
            return None;
        }
        let retry: Option<pb::RetryInfo> = detail(&status.details, "google.rpc.RetryInfo");
        let values: BTreeMap<_, _> = info.metadata.into_iter().collect();
        let kind = ErrorKind::of_reason(&info.reason, &Values(&values), &status.details);
        let mut error = Error::new(code, kind.unwrap_or(ErrorKind::Other), status.message.clone());
        error.0.reason = Some(info.reason);
        error.0.values = values;
        error.0.retry_after = retry
            .and_then(|retry| retry.retry_delay)
            .and_then(|delay| delay.try_into().ok());
        Some(error)
    }

    /// Reads the error of an operation in a batch.
    fn from_operation(status: &v1::Status) -> Error {
        let code = Code::from(status.code);
        let details = pb::Status {
            code: status.code,
            message: status.message.clone(),
            details: status.details.clone(),
        };
        Error::from_details(code, &details)
            .unwrap_or_else(|| Error::new(code, ErrorKind::of_code(code), status.message.clone()))
    }

    /// Reads the status with which a stream ended.
    pub(crate) fn of_stream(status: Status, address: &str) -> Error {
        Failure::read(status, address, "").error
    }

    pub(crate) fn with_request_id(mut self, request_id: &str) -> Error {
        request_id.clone_into(&mut self.0.request_id);
        if let ErrorKind::BatchRefused { operations, .. } = &mut self.0.kind {
            for operation in operations {
                request_id.clone_into(&mut operation.error.0.request_id);
            }
        }
        self
    }

    pub(crate) fn with_source(mut self, source: Status) -> Error {
        self.0.source = Some(source);
        self
    }

    /// Returns the kind of the error, with the values that belong to it.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns the gRPC code. A connection that fails or is lost has the code `Unavailable`.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the reason that the server gave, as in `INSUFFICIENT_STOCK`; `None` if the server gave none.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Returns the error in words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the values that belong to the reason; empty if the server gave none.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.0.values
    }

    /// Returns the time after which the server asks the caller to try again, if it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the request id that was sent; empty for a read. The same call with the same request id gets the outcome
    /// of this one.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// Tells whether there is no such counter, stock level or reservation.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == Code::NotFound
    }

    /// Tells whether the change may have been made: the server did not say whether it was. To find out, make the same
    /// call with the [`request_id`](Error::request_id) of this error.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        let unanswered = matches!(
            self.kind(),
            ErrorKind::OutcomeUnknown
                | ErrorKind::NotDurableYet
                | ErrorKind::DeadlineExceeded
                | ErrorKind::Unavailable
                | ErrorKind::Closed
        );
        unanswered && !self.request_id().is_empty()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("code", &self.0.code)
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("values", &self.0.values)
            .field("request_id", &self.0.request_id)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|status| status as _)
    }
}

impl v1::OperationResult {
    /// Returns the error with which the operation's own call would have failed; `None` if the operation succeeded.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        match &self.result {
            Some(v1::operation_result::Result::Error(status)) => Some(Error::from_operation(status)),
            _ => None,
        }
    }
}

impl ErrorKind {
    /// Returns the kind of an error that has no reason of the contract.
    pub(crate) fn of_code(code: Code) -> ErrorKind {
        match code {
            Code::Unavailable => ErrorKind::Unavailable,
            Code::DeadlineExceeded => ErrorKind::DeadlineExceeded,
            _ => ErrorKind::Other,
        }
    }

    /// Returns the kind of a reason; `None` if it is not known, or if values that belong to it are missing.
    fn of_reason(reason: &str, values: &Values<'_>, details: &[Any]) -> Option<ErrorKind> {
        let kind = match reason {
            "BATCH_REFUSED" => batch_refused(details)?,
            "BATCH_TOO_LARGE" => ErrorKind::BatchTooLarge,
            "COMMIT_EXCEEDS_RESERVED" => {
                let (shortages, count) = shortages(details)?;
                ErrorKind::CommitExceedsReserved { shortages, count }
            }
            "COUNTER_BOUND_EXCEEDED" => ErrorKind::CounterBoundExceeded {
                value: values.number("value")?,
                delta: values.number("delta"),
                min: values.number("min"),
                max: values.number("max"),
            },
            "COUNTER_NOT_FOUND" => ErrorKind::CounterNotFound {
                counter: values.text("counter")?,
            },
            "CREDENTIAL_EXPIRED" => ErrorKind::CredentialExpired,
            "CREDENTIAL_INVALID" => ErrorKind::CredentialInvalid,
            "CREDENTIAL_MISSING" => ErrorKind::CredentialMissing,
            "DEADLINE_EXCEEDED" => ErrorKind::DeadlineExceeded,
            "INSUFFICIENT_STOCK" => {
                let (shortages, count) = shortages(details)?;
                ErrorKind::InsufficientStock { shortages, count }
            }
            "INTERNAL" => ErrorKind::Internal,
            "INVALID_FIELD" => ErrorKind::InvalidField {
                violations: violations(details),
            },
            "ITEM_NOT_FOUND" => ErrorKind::ItemNotFound {
                item: values.text("item")?,
                location: values.text("location"),
            },
            "LEVEL_DAMAGED" => ErrorKind::LevelDamaged,
            "NOT_DURABLE_YET" => ErrorKind::NotDurableYet,
            "OUTCOME_UNKNOWN" => ErrorKind::OutcomeUnknown,
            "OVERLOADED" => ErrorKind::Overloaded,
            "PAGE_TOKEN_INVALID" => ErrorKind::PageTokenInvalid,
            "PERMISSION_DENIED" => ErrorKind::PermissionDenied {
                identity: values.text("identity")?,
                role: values.text("role")?,
                namespace: values.text("namespace")?,
            },
            "RATE_LIMITED" => ErrorKind::RateLimited,
            "REQUEST_ID_REUSED" => ErrorKind::RequestIdReused,
            "REQUEST_TOO_LARGE" => ErrorKind::RequestTooLarge {
                size: values.number("size")?,
                limit: values.number("limit")?,
            },
            "REVISION_AHEAD" => ErrorKind::RevisionAhead {
                revision: values.number("revision")?,
            },
            "REVISION_TRIMMED" => ErrorKind::RevisionTrimmed {
                after_revision: values.number("after_revision")?,
                oldest: values.number("oldest")?,
            },
            "REVISIONS_LOST" => ErrorKind::RevisionsLost {
                revision: values.number("revision")?,
            },
            "SHUTTING_DOWN" => ErrorKind::ShuttingDown,
            "STOCK_BELOW_RESERVED" => ErrorKind::StockBelowReserved {
                item: values.text("item")?,
                location: values.text("location")?,
                on_hand: values.number("on_hand")?,
                reserved: values.number("reserved")?,
                backorder_limit: values.number("backorder_limit")?,
            },
            "STOCK_NOT_EMPTY" => ErrorKind::StockNotEmpty {
                item: values.text("item")?,
                location: values.text("location")?,
                on_hand: values.number("on_hand")?,
                reserved: values.number("reserved")?,
            },
            "STORE_OUT_OF_MEMORY" => ErrorKind::StoreOutOfMemory,
            "STORE_UNAVAILABLE" => ErrorKind::StoreUnavailable,
            "TOO_MANY_WATCHES" => ErrorKind::TooManyWatches,
            "VALUE_CHANGED" => ErrorKind::ValueChanged {
                actual: values.number("actual")?,
                expected: values.number("expected")?,
            },
            "VALUE_OVERFLOW" => ErrorKind::ValueOverflow,
            "WATCHER_TOO_SLOW" => ErrorKind::WatcherTooSlow,
            _ => of_reservation(reason, values)?,
        };
        Some(kind)
    }
}

fn of_reservation(reason: &str, values: &Values<'_>) -> Option<ErrorKind> {
    let reservation_id = values.text("reservation_id")?;
    let kind = match reason {
        "RESERVATION_COMMITTED" => ErrorKind::ReservationCommitted { reservation_id },
        "RESERVATION_EXISTS" => ErrorKind::ReservationExists { reservation_id },
        "RESERVATION_EXPIRED" => ErrorKind::ReservationExpired { reservation_id },
        "RESERVATION_LIFETIME_EXCEEDED" => ErrorKind::ReservationLifetimeExceeded {
            reservation_id,
            lifetime_ms: values.number("lifetime_ms")?,
            lifetime_ms_max: values.number("lifetime_ms_max")?,
        },
        "RESERVATION_NOT_FOUND" => ErrorKind::ReservationNotFound { reservation_id },
        "RESERVATION_RELEASED" => ErrorKind::ReservationReleased { reservation_id },
        _ => return None,
    };
    Some(kind)
}

/// The values of an error, with methods that read them by their types.
struct Values<'a>(&'a BTreeMap<String, String>);

impl Values<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.0.get(name)?.parse().ok()
    }
}

/// Returns the lines that ask for too many copies, and their number; `None` if the error lists none.
fn shortages(details: &[Any]) -> Option<(Vec<v1::Shortage>, i32)> {
    let detail: v1::Shortages = detail(details, "tallykeeper.v1.Shortages")?;
    (!detail.shortages.is_empty()).then_some((detail.shortages, detail.count))
}

fn violations(details: &[Any]) -> Vec<FieldViolation> {
    let detail: Option<pb::BadRequest> = detail(details, "google.rpc.BadRequest");
    detail
        .map(|detail| detail.field_violations)
        .unwrap_or_default()
        .into_iter()
        .map(|violation| FieldViolation {
            field: violation.field,
            description: violation.description,
        })
        .collect()
}

fn batch_refused(details: &[Any]) -> Option<ErrorKind> {
    let detail: v1::BatchRefused = detail(details, "tallykeeper.v1.BatchRefused")?;
    let failed = detail.operations.iter().filter_map(|operation| {
        Some(FailedOperation {
            index: operation.index,
            error: Error::from_operation(operation.error.as_ref()?),
        })
    });
    Some(ErrorKind::BatchRefused {
        failed_count: detail.failed_count,
        operations: failed.collect(),
    })
}

/// Returns the first detail of a type; `None` if there is none, or none that can be decoded.
fn detail<M: Message + Default>(details: &[Any], name: &str) -> Option<M> {
    details
        .iter()
        .filter(|detail| detail.type_url.rsplit('/').next() == Some(name))
        .find_map(|detail| M::decode(detail.value.as_slice()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed<M: Message>(name: &str, message: &M) -> Any {
        Any {
            type_url: format!("type.googleapis.com/{name}"),
            value: message.encode_to_vec(),
        }
    }

    fn info(reason: &str, values: &[(&str, &str)]) -> Any {
        let info = pb::ErrorInfo {
            reason: reason.to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        packed("google.rpc.ErrorInfo", &info)
    }

    fn error(code: Code, details: Vec<Any>) -> Error {
        let status = pb::Status {
            code: code as i32,
            message: "a message".to_owned(),
            details,
        };
        Error::from_details(code, &status).unwrap()
    }

    #[test]
    fn every_reason_has_a_kind() {
        let values = [
            ("item", "dune"),
            ("location", "main"),
            ("requested", "2"),
            ("available", "1"),
            ("reserved", "1"),
            ("backorder_limit", "0"),
            ("on_hand", "1"),
            ("counter", "votes"),
            ("value", "1"),
            ("delta", "1"),
            ("reservation_id", "basket"),
            ("lifetime_ms", "2"),
            ("lifetime_ms_max", "1"),
            ("identity", "shop"),
            ("role", "writer"),
            ("namespace", "default"),
            ("size", "2"),
            ("limit", "1"),
            ("revision", "2"),
            ("after_revision", "1"),
            ("oldest", "2"),
            ("actual", "1"),
            ("expected", "2"),
        ];
        let reasons = "BATCH_TOO_LARGE COMMIT_EXCEEDS_RESERVED COUNTER_BOUND_EXCEEDED COUNTER_NOT_FOUND \
            CREDENTIAL_EXPIRED CREDENTIAL_INVALID CREDENTIAL_MISSING DEADLINE_EXCEEDED INSUFFICIENT_STOCK INTERNAL \
            INVALID_FIELD ITEM_NOT_FOUND LEVEL_DAMAGED NOT_DURABLE_YET OUTCOME_UNKNOWN OVERLOADED PAGE_TOKEN_INVALID \
            PERMISSION_DENIED RATE_LIMITED REQUEST_ID_REUSED REQUEST_TOO_LARGE RESERVATION_COMMITTED \
            RESERVATION_EXISTS RESERVATION_EXPIRED RESERVATION_LIFETIME_EXCEEDED RESERVATION_NOT_FOUND \
            RESERVATION_RELEASED REVISIONS_LOST REVISION_AHEAD REVISION_TRIMMED SHUTTING_DOWN STOCK_BELOW_RESERVED \
            STOCK_NOT_EMPTY STORE_OUT_OF_MEMORY STORE_UNAVAILABLE TOO_MANY_WATCHES VALUE_CHANGED VALUE_OVERFLOW \
            WATCHER_TOO_SLOW";
        for reason in reasons.split_whitespace() {
            let lines = v1::Shortages {
                shortages: vec![v1::Shortage::default()],
                count: 1,
            };
            let details = vec![info(reason, &values), packed("tallykeeper.v1.Shortages", &lines)];
            let error = error(Code::Unknown, details);
            let kind = format!("{:?}", error.kind());
            let name = kind.split([' ', '{']).next().unwrap();
            assert_eq!(name.to_lowercase(), reason.replace('_', "").to_lowercase());
            assert_eq!(error.reason(), Some(reason));
        }
    }

    #[test]
    fn shortages_are_read_from_the_detail() {
        let shortage = v1::Shortage {
            item: "dune".to_owned(),
            location: "main".to_owned(),
            requested: 2,
            available: 1,
            ..Default::default()
        };
        let detail = v1::Shortages {
            shortages: vec![shortage.clone()],
            count: 30,
        };
        let details = vec![
            info("INSUFFICIENT_STOCK", &[]),
            packed("tallykeeper.v1.Shortages", &detail),
        ];
        let error = error(Code::FailedPrecondition, details);
        let ErrorKind::InsufficientStock { shortages, count } = error.kind() else {
            panic!("{error:?}");
        };
        assert_eq!((shortages.as_slice(), *count), ([shortage].as_slice(), 30));
    }

    #[test]
    fn an_error_about_missing_copies_without_a_short_line_is_other() {
        let values = [
            ("item", "dune"),
            ("location", "main"),
            ("requested", "2"),
            ("available", "1"),
            ("reserved", "1"),
        ];
        let empty = v1::Shortages {
            shortages: vec![],
            count: 1,
        };
        for reason in ["INSUFFICIENT_STOCK", "COMMIT_EXCEEDS_RESERVED"] {
            let without = vec![info(reason, &values)];
            let with_none = vec![info(reason, &values), packed("tallykeeper.v1.Shortages", &empty)];
            for details in [without, with_none] {
                let error = error(Code::FailedPrecondition, details);
                assert!(matches!(error.kind(), ErrorKind::Other), "{error:?}");
                assert_eq!(error.reason(), Some(reason));
            }
        }
    }

    #[test]
    fn a_refused_batch_names_the_operations_that_failed() {
        let detail = v1::BatchRefused {
            failed_count: 3,
            operations: vec![v1::FailedOperation {
                index: 2,
                error: Some(v1::Status {
                    code: Code::NotFound as i32,
                    message: "no counter".to_owned(),
                    details: vec![info("COUNTER_NOT_FOUND", &[("counter", "votes")])],
                }),
            }],
        };
        let details = vec![
            info("BATCH_REFUSED", &[]),
            packed("tallykeeper.v1.BatchRefused", &detail),
        ];
        let error = error(Code::NotFound, details).with_request_id("id-1");
        let ErrorKind::BatchRefused {
            failed_count,
            operations,
        } = error.kind()
        else {
            panic!("{error:?}");
        };
        assert_eq!((*failed_count, operations[0].index), (3, 2));
        let failed = &operations[0].error;
        assert!(failed.is_not_found());
        assert_eq!((failed.request_id(), failed.message()), ("id-1", "no counter"));
        assert!(matches!(failed.kind(), ErrorKind::CounterNotFound { counter } if counter == "votes"));
    }

    #[test]
    fn values_and_the_retry_delay_are_read() {
        let delay = pb::RetryInfo {
            retry_delay: Some(prost_types::Duration {
                seconds: 1,
                nanos: 500_000_000,
            }),
        };
        let details = vec![
            info("RATE_LIMITED", &[("burst", "9")]),
            packed("google.rpc.RetryInfo", &delay),
        ];
        let error = error(Code::ResourceExhausted, details);
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
        assert_eq!(error.values()["burst"], "9");
        assert_eq!(error.to_string(), "a message");
    }

    #[test]
    fn a_reason_without_its_values_and_an_unknown_reason_are_other() {
        for reason in ["COUNTER_NOT_FOUND", "SOMETHING_NEW"] {
            let error = error(Code::NotFound, vec![info(reason, &[])]);
            assert!(matches!(error.kind(), ErrorKind::Other), "{error:?}");
            assert_eq!(error.reason(), Some(reason));
        }
    }

    #[test]
    fn details_of_another_domain_are_not_read() {
        let info = pb::ErrorInfo {
            reason: "INSUFFICIENT_STOCK".to_owned(),
            domain: "example.org".to_owned(),
            ..Default::default()
        };
        let status = pb::Status {
            details: vec![packed("google.rpc.ErrorInfo", &info)],
            ..Default::default()
        };
        assert!(Error::from_details(Code::Unknown, &status).is_none());
    }

    #[test]
    fn the_outcome_of_a_read_is_never_unknown() {
        let error = Error::new(Code::Unavailable, ErrorKind::Unavailable, String::new());
        assert!(!error.is_outcome_unknown());
        assert!(error.with_request_id("id-1").is_outcome_unknown());
    }
}
