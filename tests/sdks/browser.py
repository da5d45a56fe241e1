"""The example page, in a headless Chromium, served from an origin that the server allows."""

import re
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Final

from tests.sdks.examples import ROOT, compare, http_address, require_http, see_each_change_counted_once, server
from tests.sdks.suites import CheckFailedError, Command

PAGE: Final = ROOT / "examples" / "browser"
TOOLS: Final = ("chromium",)
_LINE: Final = re.compile(r"<li>(.*?)</li>")
_PATIENCE_MS: Final = 20_000
"""The time of the page's clock after which Chromium prints the page. It runs on while no request is open."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
        """Print nothing about requests."""


def play() -> str:
    """Open the page, and compare what it shows with what all examples print."""
    require_http()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(PAGE))) as files:
        Thread(target=files.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{files.server_port}"
        try:
            with server("--http-origins", origin) as serving:
                compare(_shown(f"{origin}/?address={http_address(serving)}"))
                see_each_change_counted_once(serving.target, runs=1)
        finally:
            files.shutdown()
    return ""


def _shown(address: str) -> str:
    """Return the lines that a page shows once its requests are answered."""
    with TemporaryDirectory(prefix="tallykeeper-browser-") as profile:
        options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}")
        command = Command(["chromium", *options, f"--virtual-time-budget={_PATIENCE_MS}", "--dump-dom", address], PAGE)
        page = command.output()
    lines = [unescape(line) for line in _LINE.findall(page)]
    if not lines:
        message = f"the page shows no line:\n{page}"
        raise CheckFailedError(message)
    return "\n".join(lines)
