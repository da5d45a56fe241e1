"""The watcher of the demo: a second client that prints changes as they happen."""

import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

import click

from tallykeeper_cli.demo.clients import another
from tallykeeper_cli.terminal.descriptions import event
from tallykeeper_client.client import Client

_LAST_SECONDS: Final = 5.0
"""The time that the watcher may take, at the end, to receive the last changes."""


class Watcher:
    """A watcher that prints each change of a client's namespace during its block."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._closing = ExitStack()
        self._seen = threading.Condition()
        self._revision = 0

    def __enter__(self) -> Self:
        """Begin to watch. Raises `TallykeeperError` if the watch cannot begin."""
        watcher = self._closing.enter_context(another(self._client))
        responses = watcher.watch_responses()
        self._revision = next(responses).revision

        def follow() -> None:
            for response in responses:
                for entry in response.entries:
                    click.echo(f"  watcher: {event(entry)}")
                with self._seen:
                    self._revision = response.revision
                    self._seen.notify()

        self._thread = threading.Thread(target=follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._closing:
            if exception is None:
                last = self._client.get_namespace().revision
                with self._seen:
                    self._seen.wait_for(lambda: self._revision >= last, _LAST_SECONDS)
        self._thread.join(_LAST_SECONDS)
