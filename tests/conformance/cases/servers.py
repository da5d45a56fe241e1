"""The servers that the cases call, and the faults that the harness causes in them."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from threading import Condition
from typing import Any, Final

from tallykeeper_client import Client, CredentialExpired, PermissionDenied, TallykeeperError
from tests.conformance.cases.credentials import Credentials
from tests.conformance.cases.steps import SERVERS
from tests.conformance.cases.store import Store
from tests.support.server import ServerProcess, wait_until

_OPTIONS: Final = ("--bookmark-seconds", "0.2", "--log-level", "debug", "--sweep-seconds", "0.1")
_OPTIONS_OF: Final[Mapping[str, Sequence[str]]] = {"short-ledger": ("--ledger-revisions-max", "10")}
_WORKERS: Final[Mapping[str, int]] = {"several-workers": 2}
"""The number of workers of a kind of server, if it is more than 1."""
_WITH_TLS: Final = frozenset({"tls", "mutual-tls", "restarting-tls"})
_WITH_ACCESS: Final = frozenset({"access", "mutual-tls", "changing-access"})
_EACH_MAX: Final = 3
"""The maximum number of simultaneous servers of a kind that a case does not share."""


class CaseServer:
    """A server of one kind."""

    def __init__(self, kind: str, folder: Path, credentials: Credentials) -> None:
        """Start the server. It has its own credentials if cases change them."""
        folder.mkdir(parents=True)
        self._kind = kind
        self._folder = folder
        self.credentials = Credentials(folder / "credentials") if kind == "changing-access" else credentials
        self._store = Store(folder / "store") if kind == "store-outside" else None
        self._closed_at = 0.0
        self._process = self._started("127.0.0.1:0")
        self.address = self._process.target

    def fault(self, name: str, options: Mapping[str, Any]) -> None:
        """Cause a fault, or end it. ``steps.FAULTS`` describes each fault."""
        faults: Mapping[str, Callable[..., None]] = {
            "stop-server": self._stop,
            "kill-server": self._kill,
            "start-server": self._start,
            "kill-workers": self._kill_workers,
            "expire-key": self._expire_key,
            "revoke-grant": self._revoke_grant,
        }
        if self._store is not None:
            faults = {
                **faults,
                "stop-store": self._store.stop,
                "freeze-store": self._store.freeze,
                "start-store": self._store.start,
            }
        faults[name](**options)

    def restore(self) -> None:
        """Restore the server's first state after a case."""
        if self._store is not None:
            self._store.start()
        if self._process.process.poll() is not None:
            self._start()
        for key in self.credentials.restore():
            self._await_access(key, None)

    def close(self) -> None:
        """End the server."""
        self._process.stop()
        if self._store is not None:
            self._store.stop()

    def _started(self, address: str) -> ServerProcess:
        store = ("--store", self._store.url) if self._store else ("--data-dir", str(self._folder / "data"))
        arguments = ("--listen", address, *store, *_OPTIONS, *_OPTIONS_OF.get(self._kind, ()), *self._security())
        process = ServerProcess(*arguments, workers=_WORKERS.get(self._kind, 1))
        return process.__enter__()

    def _security(self) -> Sequence[str]:
        folder = self.credentials.folder
        options: list[str] = []
        if self._kind in _WITH_TLS:
            options += ["--tls-certificate", str(folder / "server.pem"), "--tls-key", str(folder / "server.key")]
        if self._kind == "mutual-tls":
            options += ["--tls-client-ca", str(folder / "ca.pem")]
        if self._kind in _WITH_ACCESS:
            options += ["--access-file", str(self.credentials.access_file)]
        return options

    def _stop(self) -> None:
        self._process.stop()
        self._closed_at = time.monotonic()

    def _kill(self) -> None:
        """Kill the supervisor first, because it would start other workers."""
        workers = list(self._process.worker_ids.values())
        self._process.process.kill()
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        self._process.stop()
        self._closed_at = time.monotonic()

    def _start(self, closed_seconds: float = 0.0) -> None:
        """Start the server again when the port has been closed for a time."""
        reopens_at = self._closed_at + closed_seconds
        wait_until(lambda: time.monotonic() >= reopens_at, what="the port has been closed")
        self._process = self._started(self.address)

    def _kill_workers(self) -> None:
        for worker in self._process.worker_ids.values():
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)

    def _expire_key(self, key: str) -> None:
        self.credentials.expire(key)
        self._await_access(key, CredentialExpired)

    def _revoke_grant(self, key: str) -> None:
        self.credentials.revoke(key)
        self._await_access(key, PermissionDenied)

    def _await_access(self, key: str, refusal: type[TallykeeperError] | None) -> None:
        """Wait until the server has read the access file: until it refuses a key with a reason, or accepts the key."""
        with Client(self.address, namespace="case-of-the-harness", token=self.credentials.key(key)) as client:

            def is_read() -> bool:
                try:
                    client.list_counters()
                except (CredentialExpired, PermissionDenied) as error:
                    return type(error) is refusal
                return refusal is None

            wait_until(is_read, what=f"the server answers {key} as its access file says")


class Servers:
    """All servers of a run. Each is started when the first case needs its kind."""

    def __init__(self, folder: Path, *, each_max: int = _EACH_MAX) -> None:
        """Keep all files in ``folder``. A kind with faults has up to ``each_max`` servers."""
        self._folder = folder
        self._each_max = each_max
        self._changed = Condition()
        self._free: dict[str, list[CaseServer]] = {}
        self._counts: dict[str, int] = {}
        self._stack = ExitStack()

    @cached_property
    def _credentials(self) -> Credentials:
        return Credentials(self._folder / "credentials")

    def close(self) -> None:
        """End all servers."""
        self._stack.close()

    @contextmanager
    def lend(self, kind: str) -> Iterator[CaseServer]:
        """Lend a server. Other cases use it too, unless it allows faults."""
        is_shared = not SERVERS[kind]
        server = self._taken(kind)
        if is_shared:
            self._give_back(kind, server)
        try:
            yield server
        finally:
            if not is_shared:
                server.restore()
                self._give_back(kind, server)

    def _taken(self, kind: str) -> CaseServer:
        limit = self._each_max if SERVERS[kind] else 1
        with self._changed:
            self._changed.wait_for(lambda: bool(self._free.get(kind)) or self._counts.get(kind, 0) < limit)
            if self._free.get(kind):
                return self._free[kind].pop()
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            credentials = self._credentials
        try:
            server = CaseServer(kind, self._folder / f"{kind}-{number}", credentials)
        except BaseException:
            with self._changed:
                self._counts[kind] -= 1
                self._changed.notify_all()
            raise
        self._stack.callback(server.close)
        return server

    def _give_back(self, kind: str, server: CaseServer) -> None:
        with self._changed:
            self._free.setdefault(kind, []).append(server)
            self._changed.notify_all()
