"""The server against the model.

TALLYKEEPER_TEST_EXAMPLES=1000 makes a long run. A failure is shown with the steps that found it.
TALLYKEEPER_TEST_SHRINK=1 with ``-o faulthandler_timeout=0`` searches for the shortest steps that lead to it, which
takes minutes.
"""

import os
from typing import Final

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.comparison import Comparison
from tests.support.client import Caller

EXAMPLES: Final = int(os.environ.get("TALLYKEEPER_TEST_EXAMPLES", "40"))
EXAMPLES_OF_A_RUN: Final = 20
"""A long run consists of many short ones, which the test workers share."""
SETTINGS: Final = settings(
    max_examples=EXAMPLES_OF_A_RUN,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[phase for phase in Phase if phase is not Phase.shrink or "TALLYKEEPER_TEST_SHRINK" in os.environ],
    print_blob=True,
)


@pytest.mark.parametrize("run", range(-(-EXAMPLES // EXAMPLES_OF_A_RUN)))
def test_the_server_answers_as_the_model_does(call: Caller, raw_store: redis.Redis, run: int) -> None:
    class OnThisServer(Comparison):
        def __init__(self) -> None:
            super().__init__(call, raw_store)

    OnThisServer.__name__ = f"Run{run}"
    run_state_machine_as_test(OnThisServer, settings=SETTINGS)
