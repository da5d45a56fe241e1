"""Sentinels: they are asked where the primary is, by redis-py's client, each time that a connection to it is made."""

from typing import Final

from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from tallykeeper_server.domain.errors import StoreUnavailableError
from tallykeeper_server.store.nodes.store_url import Address, StoreUrl, connection_parameters, written

_ANSWER_SECONDS_MAX: Final = 1.0
"""How long one of them may take before the next is asked."""


class Sentinels:
    """The sentinels of one primary."""

    def __init__(self, url: StoreUrl, *, timeout_seconds: float) -> None:
        """``timeout_seconds`` bounds what the answer of each may take, if it is less than a second."""
        parameters = connection_parameters(url.sentinel)
        encrypted = parameters.pop("connection_class", None) is not None
        seconds = min(timeout_seconds, _ANSWER_SECONDS_MAX)
        options = {name: value for name, value in parameters.items() if name not in {"host", "port"}}
        self._service = url.service
        self._written = ", ".join(map(written, url.addresses))
        self._client = Sentinel(  # type: ignore[no-untyped-call]  # redis-py gives it no types
            url.addresses,
            sentinel_kwargs={
                **options,
                "ssl": encrypted,
                "protocol": 2,
                "retry": Retry(NoBackoff(), 0),
                "socket_timeout": seconds,
                "socket_connect_timeout": seconds,
            },
        )

    async def primary(self) -> Address:
        """Return where the primary is, as the first sentinel says that sees it alive.

        :raises StoreUnavailableError: none does.
        """
        try:
            host, port = await self._client.discover_master(self._service)
        except ResponseError as error:
            message = f"what was asked for the primary at {self._written} is no sentinel, or does not answer: {error}"
            raise StoreUnavailableError(message) from error
        except (RedisError, TimeoutError, OSError) as error:
            message = (
                f"no sentinel at {self._written} says where {self._service!r} is: they cannot be reached, do not know"
                " it, or see it down"
            )
            raise StoreUnavailableError(message) from error
        return str(host), int(port)

    async def close(self) -> None:
        """Close the connections to them."""
        await self._client.aclose()
