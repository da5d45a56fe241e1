"""The end of a connection to a store with TLS: both sides have said that they end it before it is closed."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.store.nodes.connection import Connection


@contextmanager
def slow_to_leave(certificates: Path, has_left: threading.Event) -> Iterator[int]:
    """Serve one connection: answer each command, and end TLS a moment after the other side has ended it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")

    def serve(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        with accepted, context.wrap_socket(accepted, server_side=True) as connection:
            while connection.recv(1_024):
                connection.sendall(b"+PONG\r\n")
            time.sleep(0.1)
            has_left.set()
            connection.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


async def test_a_connection_is_closed_when_the_other_side_has_left_too(tmp_path: Path) -> None:
    make_certificates(tmp_path, hosts=["127.0.0.1"], clients=["tallykeeper"], days=1)
    has_left = threading.Event()
    with slow_to_leave(tmp_path, has_left) as port:
        url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path / 'ca.pem'}"
        connection = Connection(url, timeout_seconds=20.0)
        assert await connection.call("PING") == b"PONG"

        await connection.close()

        assert has_left.is_set()
