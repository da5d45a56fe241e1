"""Writes a backup as a tar stream, and reads it again.

The reader takes only the files of a backup: a regular file or a folder with the name that a backup gives it, once, and
no larger than the free space. Everything else is refused by its name, so no stream can write outside of its folder.
"""

import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.embedded.data_format import (
    DATA_FORMAT,
    FORMAT_FILE,
    CopiedFile,
    DataFormat,
    DataState,
    FormatError,
)
from tallykeeper_server.store.embedded.folders import SMALL_FILE_BYTES_MAX, open_file, opened_folder, replace_small_file
from tallykeeper_server.store.embedded.manifest import FOLDER, MANIFEST, is_data_file
from tallykeeper_server.store.embedded.snapshots import CHUNK_BYTES

MEMBERS_MAX: Final = 10_000
"""The maximum number of files and folders in a stream. A backup has one for each file of the store, and four more."""
_BLOCK_BYTES: Final = 512
_PADDING_BYTES_MAX: Final = 1 << 20
"""The bytes after the end of a stream that are read, so that the program that writes them can end in order."""
_FILE_TYPES: Final = (tarfile.REGTYPE, tarfile.AREGTYPE)
_EXTENDED_TYPES: Final = (b"x", b"g")
"""The types of headers in which tar programs keep times with fractions, among other things (POSIX.1-2001, pax)."""
_EXTENDED_BYTES_MAX: Final = 64 << 10
_OVERRIDES: Final = (b" path=", b" size=", b" linkpath=")
"""The records of an extended header that change what the next header says."""
_KINDS: Final = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.DIRTYPE: "a folder",
    **dict.fromkeys(_FILE_TYPES, "a file"),
}
_COMPRESSIONS: Final = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
}
"""The first bytes of compressed streams, with the program that reads them."""


class ArchiveError(TallyError):
    """A stream that is no complete backup. The message says why, in one line, without the name of the stream."""


class ArchiveWriter:
    """A writer of one tar stream, in GNU's form, because one header then describes a file of any size."""

    def __init__(self, write: Callable[[bytes], None], owner: os.stat_result) -> None:
        """Take a function that writes all bytes that it gets. The files are those of the ``owner`` of the data."""
        self._write = write
        self._owner = owner

    def add_folder(self, name: str) -> None:
        """Write a folder."""
        self._add_header(name, 0, is_folder=True)

    def add_small(self, name: str, data: bytes) -> None:
        """Write a file with these contents."""
        self._add_header(name, len(data))
        self._write(data)
        self._pad(len(data))

    def add_file(self, name: str, descriptor: int, size: int) -> CopiedFile:
        """Write the first ``size`` bytes of an open file. Return the size and the checksum.

        :raises ArchiveError: the file has become shorter.
        """
        self._add_header(name, size)
        read = crc32 = 0
        while read < size:
            chunk = os.pread(descriptor, min(CHUNK_BYTES, size - read), read)
            if not chunk:
                message = f"{name} became shorter while it was copied; run the backup again"
                raise ArchiveError(message)
            self._write(chunk)
            crc32, read = zlib.crc32(chunk, crc32), read + len(chunk)
        self._pad(size)
        return CopiedFile(size=size, crc32=crc32)

    def end(self) -> None:
        """Write the end of the stream."""
        self._write(bytes(2 * _BLOCK_BYTES))

    def _add_header(self, name: str, size: int, *, is_folder: bool = False) -> None:
        header = tarfile.TarInfo(f"{name}/" if is_folder else name)
        header.type, header.mode = (tarfile.DIRTYPE, 0o700) if is_folder else (tarfile.REGTYPE, 0o600)
        header.size, header.mtime = size, int(self._owner.st_mtime)
        header.uid, header.gid = self._owner.st_uid, self._owner.st_gid
        self._write(header.tobuf(format=tarfile.GNU_FORMAT))

    def _pad(self, size: int) -> None:
        self._write(bytes(-size % _BLOCK_BYTES))


@dataclass(frozen=True, slots=True)
class _Member:
    """One file of a stream."""

    name: str
    """The name without the folder."""
    size: int
    """The size in bytes."""
    contents: Iterator[bytes]
    """The contents, which must be read before the next file."""


def unpack(stream: BinaryIO, folder: int) -> None:
    """Write the files of a stream into an empty folder, and last the ``format.json`` that says that it is complete.

    The checksums in ``format.json`` are not compared: ``look_into`` does this.

    :raises ArchiveError: the stream is no complete backup.
    :raises OSError: the stream cannot be read, or the files cannot be written.
    """
    record = b""
    os.mkdir(FOLDER, 0o700, dir_fd=folder)
    with opened_folder(FOLDER, within=folder) as files:
        for member in _members(stream):
            if member.name == FORMAT_FILE:
                record = b"".join(member.contents)
            elif member.name == MANIFEST:
                replace_small_file(files, MANIFEST, b"".join(member.contents))
            else:
                _write_file(files, member)
        os.fsync(files)
    _check_record(record)
    replace_small_file(folder, FORMAT_FILE, record)


