"""A proxy between server and store that loses replies, or holds requests back, as a test asks."""

import socket
import threading
from contextlib import suppress
from typing import Final, Self

_CHUNK_BYTES: Final = 65_536


class LossyProxy:
    """Passes bytes on in both directions. It can cut a connection after a reply, or hold a request back."""

    def __init__(self, store_socket: str) -> None:
        self._store_socket = store_socket
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._cut_replies_to: bytes | None = None
        self._held_back: bytes | None = None
        self._passes = 0
        self._may_pass = threading.Event()
        self.holds = threading.Event()
        self.cuts = 0

    @property
    def url(self) -> str:
        """The URL by which the server reaches the store through the proxy."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut_reply_to(self, command: bytes) -> None:
        """Lose the reply to the next request that contains these bytes, and its connection."""
        self._cut_replies_to = command

    def hold_back(self, command: bytes, *, after: int) -> None:
        """Let ``after`` requests that contain these bytes pass. Hold the next one back, and set ``holds``."""
        self._passes, self._held_back = after, command

    def let_pass(self) -> None:
        """Pass on the held requests, and all later ones."""
        self._held_back = None
        self._may_pass.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.let_pass()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        cut = threading.Event()
        with client, socket.socket(socket.AF_UNIX) as store, suppress(OSError):
            store.connect(self._store_socket)
            threading.Thread(target=self._pass_replies, args=(store, client, cut), daemon=True).start()
            while request := client.recv(_CHUNK_BYTES):
                self._hold(request)
                if self._cut_replies_to is not None and self._cut_replies_to in request:
                    self._cut_replies_to = None
                    cut.set()
                store.sendall(request)
            _end(store)

    def _pass_replies(self, store: socket.socket, client: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while reply := store.recv(_CHUNK_BYTES):
                if cut.is_set():
                    self.cuts += 1
                    break
                client.sendall(reply)
        _end(client)

    def _hold(self, request: bytes) -> None:
        if self._held_back is None or self._held_back not in request:
            return
        if self._passes:
            self._passes -= 1
            return
        self.holds.set()
        self._may_pass.wait()


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
