"""One run of a scenario, in its own directory."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from random import Random

from tests.chaos.report import Outcome
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.stage import Stage


def run(scenario: str, *, seed: int, seconds: float, environment: Mapping[str, str] | None = None) -> Outcome:
    """Run one scenario and return its outcome.

    The scenario injects faults for ``seconds``. The same seed gives the same intents and the same faults in the same
    order. Which intents meet which faults depends on the machine. The servers get ``environment`` in addition to this
    process's environment.
    """
    outcome = Outcome(scenario, [seed])
    with tempfile.TemporaryDirectory(prefix="tk-chaos-") as directory:
        stage = Stage(outcome, Random(f"{scenario}-{seed}"), Path(directory), seconds, environment or {})
        asyncio.run(SCENARIOS[scenario](stage))
    return outcome
