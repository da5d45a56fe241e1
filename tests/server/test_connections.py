"""Connections that are idle, or that do not begin, are ended."""

import socket
from collections.abc import Iterator

import pytest

from tallykeeper_server.settings import Settings
from tests.fuzz.frames import ACK, GO_AWAY, PREFACE, SETTINGS, frame
from tests.support.server import PATIENCE_SECONDS, ThreadedServer


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with short limits in time."""
    settings = Settings(
        listen="127.0.0.1:0", data_dir=tmp_path_factory.mktemp("data"), handshake_seconds=0.5, idle_seconds=1.0
    )
    with ThreadedServer(settings) as server:
        yield server.target


def connect(target: str) -> socket.socket:
    host, _, port = target.rpartition(":")
    return socket.create_connection((host, int(port)), PATIENCE_SECONDS)


def all_from(connection: socket.socket) -> bytes:
    """Return all bytes until the server ends the connection."""
    received = b""
    while part := connection.recv(65_536):
        received += part
    return received


def kinds_of(received: bytes) -> list[int]:
    """Return the kinds of the received frames. The last frame may be incomplete."""
    kinds = []
    while len(received) > 3:  # the kind follows the length
        kinds.append(received[3])
        received = received[9 + int.from_bytes(received[:3], "big") :]
    return kinds


@pytest.mark.parametrize("begun", [b"", PREFACE[:5], PREFACE])
def test_a_connection_that_does_not_begin_is_ended(target: str, begun: bytes) -> None:
    with connect(target) as connection:
        connection.sendall(begun)
        all_from(connection)


def test_an_idle_connection_is_ended_with_a_farewell(target: str) -> None:
    with connect(target) as connection:
        connection.sendall(PREFACE + frame(SETTINGS) + frame(SETTINGS, flags=ACK))
        received = b""
        while GO_AWAY not in kinds_of(received):
            part = connection.recv(65_536)
            assert part, received
            received += part
