"""Keepalive: a client that pings on an idle connection keeps it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from tallykeeper.v1.namespace_pb2 import ListNamespacesRequest
from tests.support.client import OWN_CONNECTION, Caller
from tests.support.server import PATIENCE_SECONDS, ThreadedServer, wait_until

_PREFACE_BYTES: Final = 24
_HEADER_BYTES: Final = 9
_PING: Final = 6
_PINGS: Final = 5
"""A server of gRPC's own cuts off the third ping on an idle connection."""


class Relay:
    """Stands between a client and a server, and counts connections and the client's pings."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.pings = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(self._target, PATIENCE_SECONDS)
                server.settimeout(None)
                self._sockets += [client, server]
                threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, counts: bool) -> None:  # noqa: FBT001  # a thread's
        received, skip = b"", _PREFACE_BYTES
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
                received += data
                while counts and len(received) >= skip + _HEADER_BYTES:
                    header = received[skip : skip + _HEADER_BYTES]
                    if header[3] == _PING and not header[4] & 1:
                        self.pings += 1
                    skip += _HEADER_BYTES + int.from_bytes(header[:3], "big")


@contextmanager
def relay_to(target: str) -> Iterator[Relay]:
    relay = Relay(target)
    try:
        yield relay
    finally:
        relay.close()


def test_a_client_that_pings_on_an_idle_connection_keeps_it(server: ThreadedServer) -> None:
    """The pings come once a second, as fast as this client can: ten times as fast as with the usual 10 s."""
    options = (
        *OWN_CONNECTION,
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    )
    with relay_to(server.target) as relay:
        caller = Caller(relay.address, options)
        caller(ListNamespacesRequest())
        wait_until(lambda: relay.pings >= _PINGS, what="the client has pinged")
        caller(ListNamespacesRequest())
        caller.close()

        assert relay.connections == 1
