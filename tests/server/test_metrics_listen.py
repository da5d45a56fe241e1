"""The address of the metrics."""

from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from tests.server.metrics_page import Scraper
from tests.support.server import PATIENCE_SECONDS, ServerProcess


def test_metrics_are_at_the_address_of_http_until_the_server_ends(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path)) as server:
        scraper = Scraper(server)
        assert scraper.series()
        status = server.stop()

    assert status == 0
    with pytest.raises(URLError):
        scraper.series()


def test_metrics_are_open_metrics_for_a_client_that_asks_for_them(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path)) as server:
        url = Scraper(server).url
        request = Request(url, headers={"Accept": "application/openmetrics-text"})  # noqa: S310  # http, on this machine
        with urlopen(request, timeout=PATIENCE_SECONDS) as response:  # noqa: S310  # on loopback
            page = response.read()

    assert page.endswith(b"# EOF\n")
