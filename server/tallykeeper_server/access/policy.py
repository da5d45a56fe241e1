"""What an access file says, as values: who is known by what, who may do what, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tallykeeper_server.access.file_stamps import FileStamp
from tallykeeper_server.access.roles import EVERYWHERE, Grant, Rights

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""How tokens may be signed: with a private key that this server does not have. A shared secret would let everyone who
can check tokens make them."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that someone was given. Its secret is known to nobody else: here is its SHA-256."""

    identity: str
    digest: bytes
    expires_at: float
    """In seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Somebody who vouches for identities by signing tokens."""

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
    """How often somebody may call, for each worker."""

    calls_per_second: float
    burst: float
    """How many calls at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """All of it. What is not said is not allowed."""

    keys: Mapping[str, ApiKey] = field(default_factory=dict)
    """By the part of the key that is no secret."""
    certificates: Mapping[str, str] = field(default_factory=dict)
    """The identity of each subject alternative name."""
    issuers: Mapping[str, Issuer] = field(default_factory=dict)
    grants: Mapping[str, tuple[Grant, ...]] = field(default_factory=dict)
    """By identity; ``*`` is everybody who is known."""
    rates: Mapping[str, Rate] = field(default_factory=dict)
    """By identity; ``*`` is everybody who has none of their own."""
    files: Mapping[Path, FileStamp] = field(default_factory=dict)
    """What all this was read from, as each was then."""

    def rights_of(self, identity: str) -> Rights:
        """Return what an identity may do."""
        return Rights((*self.grants.get(identity, ()), *self.grants.get(EVERYWHERE, ())))

    def rate_of(self, identity: str) -> Rate | None:
        """Return how often an identity may call; None if as often as it likes."""
        return self.rates.get(identity) or self.rates.get(EVERYWHERE)
