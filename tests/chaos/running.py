"""One run of a scenario, in a directory of its own."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from random import Random

from tests.chaos.report import Outcome
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.stage import Stage


def run(scenario: str, *, seed: int, seconds: float, environment: Mapping[str, str] | None = None) -> Outcome:
    """Run one scenario for so many seconds.

    The same seed gives the same wishes and the same faults in the same order; what meets what, the machine says. The
    servers find the ``environment`` besides this process's own.
    """
    outcome = Outcome(scenario, [seed])
    with tempfile.TemporaryDirectory(prefix="tk-chaos-") as directory:
        stage = Stage(outcome, Random(f"{scenario}-{seed}"), Path(directory), seconds, environment or {})
        asyncio.run(SCENARIOS[scenario](stage))
    return outcome
