"""The facts about a server that its workers cannot find in their settings."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """The facts. JSON can carry them, because the supervisor sends them to its workers."""

    store_is_embedded: bool
    workers: int = 1
    worker: int = 1
    """The number of this worker: 1 to ``workers``."""
    began_at: float = field(default_factory=time.monotonic)
    """The start of the server, by the clock that all processes of a machine share."""
