"""Expires reservations and counters whose time is up, and forgets what has been kept for long enough.

The script puts each namespace on an agenda by the first time at which something is due in it. So a namespace in which
nothing is due costs nothing, and a server finds what is due without remembering its changes.
"""

from collections.abc import Sequence
from typing import Final, cast

import structlog

from tallykeeper_server.domain.durability import Durability
from tallykeeper_server.domain.errors import DefectError, OutcomeUnknownError, StoreUnavailableError, TallyError
from tallykeeper_server.domain.levels import CounterName, LevelName, ReservationName
from tallykeeper_server.domain.mutations import Applied, Bundle, Mutation
from tallykeeper_server.domain.queries import Kind
from tallykeeper_server.metrics.meters import StoreMeter
from tallykeeper_server.store import keys
from tallykeeper_server.store.agreed_clock import AgreedClock
from tallykeeper_server.store.nodes.routes import Routes
from tallykeeper_server.store.script_calls import ScriptCalls
from tallykeeper_server.store.shared_key_reader import SharedKeyReader

_EXPIRED_AT_ONCE_MAX: Final = 20
"""The reservations that one script call expires: each may have 100 lines."""
_FORGOTTEN_AT_ONCE_MAX: Final = 500
"""The counters, and the ended reservations, that one script call forgets of each."""
_TIDIED_AT_ONCE_MAX: Final = 500
"""The namespaces that are taken from the agenda of a home at once."""
_APART_AT_ONCE: Final = 100
"""The namespaces ahead of this process that one sweep looks at: the agenda has them by their own times."""

log = structlog.get_logger()


class Sweeper:
    """Does the work that the agenda lists. Several servers may sweep at once: one of them makes each due change."""

    def __init__(
        self, routes: Routes, shared_keys: SharedKeyReader, scripts: ScriptCalls, clock: AgreedClock, meter: StoreMeter
    ) -> None:
        """Take the parts of the store that the sweeper uses. Nothing is asked before ``sweep``."""
        self._routes = routes
        self._scripts = scripts
        self._clock = clock
        self._meter = meter
        self._shared_keys = shared_keys
        self._apart_looked_at = 0
        self._failed: set[str] = set()
        """The namespaces that could not be swept the last time. Each is logged once, until a sweep succeeds."""

    async def sweep(self) -> int:
        """Do what is due in all namespaces. Return the number of reservations that were expired.

        A namespace whose keys someone else has written is logged, and does not delay the others.

        :raises TallyError: a node was lost; what is due on other nodes has been done.
        """
        expired, lost, failed = 0, dict[object, TallyError](), set[str]()
        for namespace in await self._due_namespaces():
            node = self._routes.node_of(keys.prefix(namespace))
            if node not in lost:
                try:
                    expired += await self.tidy(namespace)
                except (StoreUnavailableError, OutcomeUnknownError) as error:
                    lost[node] = error
                except TallyError as error:
                    failed.add(namespace)
                    if namespace not in self._failed:
                        log.warning("a namespace cannot be swept", namespace=namespace, error=error.message)
        self._failed = failed
        for first in lost.values():
            raise first
        return expired

    async def tidy(self, namespace: str) -> int:
        """Expire and forget what is due in a namespace. Return the number of reservations that were expired.

        :raises TallyError: a call failed, as Connection.call says; a part may have been done.
        """
        try:
            expired = await self.expire_reservations(namespace)
            await self._forget(namespace)
        except (ValueError, KeyError) as error:
            message = f"the store holds data that the script did not write: {error}"
            raise DefectError(message) from error
        return expired

    async def expire_reservations(self, namespace: str) -> int:
        """Expire the reservations whose time is up in a namespace. Return their number.

        :raises TallyError: a call failed, as Connection.call says; some may have been expired.
        """
        expired, progress = 0, True
        while progress:
            due = await self._first(
                namespace, keys.due(namespace), self._clock.held_ms(namespace), _EXPIRED_AT_ONCE_MAX
            )
            expiries = [_expiry_of(namespace, reservation_id.decode()) for reservation_id in due]
            ran = await self._scripts.run(expiries, Durability.MEMORY)  # no caller waits for the expiry
            count = sum(isinstance(result, list) and isinstance(result[0], Applied) for result in ran.results)
            expired += count
            self._meter.expired.add(count)
            progress = count > 0
        return expired

    async def _forget(self, namespace: str) -> None:
        """Forget what has been kept for long enough in a namespace, and renew the namespace's entry in the agenda."""
        before: Sequence[LevelName] | None = None
        names = await self._names_over(namespace)
        while names != before:
            await self._scripts.tidy(namespace, names)
            before, names = names, await self._names_over(namespace) if names else names

    async def _due_namespaces(self) -> list[str]:
        """Return the namespaces in which something is due and, in turn, those that are ahead of this process."""
        due = await self._shared_keys.ask_in_turn(
            keys.agenda,
            lambda: ("ZRANGE", "-inf", self._clock.held_ms(), "BYSCORE", "LIMIT", 0, _TIDIED_AT_ONCE_MAX),
        )
        names = [cast("bytes", name).decode(errors="replace") for name in due]
        apart = self._clock.namespaces_apart
        first = self._apart_looked_at % len(apart) if apart else 0
        self._apart_looked_at = first + _APART_AT_ONCE
        return list(dict.fromkeys(names + apart[first : first + _APART_AT_ONCE]))

    async def _names_over(self, namespace: str) -> Sequence[LevelName]:
        """Return some counters whose time is up, and reservations that have been kept for long enough."""
        limit = _FORGOTTEN_AT_ONCE_MAX
        counters_key, reservations_key = (
            keys.name_expiry(namespace, kind) for kind in (Kind.COUNTER, Kind.RESERVATION)
        )
        counters = await self._first(namespace, counters_key, self._clock.held_ms(namespace), limit)
        reservations = await self._first(namespace, reservations_key, self._clock.held_ms(namespace), limit)
        return [
            *(CounterName(name.decode()) for name in counters),
            *(ReservationName(keys.listed_reservation_of(name).reservation_id) for name in reservations),
        ]

    async def _first(self, namespace: str, key: str, until_ms: int, limit: int) -> list[bytes]:
        """Return the first members of a namespace's sorted set whose scores are not after a time."""
        channel = self._routes.changes(keys.prefix(namespace))
        return cast("list[bytes]", await channel.call("ZRANGE", key, "-inf", until_ms, "BYSCORE", "LIMIT", 0, limit))


def _expiry_of(namespace: str, reservation_id: str) -> Bundle:
    name = ReservationName(reservation_id)
    expiry = Mutation(operation="reservation_expire", levels=(name,), resolves=True)
    return Bundle(namespace=namespace, mutations=(expiry,))
