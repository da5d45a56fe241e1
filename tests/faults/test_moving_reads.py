"""Reads of things that move: each answer was true at one moment.

TALLYKEEPER_TEST_READS=100000 makes the run longer. `make chaos ARGS="--scenario moves --seconds 600"` is the long form.
"""

import os
from typing import Final

from tests.support.server import ThreadedServer
from tests.support.slot_moves import READINGS, Attack

READS: Final = int(os.environ.get("TALLYKEEPER_TEST_READS", "1500"))


async def test_no_answer_misses_a_thing_that_moves_while_it_is_read(server: ThreadedServer, namespace: str) -> None:
    attack = Attack(server.target, namespace, lambda each: each.answers.total() < READS)

    await attack.run()

    assert attack.untrue == []
    assert attack.unanswered == 0
    assert attack.answers.keys() == {reading.name for reading in READINGS}
    assert attack.steps > 0
