"""Streams of ``tallykeeper backup -``, taken apart and put together again."""

import io
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Literal

from tests.support.server import PATIENCE_SECONDS, TALLYKEEPER

Member = tuple[tarfile.TarInfo, bytes]


def run(*arguments: str | Path, stdin: IO[bytes] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [TALLYKEEPER, *arguments],
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS * 2,
    )


def shell(script: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command of a shell that runs a script. The first argument of the script is the command line."""
    return ["/bin/bash", "-o", "pipefail", "-c", script, TALLYKEEPER, *arguments]


def tar(*arguments: str | Path, stream: bytes = b"") -> None:
    """Run tar."""
    subprocess.run([shutil.which("tar") or "tar", *arguments], input=stream, check=True)


def streamed_backup(data_dir: Path) -> bytes:
    """Return the stream of a backup."""
    done = subprocess.run(
        [TALLYKEEPER, "backup", "-", "--data-dir", data_dir], capture_output=True, check=True, timeout=PATIENCE_SECONDS
    )
    return done.stdout


def members_of(stream: bytes) -> list[Member]:
    """Return the files and folders of a stream, in their order."""
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        return [(member, _content(archive, member)) for member in archive]


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def packed(members: Sequence[Member], *, form: Literal[0, 1, 2] = tarfile.GNU_FORMAT) -> bytes:
    """Return a stream with these files and folders. The size in a header stays, also if it is wrong."""
    blocks = [
        member.tobuf(form) + content + bytes(-len(content) % tarfile.BLOCKSIZE if content else 0)
        for member, content in members
    ]
    return b"".join(blocks) + bytes(2 * tarfile.BLOCKSIZE)


def member(name: str, content: bytes = b"", **fields: object) -> Member:
    """Return a file with a header whose other ``fields`` are as given."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    for field, value in fields.items():
        setattr(header, field, value)
    return header, content
