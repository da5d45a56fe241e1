"""The guard of the console: no other site reaches it through the browser of somebody who has it open."""

from collections.abc import MutableMapping
from typing import Any

import pytest

from tallykeeper_console.host_guard import LOOPBACK_NAMES, HostGuard

HOSTS = [
    ("127.0.0.1:50082", None, True),
    ("localhost:50082", "http://localhost:50082", True),
    ("[::1]:50082", "http://[::1]:50082", True),
    ("LOCALHOST:50082", "http://localhost:50082", True),
    ("console.example", "https://console.example", True),
    ("evil.example:50082", None, False),
    ("127.0.0.1.evil.example", None, False),
    ("127.0.0.1:50082", "http://evil.example", False),
    ("127.0.0.1:50082", "http://127.0.0.1:8080", False),
    ("127.0.0.1:50082", "null", False),
    ("[::1", None, False),
    ("", None, False),
]


async def exchange(kind: str, host: str, origin: str | None) -> list[MutableMapping[str, Any]]:
    """Send a request through the guard, and return the messages of the response."""
    sent: list[MutableMapping[str, Any]] = []

    async def app(_scope: object, _receive: object, send: Any) -> None:  # noqa: ANN401
        await send({"type": f"{kind}.response.start", "status": 200, "headers": [(b"a", b"b")]})

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin is not None else [])
    guard = HostGuard(app, {*LOOPBACK_NAMES, "Console.example"})
    await guard({"type": kind, "headers": headers}, receive, send)
    return sent


@pytest.mark.parametrize(("host", "origin", "permitted"), HOSTS)
async def test_a_page_is_served_to_known_hosts_and_their_own_pages(
    host: str, origin: str | None, *, permitted: bool
) -> None:
    sent = await exchange("http", host, origin)

    assert sent[0]["status"] == (200 if permitted else 403)
    assert permitted or b"--allow-host" in sent[1]["body"]


@pytest.mark.parametrize(("host", "origin", "permitted"), HOSTS)
async def test_a_socket_is_opened_to_known_hosts_and_their_own_pages(
    host: str, origin: str | None, *, permitted: bool
) -> None:
    (sent,) = await exchange("websocket", host, origin)

    assert (sent["type"] == "websocket.close") is not permitted


async def test_no_other_site_may_frame_the_console() -> None:
    (start,) = await exchange("http", "localhost", None)

    assert (b"content-security-policy", b"frame-ancestors 'none'") in start["headers"]
    assert (b"a", b"b") in start["headers"]
