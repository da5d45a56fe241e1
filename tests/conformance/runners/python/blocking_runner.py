"""The runner of the blocking client, with a thread for each message."""

import json
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tallykeeper_client import Client
from tests.conformance.runners.python.translation import (
    arguments,
    batch_arguments,
    client_options,
    error_json,
    known,
    method_name,
    new_request_id,
    reply,
    response_json,
)


@dataclass(frozen=True, slots=True)
class Watch:
    """A watch with its own client, because closing the client is the only way to end a waiting watch."""

    client: Client
    ended: threading.Event = field(default_factory=threading.Event)


class Runner:
    """The clients and the watches, by the names that the harness gives them."""

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}
        self._connections: dict[str, Mapping[str, Any]] = {}
        self._watches: dict[int, Watch] = {}
        self._watchers: dict[str, list[Watch]] = {}
        self._actions: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
            "connect": self._connect,
            "call": self._call,
            "batch": self._batch,
            "stop": self._stop,
            "request_id": lambda _: {"ok": {"request_id": new_request_id()}},
            "close": self._close,
        }

    def handle(self, message: Mapping[str, Any]) -> None:
        """Execute a message, and reply."""
        try:
            if message["do"] == "watch":
                self._watch(message)
                return
            action = known(self._actions, message["do"])
            reply(message["id"], **action(message))
        except Exception as error:  # noqa: BLE001  # the harness judges each of them
            reply(message["id"], error=error_json(error))

    def _connect(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        self._clients[message["client"]] = Client(message["address"], **client_options(message))
        self._connections[message["client"]] = message
        return {"ok": {}}

    def _call(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        method = getattr(self._clients[message["client"]], method_name(message["method"]))
        return {"ok": response_json(method(**arguments(method, message["method"], message)))}

    def _batch(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"ok": response_json(self._clients[message["client"]].apply(**batch_arguments(message)))}

    def _watch(self, message: Mapping[str, Any]) -> None:
        connection = self._connections[message["client"]]
        with Client(connection["address"], **client_options(connection)) as client:
            watch = self._watches[message["id"]] = Watch(client)
            self._watchers.setdefault(message["client"], []).append(watch)
            try:
                method = client.watch_responses
                for response in method(**arguments(method, "LedgerService.Watch", message)):
                    reply(message["id"], event=response_json(response))
                reply(message["id"], end={})
            except Exception as error:  # noqa: BLE001  # the harness judges each of them
                reply(message["id"], error=error_json(error))
            finally:
                watch.ended.set()

    def _stop(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        _end(self._watches.pop(message["watch"]))
        return {"ok": {}}

    def _close(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        for watch in self._watchers.pop(message["client"], []):
            _end(watch)
        self._clients.pop(message["client"]).close()
        return {"ok": {}}


def _end(watch: Watch) -> None:
    watch.client.close()
    watch.ended.wait()


def main() -> None:
    """Handle each message in a thread until standard input ends."""
    runner = Runner()
    for line in sys.stdin:
        threading.Thread(target=runner.handle, args=(json.loads(line),), daemon=True).start()


if __name__ == "__main__":
    main()
