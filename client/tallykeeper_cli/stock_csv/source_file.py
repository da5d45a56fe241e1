"""The bytes of an import and their encoding: a file that can be read twice, or a copy of one that cannot."""

import codecs
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, Final, cast

import click

STANDARD_INPUT: Final = "-"
UNDECODABLE: Final = "\udcff"
"""The character for bytes that are not text in the file's encoding. No text can have it."""

_CHUNK_BYTES: Final = 1 << 20
_SAMPLE_BYTES: Final = 4096
_NUL_SHARE_MAX: Final = 0.2
_ERRORS: Final = "tallykeeper.undecodable"
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
"""The marks with which a file may begin. UTF-32 comes before UTF-16, because its mark begins with that of UTF-16."""


def _replace_undecodable(error: UnicodeError) -> tuple[str, int]:
    return UNDECODABLE, cast("UnicodeDecodeError", error).end


codecs.register_error(_ERRORS, _replace_undecodable)


@dataclass(frozen=True, slots=True)
class Source:
    """An open file that can be read from its beginning several times.

    ``name`` is its name in messages. ``digest`` is the hash of all bytes, and ``size_bytes`` their number.
    """

    name: str
    file: BinaryIO
    digest: str
    size_bytes: int
    stamp: tuple[int, int] | None
    """The time of the last change of the file, and its size; None for a copy, which nobody else changes."""

    def text(self, encoding: str) -> TextIOWrapper:
        """Return the text from the beginning. Only the text that was made last may be read."""
        again = os.fdopen(os.dup(self.file.fileno()), "rb")
        again.seek(0)
        return TextIOWrapper(again, encoding=encoding, errors=_ERRORS, newline=None)

    def is_at(self, path: Path) -> bool:
        """Return True if this is the file at a path."""
        try:
            return os.path.samestat(os.fstat(self.file.fileno()), path.stat())
        except OSError:
            return False

    def check_unchanged(self) -> None:
        """Raise click.ClickException if the file has been changed since it was opened."""
        if self.stamp is not None and self.stamp != _stamp(self.file):
            message = f"{self.name} was changed while it was read; import it again when no program writes to it"
            raise click.ClickException(message)


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Open a file by its path, or standard input for ``-``.

    Anything except a plain file, such as a pipe, is copied to a temporary file first, because an import reads it twice.

    Raises click.UsageError if the file cannot be opened.
    """
    if path == STANDARD_INPUT:
        yield from _copy(sys.stdin.buffer, "standard input")
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115  # closed below
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise click.UsageError(message) from error
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            yield from _copy(file, path)
            return
        stamp = _stamp(file)
        yield Source(path, file, _digest(file), stamp[1], stamp)


def encoding_of(source: Source, asked_for: str | None) -> tuple[str, str]:
    """Return the encoding of a file, and its name in messages.

    The mark at the beginning decides, then ``asked_for``. Without both it is UTF-8.

    Raises click.UsageError if ``asked_for`` is not an encoding or contradicts the mark, and for UTF-16 without a mark.
    """
    source.file.seek(0)
    sample = source.file.read(_SAMPLE_BYTES)
    named = _codec(asked_for) if asked_for else None
    for mark, codec, name in _MARKS:
        if sample.startswith(mark):
            if named and not named.startswith(codec.removesuffix("-sig")):
                message = f"{source.name} begins with the mark of {name}; leave out --encoding {asked_for}"
                raise click.UsageError(message)
            return codec, f"{name} by its mark"
    if named:
        return named, named
    if sample.count(0) > len(sample) * _NUL_SHARE_MAX:
        message = f"{source.name} looks like UTF-16 without its mark; add --encoding utf-16-le or utf-16-be"
        raise click.UsageError(message)
    return "utf-8", "UTF-8"


def _codec(name: str) -> str:
    try:
        codec = codecs.lookup(name).name
        "".encode(codec)
    except LookupError as error:
        message = f"{name!r} is not a text encoding; examples are latin-1, cp1252 and utf-16"
        raise click.UsageError(message) from error
    return codec


def _copy(file: BinaryIO, name: str) -> Iterator[Source]:
    digest, size_bytes = hashlib.blake2b(), 0
    with tempfile.TemporaryFile() as copy:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
            copy.write(chunk)
        copy.flush()
        yield Source(name, copy, digest.hexdigest(), size_bytes, None)


def _digest(file: BinaryIO) -> str:
    digest = hashlib.blake2b()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _stamp(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_mtime_ns, found.st_size
