"""Checks credentials, which are API keys, tokens and certificates, and finds out whose they are."""

import hashlib
import hmac
import math
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import jwt

from tallykeeper_server.access.access_file import KEY_ID_PATTERN, is_identity
from tallykeeper_server.access.certificate_names import names_in_certificate
from tallykeeper_server.access.errors import (
    CredentialExpiredError,
    CredentialInvalidError,
    CredentialMissingError,
    Fault,
)
from tallykeeper_server.access.policy import AccessPolicy, Issuer
from tallykeeper_server.access.roles import Caller

_SCHEME: Final = "bearer "
_KEY_MARK: Final = "tk."
_SECRET_BYTES: Final = 32
_CREDENTIAL_BYTES_MAX: Final = 8_192
_REMEMBERED_MAX: Final = 10_000
_NO_DIGEST: Final = bytes(32)
_SHOWN_CHARACTERS_MAX: Final = 200
_FAULTS: Final[Mapping[type[Exception], Fault]] = {
    jwt.InvalidAudienceError: Fault.TOKEN_AUDIENCE,
    jwt.ImmatureSignatureError: Fault.TOKEN_NOT_YET,
    jwt.InvalidIssuedAtError: Fault.TOKEN_ISSUED_AT,
    jwt.InvalidIssuerError: Fault.TOKEN_ISSUER,
    jwt.MissingRequiredClaimError: Fault.TOKEN_CLAIM,
    jwt.InvalidAlgorithmError: Fault.TOKEN_ALGORITHM,
    jwt.InvalidSignatureError: Fault.TOKEN_SIGNATURE,
}


def new_api_key(key_id: str) -> tuple[str, bytes]:
    """Return a new API key, and the SHA-256 of its secret, which is all that the server needs.

    The secret has 256 random bits, which nobody can guess. So a fast hash is as safe as a slow one.
    """
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return f"{_KEY_MARK}{key_id}.{secret}", hashlib.sha256(secret.encode()).digest()


class Authenticator:
    """Finds the caller that a credential belongs to, by one policy."""

    def __init__(self, policy: AccessPolicy, *, wall_clock: Callable[[], float] = time.time) -> None:
        """``wall_clock`` gives seconds since 1970."""
        self._policy = policy
        self._wall_clock = wall_clock
        self._callers: dict[tuple[str, float], Caller] = {}
        self._tokens: dict[bytes, Caller] = {}

    def caller(self, authorizations: Sequence[str], certificate: bytes | None = None) -> Caller:
        """Return the caller: by the authorization if there is one, and else by the certificate, in PEM or DER form.

        :raises TallyError: there is no credential, it is unknown, or it has expired.
        """
        caller = self._by_authorization(authorizations) if authorizations else self._by_certificate(certificate)
        if caller.expires_at <= self._wall_clock():
            raise CredentialExpiredError({"identity": caller.identity})
        return caller

    def _by_authorization(self, authorizations: Sequence[str]) -> Caller:
        text = authorizations[0]
        if len(authorizations) > 1:
            raise CredentialInvalidError(Fault.SEVERAL)
        if len(text) > _CREDENTIAL_BYTES_MAX:
            raise CredentialInvalidError(Fault.TOO_LONG)
        if text[: len(_SCHEME)].lower() != _SCHEME:
            raise CredentialInvalidError(Fault.SCHEME)
        credential = text[len(_SCHEME) :].strip()
        return self._by_key(credential) if credential.startswith(_KEY_MARK) else self._by_token(credential)

    def _by_key(self, credential: str) -> Caller:
        key_id, dot, secret = credential.removeprefix(_KEY_MARK).partition(".")
        if not (dot and secret and re.fullmatch(KEY_ID_PATTERN, key_id)):
            raise CredentialInvalidError(Fault.KEY_FORM)
        key = self._policy.keys.get(key_id)
        digest = hashlib.sha256(secret.encode()).digest()
        if not hmac.compare_digest(digest, _NO_DIGEST if key is None else key.digest) or key is None:
            raise CredentialInvalidError(Fault.KEY_ID if key is None else Fault.KEY_SECRET, {"key_id": key_id})
        return self._called(key.identity, key.expires_at)

    def _by_certificate(self, certificate: bytes | None) -> Caller:
        alternative_names = names_in_certificate(certificate) if certificate else ()
        identities = {self._policy.certificates.get(name) for name in alternative_names} - {None}
        names = _shown(", ".join(alternative_names))
        if not identities:
            if not alternative_names:
                raise CredentialMissingError
            raise CredentialInvalidError(Fault.CERTIFICATE_UNKNOWN, {"names": names})
        if len(identities) > 1:  # each of them could be the caller
            raise CredentialInvalidError(Fault.CERTIFICATE_AMBIGUOUS, {"names": names})
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
        """Return the caller that a token names, after the checks of https://www.rfc-editor.org/rfc/rfc8725."""
        issuer = self._issuer_of(token)
        about = {"issuer": issuer.issuer}
        try:
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
            raise CredentialExpiredError(about) from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            fault = next((each for kind, each in _FAULTS.items() if isinstance(error, kind)), Fault.TOKEN_UNREADABLE)
            raise CredentialInvalidError(fault, about) from error
        name = claims[issuer.claim]
        if not isinstance(name, str) or not name or not is_identity(issuer.prefix + name):
            raise CredentialInvalidError(Fault.TOKEN_NAME, about)
        return self._called(issuer.prefix + name, float(claims["exp"]) + issuer.leeway_seconds)

    def _issuer_of(self, token: str) -> Issuer:
        """Return the issuer that a token names. The signature is not checked yet."""
        try:
            unverified = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise CredentialInvalidError(Fault.TOKEN_FORM) from error
        issuer = self._policy.issuers.get(str(unverified.get("iss")))
        if issuer is None:
            raise CredentialInvalidError(Fault.TOKEN_ISSUER, {"issuer": _shown(str(unverified.get("iss")))})
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
    """Return the key that a token names as its own, or the only key of the issuer.

    :raises CredentialInvalidError: there is no such key, or it is for another algorithm.
    """
    header = jwt.get_unverified_header(token)
    keys: list[jwt.PyJWK] = issuer.jwks.keys
    key_id = header.get("kid")
    found = [key for key in keys if key.key_id == key_id] if key_id is not None else keys
    about = {"issuer": issuer.issuer, "key_id": _shown(str(key_id))}
    if not found:
        raise CredentialInvalidError(Fault.TOKEN_KEY_ID, about)
    if len(found) > 1:
        raise CredentialInvalidError(Fault.TOKEN_KEYS, about)
    if found[0].algorithm_name != header.get("alg"):
        raise CredentialInvalidError(Fault.TOKEN_KEY_ALGORITHM, about)
    return found[0]


def _shown(text: str) -> str:
    """Return a peer's text as the log shows it: escaped, and cut off after 200 characters."""
    return ascii(text[:_SHOWN_CHARACTERS_MAX])[1:-1]
