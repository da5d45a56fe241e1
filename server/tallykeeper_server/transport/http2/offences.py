"""Limits for frames that cost the server work and bring no call."""

from dataclasses import dataclass

from tallykeeper_server.transport.http2.rates import Rate
from tallykeeper_server.transport.limits import TransportLimits


@dataclass(slots=True)
class Offence:
    """One kind of frame: its rate, and the text of the GOAWAY for too many."""

    rate: Rate
    message: str


class Offences:
    """The rates of one connection. A peer above any of them is sent ENHANCE_YOUR_CALM and disconnected."""

    __slots__ = ("compressions", "control", "pings", "resets")

    def __init__(self, limits: TransportLimits) -> None:
        self.resets = Offence(Rate(limits.resets_per_second), "too_many_resets")
        # gRFC A8: clients that read this text ask less often from then on.
        self.pings = Offence(Rate(limits.pings_per_second), "too_many_pings")
        self.compressions = Offence(Rate(limits.bad_compressions_per_second), "too_many_bad_compressions")
        self.control = Offence(Rate(limits.control_frames_per_second), "too_many_control_frames")
