"""The gate: every call comes by, and is told who it is, or to stay outside. It follows its files while they change."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from tallykeeper_server.access.access_file import AccessFileError, read_access_file
from tallykeeper_server.access.credentials import Authenticator
from tallykeeper_server.access.rate_limits import RateLimits
from tallykeeper_server.access.roles import Caller, Role
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.file_stamps import FileStamp, stamp_of

log = structlog.get_logger()


class PermissionDeniedError(TallyError):
    """Who calls may not do that there. Nothing happened."""

    reason = "PERMISSION_DENIED"

    def __init__(self, caller: Caller, role: Role, namespace: str) -> None:
        needed = role.name.lower()
        super().__init__(
            f"{caller.identity} lacks the role {needed} in namespace {namespace}",
            {"identity": caller.identity, "role": needed, "namespace": namespace},
        )


class Gate:
    """Who may come in, by the access file as it was when it was last right."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        :raises AccessFileError: it cannot be used.
        """
        self._path = path
        self._files: Mapping[Path, FileStamp] = {}
        self._open()
        self.version = 1
        """Another as soon as the file has changed: who was let in before must come by again."""

    def admit(self, authorizations: Sequence[str], alternative_names: Sequence[str]) -> Caller:
        """Return who calls, by the values of ``authorization`` and the names of the certificate.

        :raises TallyError: it is not known who, or they call too often.
        """
        caller = self._authenticator.caller(authorizations, alternative_names)
        self._rates.take(caller.identity)
        return caller

    def recognise(self, authorizations: Sequence[str], alternative_names: Sequence[str]) -> Caller:
        """Return who calls, as admit does, of a call that was let in before.

        :raises TallyError: it is not known who.
        """
        return self._authenticator.caller(authorizations, alternative_names)

    def charge(self, caller: Caller, calls: int) -> None:
        """Count further calls that came as one which was let in."""
        self._rates.charge(caller.identity, calls)

    def follow(self) -> None:
        """Read the file again if it has changed. One that cannot be used is logged, and what was before stays."""
        stamps = {path: stamp_of(path) for path in self._files}
        if stamps == self._files:
            return
        try:
            self._open()
        except AccessFileError as error:
            log.error("access stays as it was", error=str(error))  # noqa: TRY400  # the line says it all
            self._files = stamps
            return
        self.version += 1
        log.info("access has changed", file=str(self._path))

    def _open(self) -> None:
        policy = read_access_file(self._path)
        self._authenticator = Authenticator(policy)
        self._rates = RateLimits(policy)
        self._files = policy.files


def check(caller: Caller, role: Role, namespace: str) -> None:
    """Return if somebody may do what a role may in a namespace.

    :raises PermissionDeniedError: they may not.
    """
    if caller.rights.role_in(namespace) < role:
        raise PermissionDeniedError(caller, role, namespace)
