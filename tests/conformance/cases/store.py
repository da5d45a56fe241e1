"""A store that is not embedded and keeps its data. It can be ended, started again, and frozen."""

import signal
import subprocess
from pathlib import Path

from tallykeeper_server.store.embedded.valkey import find_binary
from tests.support.server import PATIENCE_SECONDS, answers, wait_until


class Store:
    """A Valkey that syncs every write, in a folder."""

    def __init__(self, folder: Path) -> None:
        """Make the store's folder and start the store."""
        folder.mkdir()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder / 'store.sock'}"
        self.start()

    def start(self) -> None:
        """Start or thaw the store, and return when it answers."""
        if self._process is None:
            options = ("--port", "0", "--unixsocket", "store.sock", "--save", "")
            durable = ("--appendonly", "yes", "--appendfsync", "always")
            command = (find_binary(None), *options, *durable)
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        self._process.send_signal(signal.SIGCONT)
        wait_until(lambda: answers(self.url), what="the store answers")

    def stop(self) -> None:
        """End the store, if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def freeze(self) -> None:
        """Freeze the store, so that it answers nothing until `start`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
