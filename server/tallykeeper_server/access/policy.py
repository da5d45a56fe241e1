"""The contents of an access file as values: credentials, grants and rates of identities."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tallykeeper_server.access.file_stamps import FileStamp
from tallykeeper_server.access.roles import EVERYWHERE, Grant, Rights

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""The signature algorithms of tokens. All use a private key, which this server does not have. With a shared secret,
everyone who can check tokens could also make them."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key that was given to somebody. Only its holder has the secret; this is the SHA-256 of it."""

    identity: str
    digest: bytes
    expires_at: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """A service that signs tokens for identities."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    jwks: Any
    """The public keys, as PyJWT's PyJWKSet."""
    claim: str
    prefix: str
    leeway_seconds: float


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate at which an identity may call each worker."""

    calls_per_second: float
    burst: float
    """The number of calls that are permitted at once after a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """The contents of an access file. Everything that it does not allow is forbidden."""

    keys: Mapping[str, ApiKey] = field(default_factory=dict)
    """The API keys, by their ids, which are not secret."""
    certificates: Mapping[str, str] = field(default_factory=dict)
    """The identity of each subject alternative name."""
    issuers: Mapping[str, Issuer] = field(default_factory=dict)
    grants: Mapping[str, tuple[Grant, ...]] = field(default_factory=dict)
    """The grants by identity; ``*`` stands for every known identity."""
    rates: Mapping[str, Rate] = field(default_factory=dict)
    """The rates by identity; ``*`` stands for every identity without a rate."""
    files: Mapping[Path, FileStamp] = field(default_factory=dict)
    """The files that were read, and the stamp that each had then."""

    def rights_of(self, identity: str) -> Rights:
        """Return the rights of an identity."""
        return Rights((*self.grants.get(identity, ()), *self.grants.get(EVERYWHERE, ())))

    def rate_of(self, identity: str) -> Rate | None:
        """Return the rate of an identity; None if its calls are not limited."""
        return self.rates.get(identity) or self.rates.get(EVERYWHERE)
