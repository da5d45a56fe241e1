//! The token that goes with every call, and its renewal.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tonic::Code;
use tonic::metadata::{Ascii, MetadataValue};

use crate::error::{Error, ErrorKind};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Fetch = Arc<dyn Fn() -> BoxFuture<'static, Result<String, BoxError>> + Send + Sync>;
pub(crate) type Header = MetadataValue<Ascii>;

/// A token that is no header value: it is empty, or not printable ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is printable ASCII, and not empty")]
pub(crate) struct BadToken;

/// The credential of a client.
#[derive(Clone, Default)]
pub(crate) enum Credential {
    /// No token, because the server asks for none or knows the client's certificate.
    #[default]
    None,
    /// A token that never changes.
    Fixed(Header),
    /// A function that gives tokens, and the token that it gave last.
    Renewed {
        fetch: Fetch,
        current: Arc<Mutex<Option<Header>>>,
    },
}

impl Credential {
    pub(crate) fn fixed(token: &str) -> Result<Credential, BadToken> {
        Ok(Credential::Fixed(header(token)?))
    }

    pub(crate) fn renewed(fetch: Fetch) -> Credential {
        Credential::Renewed {
            fetch,
            current: Arc::default(),
        }
    }

    /// Returns the `authorization` header of a call. Calls that need a new token at the same time share one fetch.
    pub(crate) async fn header(&self) -> Result<Option<Header>, Error> {
        match self {
            Credential::None => Ok(None),
            Credential::Fixed(header) => Ok(Some(header.clone())),
            Credential::Renewed { fetch, current } => {
                let mut current = current.lock().await;
                if current.is_none() {
                    let token = fetch().await.map_err(|error| unavailable(&*error))?;
                    *current = Some(header(&token).map_err(|error| unavailable(&error))?);
                }
                Ok(current.clone())
            }
        }
    }

    /// Forgets a token that has expired, unless another call has done so. Tells whether there will be a new one.
    pub(crate) async fn renew(&self, expired: Option<&Header>) -> bool {
        let Credential::Renewed { current, .. } = self else {
            return false;
        };
        let mut current = current.lock().await;
        if current.as_ref() == expired {
            *current = None;
        }
        true
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Credential::None => "None",
            Credential::Fixed(_) => "Fixed(…)",
            Credential::Renewed { .. } => "Renewed(…)",
        })
    }
}

fn header(token: &str) -> Result<Header, BadToken> {
    if token.is_empty() || !token.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(BadToken);
    }
    let mut header: Header = format!("Bearer {token}").parse().map_err(|_| BadToken)?;
    header.set_sensitive(true);
    Ok(header)
}

fn unavailable(cause: &dyn std::error::Error) -> Error {
    let message = format!("the function that gives the token failed: {cause}");
    Error::new(Code::Unauthenticated, ErrorKind::CredentialUnavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_printable_ascii_and_not_empty() {
        for token in ["", "käse", "a\nb"] {
            assert_eq!(Credential::fixed(token).unwrap_err(), BadToken, "{token:?}");
        }
        assert!(Credential::fixed("tk_abc.123").is_ok());
    }

    #[test]
    fn a_token_is_not_printed() {
        let credential = Credential::fixed("secret").unwrap();
        assert_eq!(format!("{credential:?}"), "Fixed(…)");
        assert!(!format!("{:?}", header("secret").unwrap()).contains("secret"));
    }
}
