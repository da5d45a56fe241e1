"""A proxy between server and store that loses replies when it is told to."""

import socket
import threading
from contextlib import suppress
from typing import Final, Self

_CHUNK_BYTES: Final = 65_536


class LossyProxy:
    """Passes bytes on, both ways, until it is told to cut a connection after the store's next reply."""

    def __init__(self, store_socket: str) -> None:
        self._store_socket = store_socket
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._cut_replies_to: bytes | None = None
        self.cuts = 0

    @property
    def url(self) -> str:
        """The URL by which the server reaches the store through the proxy."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut_reply_to(self, command: bytes) -> None:
        """Lose the reply to the next request that contains these bytes, and its connection."""
        self._cut_replies_to = command

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as store, suppress(OSError):
            store.connect(self._store_socket)
            while request := client.recv(_CHUNK_BYTES):
                store.sendall(request)
                reply = store.recv(_CHUNK_BYTES)
                if self._cut_replies_to is not None and self._cut_replies_to in request:
                    self._cut_replies_to = None
                    self.cuts += 1
                    return
                client.sendall(reply)
