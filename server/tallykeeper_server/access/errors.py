"""The errors of credentials that are refused.

An error must not help an attacker. So the caller learns nothing that depends on the keys and issuers that the server
knows, unless a signature has proved the credential. The server's log says everything, but never the credential itself.
"""

from collections.abc import Mapping
from enum import Enum

from tallykeeper_server.domain.errors import TallyError


class Fault(Enum):
    """A fault of a credential: in words, and whether the error reports it to the caller."""

    SEVERAL = "the call has several authorization headers", True
    TOO_LONG = "it is longer than 8192 bytes", True
    SCHEME = "the authorization is not 'Bearer <API key or token>'", True
    KEY_FORM = "the API key is not tk.<id>.<secret>", True
    KEY_ID = "the API key's id is unknown", False
    KEY_SECRET = "the API key's secret is wrong", False  # a sentence
    TOKEN_FORM = "it is neither an API key nor a JWT", True
    TOKEN_UNREADABLE = "the token cannot be read", False
    TOKEN_ISSUER = "the token's issuer is unknown", False
    TOKEN_KEY_ID = "the token's key id is unknown", False
    TOKEN_KEYS = "the token does not say by which of its issuer's keys it is signed", False
    TOKEN_KEY_ALGORITHM = "the token is signed by an algorithm that is not its key's", False
    TOKEN_ALGORITHM = "the token is signed by an algorithm that its issuer may not use", False
    TOKEN_SIGNATURE = "the token's signature is wrong", False
    TOKEN_AUDIENCE = "the token is for another audience", True
    TOKEN_NOT_YET = "the token is not valid yet", True
    TOKEN_ISSUED_AT = "the token does not say as a number when it was issued", True
    TOKEN_CLAIM = "the token lacks exp, iss, aud or the claim that names its bearer", True
    TOKEN_NAME = "the token's bearer is not named in 1 to 128 bytes without control characters", True
    CERTIFICATE_UNREADABLE = "the certificate cannot be read", True
    CERTIFICATE_CHARACTERS = "the certificate has a name with a control character or a space", True
    CERTIFICATE_UNKNOWN = "the access file has none of the certificate's names", False
    CERTIFICATE_AMBIGUOUS = "the certificate has names of several identities", False
    EXPIRED = "it has expired", True

    def __init__(self, words: str, reported: bool) -> None:  # noqa: FBT001  # each member's two values
        self.words = words
        self.reported = reported


class CredentialMissingError(TallyError):
    """The call has no credential."""

    reason = "CREDENTIAL_MISSING"

    def __init__(self) -> None:
        super().__init__(
            "the call has no credential: send 'authorization: Bearer <API key or token>', or use a certificate that"
            " this server knows"
        )


class CredentialRefusedError(TallyError):
    """The credential is refused."""

    def __init__(self, message: str, fault: Fault, about: Mapping[str, str] | None = None) -> None:
        """``fault`` and ``about``, the fields that say more of it, are for the server's log."""
        super().__init__(message)
        self.fault = fault
        self.about = dict(about or {})


class CredentialInvalidError(CredentialRefusedError):
    """The credential is not one that this server knows."""

    reason = "CREDENTIAL_INVALID"

    def __init__(self, fault: Fault, about: Mapping[str, str] | None = None) -> None:
        message = "the credential is not one that this server knows"
        super().__init__(f"the credential cannot be used: {fault.words}" if fault.reported else message, fault, about)


class CredentialExpiredError(CredentialRefusedError):
    """The credential has expired."""

    reason = "CREDENTIAL_EXPIRED"

    def __init__(self, about: Mapping[str, str] | None = None) -> None:
        super().__init__("the credential has expired: get a new one", Fault.EXPIRED, about)
