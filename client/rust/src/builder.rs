//! The options of a client: the address, TLS, the token and the defaults of its calls.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::client::Client;
use crate::credential::{BadToken, Credential};
use crate::wire::Wire;

/// The deadline of a call for which neither the call nor the client names one.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection with a call on it that is silent for this time is asked whether the server is there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// The time that the server has to answer that.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Options that cannot be used. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The text is not an address.
    #[error("{address:?} is not an address: write host:port, such as 127.0.0.1:50051")]
    Address {
        /// The address.
        address: String,
    },
    /// The token is empty, or not printable ASCII.
    #[error("a token is printable ASCII, and not empty")]
    Token,
    /// The default deadline is 0.
    #[error("the default deadline is 0: a call would have no time")]
    Timeout,
    /// A file of a certificate or key cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The certificates or the key cannot be used.
    #[error("the certificates or the key for {address} cannot be used: {}", root_cause(source))]
    Tls {
        /// The address.
        address: String,
        /// The reason.
        source: tonic::transport::Error,
    },
    /// The client was not made inside of a Tokio runtime.
    #[error("a client needs a Tokio runtime: call connect_lazy in an async function or after Runtime::enter")]
    NoRuntime,
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The options of a [`Client`]. [`Client::builder`] makes it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tallykeeper::BuildError> {
/// use std::time::Duration;
/// use tallykeeper::Client;
///
/// let client = Client::builder("tally.example.org:443")
///     .tls()
///     .token("tk_shop.3xAmpLe")
///     .namespace("shop")
///     .timeout(Duration::from_secs(2))
///     .connect_lazy()?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes a client with connect_lazy"]
pub struct ClientBuilder {
    address: String,
    namespace: String,
    timeout: Duration,
    retries: bool,
    tls: Option<Tls>,
    credential: Result<Credential, BadToken>,
}

#[derive(Clone, Debug, Default)]
struct Tls {
    ca: Option<Pem>,
    identity: Option<(Pem, Pem)>,
    server_name: Option<String>,
}

/// A PEM text, or the file that holds it.
#[derive(Clone)]
enum Pem {
    Text(Vec<u8>),
    File(PathBuf),
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Pem::Text(_) => formatter.write_str("Text(…)"),
            Pem::File(path) => formatter.debug_tuple("File").field(path).finish(),
        }
    }
}

impl Pem {
    fn read(&self) -> Result<Vec<u8>, BuildError> {
        match self {
            Pem::Text(text) => Ok(text.clone()),
            Pem::File(path) => std::fs::read(path).map_err(|source| BuildError::File {
                path: path.clone(),
                source,
            }),
        }
    }
}

impl ClientBuilder {
    pub(crate) fn new(address: String) -> ClientBuilder {
        ClientBuilder {
            address,
            namespace: String::new(),
            timeout: TIMEOUT_DEFAULT,
            retries: true,
            tls: None,
            credential: Ok(Credential::None),
        }
    }

    /// Sets the namespace of every call that names none. Without it, the server takes `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the deadline of every call that names none: the time for the call with all its retries, 5 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets whether calls are sent again after a failure that may pass; `true` by default. Watches resume in any case.
    pub fn retries(mut self, retries: bool) -> Self {
        self.retries = retries;
        self
    }

    /// Uses TLS, and trusts the certificate authorities of the operating system unless a call of this builder names
    /// another one.
    pub fn tls(mut self) -> Self {
        self.tls.get_or_insert_default();
        self
    }

    /// Uses TLS, and trusts the certificate authorities of a PEM file alone.
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Self {
        self.tls.get_or_insert_default().ca = Some(Pem::File(path.as_ref().to_owned()));
        self
    }

