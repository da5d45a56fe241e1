"""Sentinels that do not know the primary, see it down, or are no sentinels: the next one is asked."""

from collections.abc import Callable

import pytest

from tallykeeper_server.domain.errors import StoreUnavailableError
from tallykeeper_server.store.nodes.sentinels import Sentinels
from tallykeeper_server.store.nodes.store_url import parsed_store_url
from tests.store.scripted_node import scripted_node


def knows(name: str, *, flags: str = "master", port: int = 7_000) -> Callable[[list[str]], bytes]:
    """Return the script of a sentinel that watches another primary and one of this name."""
    primaries = [
        {"name": "other", "ip": "h9", "port": "9", "flags": "master"},
        {"name": name, "ip": "h1", "port": str(port), "flags": flags},
    ]
    replies = []
    for primary in primaries:
        words = [word for pair in primary.items() for word in pair]
        replies.append(f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words))
    return lambda _: f"*{len(replies)}\r\n{''.join(replies)}".encode()


def no_sentinel(command: list[str]) -> bytes:
    """Reply as a store does."""
    return b"+PONG\r\n" if command == ["PING"] else b"-ERR unknown command 'SENTINEL'\r\n"


def sentinels(*addresses: str, service: str = "stocks") -> Sentinels:
    return Sentinels(parsed_store_url(f"redis+sentinel://{','.join(addresses)}/{service}"), timeout_seconds=20.0)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (knows("stocks", flags="s_down,master"), "it sees 'stocks' down"),
        (knows("stocks", flags="s_down,o_down,master,disconnected"), "it sees 'stocks' down"),
        (knows("stocks", flags="slave"), "it sees 'stocks' down"),
        (knows("bonds"), "it does not know 'stocks'"),
        (no_sentinel, "it is no sentinel, or does not answer"),
        (lambda _: b"+OK\r\n", "it does not answer as a sentinel does"),
        (lambda _: b"-NOPERM no permissions\r\n", "no permissions"),
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n", "does not answer as Redis does"),
    ],
)
async def test_the_next_sentinel_is_asked(script: Callable[[list[str]], bytes], reason: str) -> None:
    async with scripted_node(script) as first:
        with pytest.raises(StoreUnavailableError, match=f"'stocks' is: {first.host_port}: .*{reason}"):
            await sentinels(first.host_port).primary()

        async with scripted_node(knows("stocks")) as second:
            asked = sentinels("127.0.0.1:1", first.host_port, second.host_port)
            assert await asked.primary() == ("h1", 7_000)
            assert await asked.primary() == ("h1", 7_000)

    assert second.commands == [["PING"], ["SENTINEL", "MASTERS"]] * 2
    assert first.commands.count(["PING"]) == 2  # the one that answered last is asked first
