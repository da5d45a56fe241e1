"""The gate: every call comes by, and is told who it is, or to stay outside. It follows its files while they change."""

from collections.abc import Sequence
from pathlib import Path

import structlog

from tallykeeper_server.access.access_file import AccessFileError, read_access_file
from tallykeeper_server.access.credentials import Authenticator
from tallykeeper_server.access.rate_limits import RateLimits
from tallykeeper_server.access.roles import Caller, Role
from tallykeeper_server.domain.errors import TallyError

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
        self._files: tuple[Path, ...] = (path,)
        self._open()
        self._seen = self._stamps()
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
        stamps = self._stamps()
        if stamps == self._seen:
            return
        try:
            self._open()
        except AccessFileError as error:
            log.error("access stays as it was", error=str(error))  # noqa: TRY400  # the line says it all
            self._seen = stamps
            return
        self._seen = self._stamps()
        self.version += 1
        log.info("access has changed", file=str(self._path))

    def _open(self) -> None:
        policy = read_access_file(self._path)
        self._authenticator = Authenticator(policy)
        self._rates = RateLimits(policy)
        self._files = policy.files

    def _stamps(self) -> list[tuple[int, int, int]]:
        return [_stamp_of(file) for file in self._files]


def check(caller: Caller, role: Role, namespace: str) -> None:
    """Return if somebody may do what a role may in a namespace.

    :raises PermissionDeniedError: they may not.
    """
    if caller.rights.role_in(namespace) < role:
        raise PermissionDeniedError(caller, role, namespace)


def _stamp_of(path: Path) -> tuple[int, int, int]:
    """Return what is another as soon as the file is: also when another was put in its place."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_ino, status.st_mtime_ns, status.st_size