def _write_file(files: int, member: _Member) -> None:
    """Write a file, if there is room for all of it.

    :raises ArchiveError: there is not.
    """
    system = os.fstatvfs(files)
    room = system.f_bavail * system.f_frsize
    if member.size > room:
        message = f"its file {member.name} has {member.size} bytes, and the file system has room for {room}; make room"
        raise ArchiveError(message)
    with open(open_file(files, member.name, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as target:  # noqa: PTH123  # open
        target.writelines(member.contents)
        target.flush()
        os.fsync(target.fileno())


def _check_record(data: bytes) -> None:
    """Return if the last ``format.json`` of a stream says that the stream is a complete backup.

    A format that is newer than this program passes, because ``look_into`` refuses it.

    :raises ArchiveError: it says something else.
    """
    try:
        record = DataFormat.of(data) if data else DataFormat(state=DataState.COPYING)
    except FormatError as error:
        message = f"its {FORMAT_FILE} is damaged: {error}"
        raise ArchiveError(message) from error
    if record.state is DataState.COPYING:
        message = f"it is incomplete: the {FORMAT_FILE} that ends a backup is missing; use another backup"
        raise ArchiveError(message)
    if record.state is not DataState.COPIED and record.number <= DATA_FORMAT:
        message = (
            f"its {FORMAT_FILE} has the state {record.state.value!r}: it was packed from a data directory, and"
            " tallykeeper backup did not write it; name the directory instead"
        )
        raise ArchiveError(message)


class _Reader:
    """A stream that is read in pieces of known sizes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._offset = 0

    def read(self, size: int, *, part: str) -> bytes:
        """Read exactly ``size`` bytes.

        :raises ArchiveError: the stream ends before, in the named part of it.
        """
        pieces, missing = [], size
        while missing:
            piece = self._stream.read(missing)
            if not piece:
                message = f"it is incomplete: it ends after {self._offset} bytes, in {part}; use another backup"
                raise ArchiveError(message)
            pieces.append(piece)
            self._offset += len(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def skip_padding(self) -> None:
        """Read what tar programs write after the end, so that the program that writes it can end in order."""
        missing = _PADDING_BYTES_MAX
        while missing and (piece := self._stream.read(missing)):
            missing -= len(piece)


def _members(stream: BinaryIO) -> Iterator[_Member]:
    """Yield the files of a stream.

    :raises ArchiveError: the stream ends before its end, or holds something that is no part of a backup.
    """
    reader = _Reader(stream)
    seen: set[str] = set()
    for number in range(MEMBERS_MAX + 1):
        block = reader.read(_BLOCK_BYTES, part="a header")
        if not block.strip(b"\0"):
            reader.skip_padding()
            return
        header = _header_of(block, is_first=number == 0)
        if header.type in _EXTENDED_TYPES:
            _skip_extended(reader, header)
            continue
        name = _name_of(header)
        if not name:
            continue
        if name in seen and name != FORMAT_FILE:
            message = f"it holds {header.name!r} twice"
            raise ArchiveError(message)
        seen.add(name)
        _check_size(header, is_small=name in {FORMAT_FILE, MANIFEST})
        yield _Member(name, header.size, _contents(reader, header))
    message = f"it holds more than {MEMBERS_MAX} files, which no backup does"
    raise ArchiveError(message)


def _header_of(block: bytes, *, is_first: bool) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        message = "it is damaged: the header of a file has no valid form of tar; use another backup"
        if is_first:
            message = "it is no tar stream of tallykeeper backup"
            for beginning, program in _COMPRESSIONS.items():
                if block.startswith(beginning):
                    message = f"it is compressed; unpack it: {program} -dc FILE | tallykeeper restore -"
        raise ArchiveError(message) from error


def _skip_extended(reader: _Reader, header: tarfile.TarInfo) -> None:
    """Skip a header that adds to the next one, unless it changes the name or the size.

    :raises ArchiveError: it does, or it is large.
    """
    if not 0 <= header.size <= _EXTENDED_BYTES_MAX:
        message = f"it holds an extended header of {header.size} bytes; at most {_EXTENDED_BYTES_MAX} are read"
        raise ArchiveError(message)
    text = reader.read(header.size + -header.size % _BLOCK_BYTES, part="an extended header")
    if any(record in text for record in _OVERRIDES):
        message = "it holds an extended header that renames or resizes a file, which no backup does"
        raise ArchiveError(message)


def _name_of(header: tarfile.TarInfo) -> str:
    """Return the name of a file of a backup, without its folder; empty for the folders themselves.

    :raises ArchiveError: no backup has this file or folder.
    """
    name = header.name.removeprefix("./").rstrip("/")
    if header.type == tarfile.DIRTYPE and name in {"", ".", FOLDER}:
        return ""
    if header.type in _FILE_TYPES:
        if name == FORMAT_FILE:
            return name
        folder, _, file = name.partition("/")
        if folder == FOLDER and (file == MANIFEST or is_data_file(file)):
            return file
    kind = _KINDS.get(header.type, f"an entry of type {header.type!r}")
    message = f"it holds {header.name!r}, {kind} that is no part of a backup"
    raise ArchiveError(message)


def _check_size(header: tarfile.TarInfo, *, is_small: bool) -> None:
    """Return if the size of a file is 0 or more, and not too large for a small file.

    :raises ArchiveError: it is.
    """
    if header.size < 0 or (is_small and header.size > SMALL_FILE_BYTES_MAX):
        limit = f" to {SMALL_FILE_BYTES_MAX}" if is_small else " or more"
        message = f"it holds {header.name!r} with {header.size} bytes; 0{limit} are possible"
        raise ArchiveError(message)


def _contents(reader: _Reader, header: tarfile.TarInfo) -> Iterator[bytes]:
    missing = header.size
    while missing:
        chunk = reader.read(min(CHUNK_BYTES, missing), part=header.name)
        missing -= len(chunk)
        yield chunk
    reader.read(-header.size % _BLOCK_BYTES, part=header.name)
