"""Reads the metrics of a server, as Prometheus does."""

from contextlib import suppress
from typing import Final
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from tests.support.server import PATIENCE_SECONDS, ServerProcess, wait_until

COUNTERS: Final = "tallykeeper.v1.CounterService"
INVENTORY: Final = "tallykeeper.v1.InventoryService"


class Scraper:
    """A reader of the values on the page."""

    def __init__(self, server: ServerProcess) -> None:
        self.url = f"{server.http_url}/metrics"
        self.timeout_seconds = PATIENCE_SECONDS

    def series(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return every value on the page, by name and labels."""
        with urlopen(self.url, timeout=self.timeout_seconds) as response:  # noqa: S310  # http, on this machine
            page = response.read().decode()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Return one value, or 0 if it is not on the page."""
        return self.series().get((f"tallykeeper_{name}", frozenset(labels.items())), 0.0)

    def wait_for(self, expected: float, name: str, **labels: str) -> None:
        """Return as soon as a value is the expected one. A worker that is killed may take a connection with it."""

        def is_expected() -> bool:
            with suppress(ConnectionError):
                return self.value(name, **labels) == expected
            return False

        wait_until(is_expected, what=f"{name} {labels} is {expected}")
