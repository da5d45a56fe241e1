"""What a method is told of a call besides its request."""

from typing import NamedTuple

from tallykeeper_server.access.roles import ANYBODY, Caller


class Call(NamedTuple):
    """One call."""

    deadline: float
    """In the event loop's time; infinite for a stream, which gRPC ends when its caller's deadline has passed."""
    caller: Caller = ANYBODY
