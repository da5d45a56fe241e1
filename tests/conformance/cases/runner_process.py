"""A running runner: the messages to it, and its replies by the id of the message."""

import json
import os
import queue
import subprocess
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any, Final, Self

from tests.conformance.cases.registry import Runner

REPLY_SECONDS: Final = 120.0
_ENDS_SECONDS: Final = 10.0
_ERROR_LINES: Final = 40


class RunnerError(Exception):
    """A runner broke the protocol: it ended, gave no reply in time, or wrote an invalid reply."""


class RunnerProcess:
    """A runner's process. Its methods may be called from any thread."""

    def __init__(self, runner: Runner, *, is_verbose: bool = False) -> None:
        """Start the runner. ``is_verbose``: print each message and each reply."""
        self._is_verbose = is_verbose
        self._name = runner.name
        self._lock = threading.Lock()
        self._last_id = 0
        self._replies: defaultdict[int, queue.SimpleQueue[Mapping[str, Any]]] = defaultdict(queue.SimpleQueue)
        self._failure = ""
        self._errors: deque[str] = deque(maxlen=_ERROR_LINES)
        self._process = subprocess.Popen(
            runner.run,
            cwd=runner.folder,
            env={**os.environ, **runner.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._input = self._process.stdin
        self._readers = [
            threading.Thread(target=read, args=(pipe,), daemon=True)
            for read, pipe in ((self._read_replies, self._process.stdout), (self._read_errors, self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self._input.close()
        try:
            self._process.wait(_ENDS_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(_ENDS_SECONDS)

    @property
    def errors(self) -> str:
        """The last lines that the runner wrote to standard error."""
        return "\n".join(self._errors)

    def send(self, **message: Any) -> int:  # noqa: ANN401  # JSON
        """Send a message and return its id.

        :raises RunnerError: the runner has ended.
        """
        with self._lock:
            self._last_id += 1
            line = json.dumps({"id": self._last_id, **message})
            self._show(">", line)
            try:
                self._input.write(f"{line}\n")
                self._input.flush()
            except OSError as error:
                raise RunnerError(self._failure or f"the runner has ended: {error}") from error
            return self._last_id

    def reply(self, message_id: int, *, seconds: float = REPLY_SECONDS) -> Mapping[str, Any]:
        """Return the next reply to a message.

        :raises RunnerError: no reply came in time, or the runner has ended.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._replies[message_id].get(timeout=0.1)
            except queue.Empty:
                if self._failure:
                    raise RunnerError(self._failure) from None
                if time.monotonic() > deadline:
                    message = f"the runner gave no reply to message {message_id} within {seconds:g} s"
                    raise RunnerError(message) from None

    def ask(self, **message: Any) -> Mapping[str, Any]:  # noqa: ANN401  # JSON
        """Send a message and return the reply.

        :raises RunnerError: no reply came.
        """
        return self.reply(self.send(**message))

    def _read_replies(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                self._show("<", line.rstrip("\n"))
                try:
                    reply = json.loads(line)
                    self._replies[int(reply["id"])].put(reply)
                except (ValueError, KeyError, TypeError):
                    self._failure = f"the runner wrote to standard output what is no reply: {line[:200]!r}"
                    return
        self._process.wait()
        self._failure = f"the runner has ended with {self._process.returncode}"

    def _read_errors(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                self._errors.append(line.rstrip("\n"))

    def _show(self, direction: str, line: str) -> None:
        if self._is_verbose:
            print(f"{self._name} {direction} {line}", flush=True)