    /// Uses TLS, and trusts the certificate authorities of a PEM text alone.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.get_or_insert_default().ca = Some(Pem::Text(pem.into()));
        self
    }

    /// Uses mutual TLS: shows the server a certificate, with the key that belongs to it, from PEM files.
    pub fn certificate_files(mut self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        let file = |path: &Path| Pem::File(path.to_owned());
        self.tls.get_or_insert_default().identity = Some((file(certificate.as_ref()), file(key.as_ref())));
        self
    }

    /// Uses mutual TLS: shows the server a certificate, with the key that belongs to it, from PEM texts.
    pub fn certificate_pem(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let identity = (Pem::Text(certificate.into()), Pem::Text(key.into()));
        self.tls.get_or_insert_default().identity = Some(identity);
        self
    }

    /// Uses TLS, and expects this name in the server's certificate in place of the host of the address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.tls.get_or_insert_default().server_name = Some(name.into());
        self
    }

    /// Sends a token, an API key or a JWT, with every call.
    pub fn token(mut self, token: impl AsRef<str>) -> Self {
        self.credential = Credential::fixed(token.as_ref());
        self
    }

    /// Sends a token with every call, and asks a function for it: before the first call, and again when the server
    /// answers that the token has expired. The call that met this is then sent again with the new token.
    ///
    /// ```
    /// # use tallykeeper::Client;
    /// # async fn token_of_the_identity_provider() -> Result<String, std::io::Error> { Ok("a.b.c".to_owned()) }
    /// let builder = Client::builder("127.0.0.1:50051").token_from(token_of_the_identity_provider);
    /// ```
    pub fn token_from<F, T, E>(mut self, fetch: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let fetch = move || {
            let token = fetch();
            async move { token.await.map_err(Into::into) }.boxed()
        };
        self.credential = Ok(Credential::renewed(Arc::new(fetch)));
        self
    }

    /// Makes the client. It connects with its first call, and again whenever the connection is lost.
    ///
    /// # Errors
    ///
    /// Returns an error if an option cannot be used, or if there is no Tokio runtime.
    pub fn connect_lazy(self) -> Result<Client, BuildError> {
        let credential = self.credential.clone().map_err(|_| BuildError::Token)?;
        if self.timeout.is_zero() {
            return Err(BuildError::Timeout);
        }
        let endpoint = self.endpoint()?;
        tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        Ok(Client::over(
            Wire(endpoint.connect_lazy()),
            self.address,
            self.namespace,
            self.timeout,
            self.retries,
            credential,
        ))
    }

    fn endpoint(&self) -> Result<Endpoint, BuildError> {
        let address = &self.address;
        let bad_address = || BuildError::Address {
            address: address.clone(),
        };
        if !is_address(address) {
            return Err(bad_address());
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
            .and_then(|endpoint| endpoint.user_agent(concat!("tallykeeper-rust/", env!("CARGO_PKG_VERSION"))))
            .map_err(|_| bad_address())?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.config()?).map_err(|source| BuildError::Tls {
                address: address.clone(),
                source,
            })?;
        }
        Ok(endpoint)
    }
}

impl Tls {
    fn config(&self) -> Result<ClientTlsConfig, BuildError> {
        let mut config = match &self.ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca.read()?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some((certificate, key)) = &self.identity {
            config = config.identity(Identity::from_pem(certificate.read()?, key.read()?));
        }
        if let Some(name) = &self.server_name {
            config = config.domain_name(name);
        }
        Ok(config)
    }
}

/// Tells whether an address is a host and a port, without a scheme, a user or a path.
fn is_address(address: &str) -> bool {
    let authority: Option<http::uri::Authority> = address.parse().ok();
    authority.is_some_and(|authority| {
        !authority.host().is_empty() && authority.port_u16().is_some() && !address.contains('@')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for address in ["127.0.0.1:50051", "[::1]:50051", "localhost:1", "tally.example.org:443"] {
            assert!(is_address(address), "{address}");
        }
        for address in [
            "",
            "localhost",
            "localhost:",
            ":50051",
            "localhost:70000",
            "http://localhost:1",
            "a@b:1",
            "a:1/b",
        ] {
            assert!(!is_address(address), "{address}");
        }
    }

    #[tokio::test]
    async fn options_that_cannot_be_used_are_named() {
        let message = |builder: ClientBuilder| builder.connect_lazy().unwrap_err().to_string();
        let builder = || ClientBuilder::new("localhost:1".to_owned());
        assert!(message(ClientBuilder::new("localhost".to_owned())).starts_with("\"localhost\" is not an address"));
        assert!(message(builder().token("")).starts_with("a token is printable ASCII"));
        assert!(message(builder().timeout(Duration::ZERO)).starts_with("the default deadline is 0"));
        assert!(message(builder().ca_file("no/such.pem")).starts_with("no/such.pem cannot be read"));
        let message = message(builder().ca_pem("no PEM").certificate_pem("no PEM", "no PEM"));
        assert!(
            message.starts_with("the certificates or the key for localhost:1 cannot be used"),
            "{message}"
        );
    }

    #[test]
    fn a_client_needs_a_runtime() {
        let client = ClientBuilder::new("localhost:1".to_owned()).connect_lazy();
        assert!(matches!(client, Err(BuildError::NoRuntime)));
    }
}
