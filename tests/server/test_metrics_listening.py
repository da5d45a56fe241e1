"""The address of the metrics, and the errors of addresses that cannot be used."""

import socket
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from tests.server.scraping import ANY_PORT, Scraper
from tests.server.starting import refused_start
from tests.support.server import PATIENCE_SECONDS, ServerProcess


def test_there_are_no_metrics_by_default(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path)) as server:
        pass

    assert not server.events("metrics")


def test_metrics_are_at_the_logged_address_until_the_server_ends(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path), *ANY_PORT) as server:
        scraper = Scraper(server)
        assert scraper.url.startswith("http://127.0.0.1:")
        assert scraper.url.endswith("/metrics")
        assert scraper.series()
        status = server.stop()

    assert status == 0
    with pytest.raises(URLError):
        scraper.series()


def test_metrics_are_open_metrics_on_request_and_the_only_page(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path), *ANY_PORT) as server:
        url = Scraper(server).url
        request = Request(url, headers={"Accept": "application/openmetrics-text"})  # noqa: S310  # http, on this machine
        with urlopen(request, timeout=PATIENCE_SECONDS) as response:  # noqa: S310  # as above
            page = response.read()
        with pytest.raises(HTTPError) as elsewhere:
            urlopen(url + "x", timeout=PATIENCE_SECONDS)  # noqa: S310  # as above
        elsewhere.value.close()

    assert page.endswith(b"# EOF\n")
    assert elsewhere.value.code == 404


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"

        line = refused_start("--data-dir", str(tmp_path), "--metrics-listen", listen)

    assert line == f"tallykeeper: cannot serve metrics on {listen}: Address already in use"


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("192.0.2.1:0", "Cannot assign requested address"), (f"{'x' * 64}.invalid:0", "")],
)
def test_an_address_that_cannot_be_bound_is_one_clear_line(tmp_path: Path, listen: str, expected: str) -> None:
    line = refused_start("--data-dir", str(tmp_path), "--metrics-listen", listen)

    assert line.startswith(f"tallykeeper: cannot serve metrics on {listen}: ")
    assert expected in line
