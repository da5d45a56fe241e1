"""Sentinels: asks them where the primary is, each time that a connection to it is made."""

from typing import Final, cast

from tallykeeper_server.domain.errors import DefectError, OutcomeUnknownError, StoreUnavailableError
from tallykeeper_server.store.nodes.commands import Reply
from tallykeeper_server.store.nodes.connection import call_once
from tallykeeper_server.store.nodes.node_options import Address
from tallykeeper_server.store.nodes.store_url import StoreUrl, written

_ANSWER_SECONDS_MAX: Final = 1.0
"""The longest wait for one sentinel, before the next is asked."""
_DOWN: Final = frozenset({b"s_down", b"o_down"})
"""The flags of a primary that this sentinel, or enough sentinels together, see down."""


class Sentinels:
    """The sentinels of one primary."""

    def __init__(self, url: StoreUrl, *, timeout_seconds: float) -> None:
        """Take ``timeout_seconds``, which bounds connecting to each sentinel, and its answer, to at most a second."""
        self._url = url
        self._timeout_seconds = min(timeout_seconds, _ANSWER_SECONDS_MAX)
        self._addresses = list(url.addresses)
        """The sentinels. The one that answered last is the first."""

    async def primary(self) -> Address:
        """Return the address of the primary, from the first sentinel that sees the primary alive.

        :raises StoreUnavailableError: no sentinel does.
        """
        service = self._url.service
        reasons = []
        for sentinel in list(self._addresses):
            try:
                primaries = await self._ask(sentinel)
                address = _address_of(primaries, service)
            except (StoreUnavailableError, OutcomeUnknownError) as error:
                reasons.append(f"{written(sentinel)}: {error}")
                continue
            self._addresses.remove(sentinel)
            self._addresses.insert(0, sentinel)
            return address
        message = f"no sentinel says where {service!r} is: {'; '.join(reasons)}"
        raise StoreUnavailableError(message)

    async def _ask(self, sentinel: Address) -> Reply:
        url = self._url.sentinel_at(sentinel)
        try:
            return await call_once(url, "SENTINEL", "MASTERS", timeout_seconds=self._timeout_seconds)
        except DefectError as error:
            message = f"it is no sentinel, or does not answer: {error}"
            raise StoreUnavailableError(message) from error


def _address_of(primaries: Reply, service: str) -> Address:
    """Return the address of a primary in a reply to SENTINEL MASTERS.

    :raises StoreUnavailableError: the reply does not have the primary, or says that it is down.
    """
    if not isinstance(primaries, list):
        message = "it does not answer as a sentinel does"
        raise StoreUnavailableError(message)
    for pairs in cast("list[list[bytes]]", primaries):
        primary = dict(zip(pairs[::2], pairs[1::2], strict=True))
        if primary[b"name"] == service.encode():
            flags = set(primary[b"flags"].split(b","))
            if b"master" in flags and not flags & _DOWN:
                return primary[b"ip"].decode(), int(primary[b"port"])
            message = f"it sees {service!r} down"
            raise StoreUnavailableError(message)
    message = f"it does not know {service!r}"
    raise StoreUnavailableError(message)
