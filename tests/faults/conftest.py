"""What the tests of faults share: a store that a test may stop, or take away."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallykeeper_server.store.embedded import find_binary
from tests.serving import store_process


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[str]:
    """The URL of a store of this test's own."""
    with store_process(find_binary(None), tmp_path) as url:
        yield url
