"""Flow control of one connection's requests: it counts their bytes, and decides when the peer may send more."""

from tallykeeper_server.transport.http2.budget import Budget
from tallykeeper_server.transport.http2.session import Engine, EngineError


class Inflow:
    """Acknowledges bytes of requests, so that the peer may send more, but not while too many are in memory."""

    def __init__(self, engine: Engine, held: Budget) -> None:
        """``held`` counts the bytes that the connection's calls hold."""
        self._engine = engine
        self._held = held
        self._withheld: list[tuple[int, int]] = []

    @property
    def exceeded(self) -> bool:
        """True if more bytes are in memory than allowed, for this connection or for all."""
        return self._held.exceeded

    @property
    def bytes(self) -> int:
        """The bytes that this connection's calls hold."""
        return self._held.bytes

    def hold(self, change: int) -> bool:
        """Add bytes; a negative number gives bytes back. Return True if the peer may send more."""
        self._held.add(change)
        return change < 0 and self.acknowledge_more()

    def take(self, stream_id: int, count: int) -> bool:
        """Let the peer send as many bytes as were taken. Return False if this must wait for room."""
        if self._held.exceeded:
            self._withheld.append((stream_id, count))
            return False
        self.acknowledge(stream_id, count)
        return True

    def acknowledge_more(self) -> bool:
        """Let the peer send more bytes if there is room again. Return True if there was room."""
        if not self._withheld or self._held.exceeded:
            return False
        withheld, self._withheld = self._withheld, []
        for stream_id, count in withheld:
            self.acknowledge(stream_id, count)
        return True

    def acknowledge(self, stream_id: int, count: int) -> None:
        """Let the peer send more bytes without regard to the limits."""
        if count:
            try:
                self._engine.acknowledge(count, stream_id)
            except EngineError:
                return  # the stream has closed, and the engine has returned its bytes to the connection's window
