"""Stores whose disk can lose its power or fill up, and whose clock can jump."""

import os
import shutil
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

import redis

from tallykeeper_server.store.embedded.valkey import find_binary
from tests.support.server import PATIENCE_SECONDS, answers, wait_until

_SHIM: Final = Path(__file__).with_name("shim.c")
DURABLE: Final = ("--appendonly", "yes", "--appendfsync", "always")


def compiler() -> list[str] | None:
    """Return the command that compiles C on this machine, or None if there is none."""
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return [found]
    with suppress(ImportError):
        import ziglang  # noqa: F401, PLC0415  # only some machines have it

        return [sys.executable, "-m", "ziglang", "cc"]
    return None


@cache
def shim(directory: Path) -> Path:
    """Compile the library that is loaded into processes, and return its path."""
    library = directory / "shim.so"
    command = compiler()
    assert command is not None
    subprocess.run([*command, "-O1", "-shared", "-fPIC", "-o", library, _SHIM, "-ldl"], check=True)
    return library


@dataclass(slots=True)
class Clock:
    """The time of day of some processes, which can jump."""

    file: Path

    def __post_init__(self) -> None:
        self.jump(0)

    def jump(self, milliseconds: int) -> None:
        """Set the difference of the processes' time of day from the real time, in milliseconds."""
        if self.file.exists():
            with self.file.open("r+b") as file:  # in place, because the processes have mapped it
                file.write(struct.pack("=q", milliseconds))
        else:
            self.file.write_bytes(struct.pack("=q", milliseconds))

    def environment(self, library: Path) -> dict[str, str]:
        """Return the environment variables that make a process use this clock."""
        return {"LD_PRELOAD": str(library), "TK_CLOCK": str(self.file)}


@dataclass(slots=True)
class Node:
    """One store as a process, which is killed and started again on the same data."""

    directory: Path
    options: tuple[str, ...] = DURABLE
    library: Path | None = None
    """The library that is loaded into it. Without a library, it uses this machine's disk and clock."""
    process: "subprocess.Popen[bytes] | None" = None
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.clock = Clock(self.directory / "clock")

    @property
    def socket(self) -> Path:
        """The address on which it listens."""
        return self.directory / "store.sock"

    @property
    def url(self) -> str:
        """The URL of the store."""
        return f"unix://{self.socket}"

    def start(self, *, wait: bool = True) -> None:
        """Start the store, and return when it answers after it has read its data."""
        environment = dict(os.environ)
        if self.library is not None:
            environment |= self.clock.environment(self.library)
            environment |= {"TK_SYNCED": str(self._synced), "TK_FULL": str(self._full)}
        command = (find_binary(None), "--port", "0", "--unixsocket", self.socket, "--dir", self._data, "--save", "")
        self._data.mkdir(exist_ok=True)
        self.process = subprocess.Popen((*command, *self.options), stdout=subprocess.DEVNULL, env=environment)
        if wait:
            self.start_is_over()

    def start_is_over(self) -> None:
        """Return when the store answers."""
        wait_until(lambda: answers(self.url), what="the store answers")

    def kill(self) -> None:
        """Kill the store at once, as kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        """End the store in good order, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE_SECONDS)

    def freeze(self) -> None:
        """Stop the store until it is thawed."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the store go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def cut_power(self, random: Random) -> int:
        """End the store as a power cut does: a random part of its unsynced bytes is lost. Return their number."""
        self.kill()
        synced: dict[int, int] = {}
        for line in self._synced.read_text().splitlines():
            inode, _, size = line.partition(" ")
            synced[int(inode)] = int(size)
        lost = 0
        for file in sorted(self._data.rglob("*.aof")):
            status = file.stat()
            kept = min(synced.get(status.st_ino, 0), status.st_size)
            kept = random.choice((kept, random.randint(kept, status.st_size)))
            os.truncate(file, kept)
            lost += status.st_size - kept
        self._synced.write_text("".join(f"{inode} {size}\n" for inode, size in synced.items()))
        return lost

    def fill_disk(self) -> None:
        """Let the store's writes fail because the disk is full."""
        self._full.touch()

    def free_disk(self) -> None:
        """Give the disk room again."""
        self._full.unlink(missing_ok=True)

    def ask(self, *command: str) -> object:
        """Send the store a command, and return the plain reply."""
        with redis.Redis.from_url(self.url) as connection:
            connection.response_callbacks.clear()
            return connection.execute_command(*command)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _synced(self) -> Path:
        return self.directory / "synced"

    @property
    def _full(self) -> Path:
        return self.directory / "full"
