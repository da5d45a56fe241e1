"""Credentials: API keys, tokens and certificates, and whose they are."""

import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import jwt

from tallykeeper_server.access.access_file import is_identity
from tallykeeper_server.access.policy import AccessPolicy, Issuer
from tallykeeper_server.access.roles import Caller
from tallykeeper_server.domain.errors import TallyError

_SCHEME: Final = "bearer "
_KEY_MARK: Final = "tk."
_SECRET_BYTES: Final = 32
_CREDENTIAL_BYTES_MAX: Final = 8_192
_REMEMBERED_MAX: Final = 10_000
_NO_DIGEST: Final = bytes(32)


class CredentialMissingError(TallyError):
    """The call says not who makes it."""

    reason = "CREDENTIAL_MISSING"

    def __init__(self) -> None:
        super().__init__(
            "this server asks who calls: send 'authorization: Bearer <API key or token>', or use a certificate that it"
            " knows"
        )


class CredentialInvalidError(TallyError):
    """The credential is none that this server knows. Which part of it is wrong is not told."""

    reason = "CREDENTIAL_INVALID"

    def __init__(self) -> None:
        super().__init__("the credential is not one that this server knows")


class CredentialExpiredError(TallyError):
    """The credential was good, and is no more."""

    reason = "CREDENTIAL_EXPIRED"

    def __init__(self) -> None:
        super().__init__("the credential has expired: get a new one")


def new_api_key(key_id: str) -> tuple[str, bytes]:
    """Make an API key; return it, and the SHA-256 of its secret, which is all that the server needs to know.

    The secret has 256 random bits, which nobody can guess: so a quick hash is as good as a slow one.
    """
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return f"{_KEY_MARK}{key_id}.{secret}", hashlib.sha256(secret.encode()).digest()


class Authenticator:
    """Finds out who calls, by one policy."""

    def __init__(self, policy: AccessPolicy, *, wall_clock: Callable[[], float] = time.time) -> None:
        """``wall_clock`` gives seconds since 1970."""
        self._policy = policy
        self._wall_clock = wall_clock
        self._callers: dict[tuple[str, float], Caller] = {}
        self._tokens: dict[bytes, Caller] = {}

    def caller(self, authorizations: Sequence[str], alternative_names: Sequence[str]) -> Caller:
        """Return who calls: by the authorization if there is one, else by the certificate's alternative names.

        :raises TallyError: nobody, somebody unknown, or a credential that has expired.
        """
        caller = self._by_authorization(authorizations) if authorizations else self._by_certificate(alternative_names)
        if caller.expires_at <= self._wall_clock():
            raise CredentialExpiredError
        return caller

    def _by_authorization(self, authorizations: Sequence[str]) -> Caller:
        text = authorizations[0]
        if len(authorizations) > 1 or len(text) > _CREDENTIAL_BYTES_MAX or text[: len(_SCHEME)].lower() != _SCHEME:
            raise CredentialInvalidError
        credential = text[len(_SCHEME) :].strip()
        return self._by_key(credential) if credential.startswith(_KEY_MARK) else self._by_token(credential)

    def _by_key(self, credential: str) -> Caller:
        key_id, _, secret = credential.removeprefix(_KEY_MARK).partition(".")
        key = self._policy.keys.get(key_id)
        digest = hashlib.sha256(secret.encode()).digest()
        if not hmac.compare_digest(digest, _NO_DIGEST if key is None else key.digest) or key is None:
            raise CredentialInvalidError
        return self._called(key.identity, key.expires_at)

    def _by_certificate(self, alternative_names: Sequence[str]) -> Caller:
        identities = {self._policy.certificates.get(name) for name in alternative_names} - {None}
        if not identities:
            raise CredentialInvalidError if alternative_names else CredentialMissingError
        if len(identities) > 1:
            raise CredentialInvalidError  # it would be anybody's guess who calls
        return self._called(str(identities.pop()), math.inf)

    def _by_token(self, token: str) -> Caller:
        digest = hashlib.sha256(token.encode()).digest()
        caller = self._tokens.get(digest)
        if caller is None:
            caller = self._verified(token)
            if len(self._tokens) >= _REMEMBERED_MAX:
                self._tokens.clear()
            self._tokens[digest] = caller
        return caller

    def _verified(self, token: str) -> Caller:
        """Return whom a token is for. https://www.rfc-editor.org/rfc/rfc8725 says what is to be looked at."""
        try:
            issuer = self._issuer_of(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key=_key_for(token, issuer),
                algorithms=list(issuer.algorithms),
                audience=issuer.audience,
                issuer=issuer.issuer,
                leeway=issuer.leeway_seconds,
                options={"require": ["exp", "iss", "aud", issuer.claim]},
            )
        except jwt.ExpiredSignatureError as error:
            raise CredentialExpiredError from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise CredentialInvalidError from error
        name = claims[issuer.claim]
        if not isinstance(name, str) or not name or not is_identity(issuer.prefix + name):
            raise CredentialInvalidError
        return self._called(issuer.prefix + name, float(claims["exp"]) + issuer.leeway_seconds)

    def _issuer_of(self, token: str) -> Issuer:
        """Return who says to have made a token; whether it is true is to be seen."""
        unverified = jwt.decode(token, options={"verify_signature": False})
        issuer = self._policy.issuers.get(str(unverified.get("iss")))
        if issuer is None:
            raise CredentialInvalidError
        return issuer

    def _called(self, identity: str, expires_at: float) -> Caller:
        caller = self._callers.get((identity, expires_at))
        if caller is None:
            if len(self._callers) >= _REMEMBERED_MAX:
                self._callers.clear()
            caller = Caller(identity, self._policy.rights_of(identity), expires_at)
            self._callers[identity, expires_at] = caller
        return caller


def _key_for(token: str, issuer: Issuer) -> jwt.PyJWK:
    """Return the key that a token says it was signed with, or the only one that there is.

    :raises CredentialInvalidError: there is none, or it is for another algorithm.
    """
    header = jwt.get_unverified_header(token)
    keys: list[jwt.PyJWK] = issuer.jwks.keys
    key_id = header.get("kid")
    found = [key for key in keys if key.key_id == key_id] if key_id is not None else keys
    if len(found) != 1 or found[0].algorithm_name != header.get("alg"):
        raise CredentialInvalidError
    return found[0]
