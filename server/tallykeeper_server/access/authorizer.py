"""Says who calls and what they may do, by the access file, and follows the file while it changes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from tallykeeper_server.access.access_file import AccessFileError, read_access_file
from tallykeeper_server.access.credentials import Authenticator
from tallykeeper_server.access.errors import CredentialRefusedError
from tallykeeper_server.access.file_stamps import FileStamp, stamp_of
from tallykeeper_server.access.policy import AccessPolicy
from tallykeeper_server.access.rate_limits import RateLimits
from tallykeeper_server.access.roles import Caller, Role
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.domain.log_limit import LogLimit

log = structlog.get_logger()


class PermissionDeniedError(TallyError):
    """The caller lacks the role that the request needs in its namespace. Nothing happened."""

    reason = "PERMISSION_DENIED"

    def __init__(self, caller: Caller, role: Role, namespace: str) -> None:
        needed = role.name.lower()
        super().__init__(
            f"{caller.identity} lacks the role {needed} in namespace {namespace}",
            {"identity": caller.identity, "role": needed, "namespace": namespace},
        )


class Authorizer:
    """Says who calls and who may call, by the access file as it was when it was last correct."""

    def __init__(self, path: Path) -> None:
        """Read the access file.

        :raises AccessFileError: the file cannot be used.
        """
        self._path = path
        self._files: Mapping[Path, FileStamp] = {}
        policy = self._read()
        self._rates = RateLimits(policy)
        self._log_limit = LogLimit()
        self.version = 1
        """Grows when the file has changed. A caller that was admitted under an older version must be checked again."""

    def admit(self, authorizations: Sequence[str], certificate: bytes | None) -> Caller:
        """Return the caller, and count the call.

        ``authorizations`` are the values of the header field; ``certificate`` is in PEM or DER form.

        :raises TallyError: the caller is unknown, or calls too often.
        """
        caller = self.recognise(authorizations, certificate)
        self._rates.take(caller.identity)
        return caller

    def recognise(self, authorizations: Sequence[str], certificate: bytes | None) -> Caller:
        """Return the caller, as ``admit`` does, and count nothing: the call was counted when it began.

        :raises TallyError: the caller is unknown.
        """
        try:
            return self._authenticator.caller(authorizations, certificate)
        except CredentialRefusedError as error:
            if (unlogged := self._log_limit.admit()) is not None:
                log.warning(
                    "credential refused", reason=error.reason, cause=error.fault.words, **error.about, **unlogged
                )
            raise

    def charge(self, caller: Caller, calls: int) -> None:
        """Count further calls of a caller: a batch is one call, and each of its operations counts."""
        self._rates.charge(caller.identity, calls)

    def follow(self) -> None:
        """Read the access file again if it has changed. A file that cannot be used is logged and changes nothing."""
        stamps = {path: stamp_of(path) for path in self._files}
        if stamps == self._files:
            return
        try:
            policy = self._read()
        except AccessFileError as error:
            log.error("access stays as it was", error=str(error))  # noqa: TRY400  # the line says it all
            self._files = stamps
            return
        self._rates.follow(policy)
        self.version += 1
        log.info("access has changed", file=str(self._path))

    def _read(self) -> AccessPolicy:
        policy = read_access_file(self._path)
        self._authenticator = Authenticator(policy)
        self._files = policy.files
        return policy


def check(caller: Caller, role: Role, namespace: str) -> None:
    """Return if a caller has a role in a namespace, or a higher one.

    :raises PermissionDeniedError: the caller does not.
    """
    if caller.rights.role_in(namespace) < role:
        raise PermissionDeniedError(caller, role, namespace)
