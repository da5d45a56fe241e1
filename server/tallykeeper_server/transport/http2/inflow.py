"""The flow control of one connection's requests: how many of their bytes are held, and when the peer may send more."""

from tallykeeper_server.transport.http2.budget import Budget
from tallykeeper_server.transport.http2.session import Engine, EngineError


class Inflow:
    """Acknowledges bytes of requests, so that the peer may send more, or withholds that while too many are held."""

    def __init__(self, engine: Engine, held: Budget) -> None:
        """``held`` counts the bytes that the connection's calls hold."""
        self._engine = engine
        self._held = held
        self._withheld: list[tuple[int, int]] = []

    @property
    def exceeded(self) -> bool:
        """More bytes are held than allowed, of this connection or of all."""
        return self._held.exceeded

    @property
    def bytes(self) -> int:
        """The bytes that this connection's calls hold."""
        return self._held.bytes

    def hold(self, change: int) -> bool:
        """Count bytes; a negative number gives them back. Return whether more bytes were asked for."""
        self._held.add(change)
        return change < 0 and self.acknowledge_more()

    def take(self, stream_id: int, count: int) -> bool:
        """Ask for as many more bytes as were taken. Return False if that has to wait for room."""
        if self._held.exceeded:
            self._withheld.append((stream_id, count))
            return False
        self.acknowledge(stream_id, count)
        return True

    def acknowledge_more(self) -> bool:
        """Ask for more bytes if there is room again. Return whether that was so."""
        if not self._withheld or self._held.exceeded:
            return False
        withheld, self._withheld = self._withheld, []
        for stream_id, count in withheld:
            self.acknowledge(stream_id, count)
        return True

    def acknowledge(self, stream_id: int, count: int) -> None:
        """Ask for more bytes, whatever is held."""
        if count:
            try:
                self._engine.acknowledge(count, stream_id)
            except EngineError:
                return  # the stream has closed; the engine has given the connection's window back
