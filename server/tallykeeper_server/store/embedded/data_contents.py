"""Reads a data directory before a store is started on it, and refuses one that is incomplete or not Tallykeeper's.

It changes nothing. A store would start on a directory without a manifest as on an empty one, and write beside the files
that are there.
"""

import mmap
import os
import re
import stat
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from tallykeeper_server.store.embedded.data_dir import DataDirError
from tallykeeper_server.store.embedded.data_format import (
    DATA_FORMAT,
    FIRST_FORMAT,
    FORMAT_FILE,
    CopiedFile,
    DataFormat,
    DataState,
    FormatError,
    read_format,
)
from tallykeeper_server.store.embedded.folders import kind_of, names_in, open_file, opened_folder, read_small_file
from tallykeeper_server.store.embedded.manifest import FOLDER, MANIFEST, Manifest, ManifestError, parse_manifest
from tallykeeper_server.store.keys import BEGINNINGS

TEMPORARY: Final = re.compile(r"temp-.*\.(?:aof|rdb|manifest)|format\.json\.new")
"""The names of files that a store, or Tallykeeper, writes before it renames them."""
_OF_STORES: Final = re.compile(r".*\.(?:rdb|aof|manifest)|nodes\.conf|sentinel\.conf")
"""The names of files that a Redis or Valkey keeps in its directory, outside the folder of append-only files."""
_SNAPSHOTS: Final = (b"REDIS", b"VALKEY")
_EMPTY_SNAPSHOT_BYTES_MAX: Final = 256
"""The size, in bytes, up to which a snapshot may hold no key. A snapshot without a key has about 90 bytes."""
_SNAPSHOT_END_BYTES: Final = 9
"""A snapshot ends with the byte 255 and a checksum of 8 bytes."""
_OUR_KEYS: Final = tuple(beginning.encode() for beginning in BEGINNINGS)
_CHUNK_BYTES: Final = 1 << 20
_RESTORE: Final = "restore the whole directory from a backup, or name another with --data-dir"
_ANOTHER: Final = "name an empty directory with --data-dir"


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a data directory."""

    record: DataFormat | None
    """The contents of its ``format.json``."""
    manifest: Manifest | None
    """The files of its data; None if it has none yet."""
    strays: tuple[str, ...] = ()
    """Files of a store that are not a part of the data, and are left alone."""

    @property
    def number(self) -> int:
        """The format of the data; that of this program if there is no data yet."""
        if self.manifest is None:
            return DATA_FORMAT
        return FIRST_FORMAT if self.record is None else self.record.number


def look_into(path: Path, folder: int) -> Contents:
    """Return the contents of a data directory on which a store may be started.

    :raises DataDirError: a part is missing, damaged, of another store, or newer than this program.
    """
    try:
        return _Look(path, folder).contents()
    except OSError as error:
        name = f"{error.filename}: " if isinstance(error.filename, str) else ""
        message = f"data directory {path} cannot be read: {name}{error.strerror}"
        raise DataDirError(message) from error


def refusal_of(path: Path) -> str:
    """Return the beginning of the message that refuses a directory."""
    return f"data directory {path} is not used, and nothing in it was changed: "


class _Look:
    """A reader of one directory, for one use."""

    def __init__(self, path: Path, folder: int) -> None:
        self._path = path
        self._folder = folder

    def contents(self) -> Contents:
        record = self._record()
        others = tuple(sorted(name for name in names_in(self._folder) if self._is_of_a_store(name)))
        if kind_of(self._folder, FOLDER) not in {"", "folder"}:
            self._refuse(f"{FOLDER} is a link or a file", f"put the folder itself there, or {_ANOTHER}")
        if kind_of(self._folder, FOLDER) == "":
            return self._without_data(record, others, ())
        with opened_folder(FOLDER, within=self._folder) as files:
            names = tuple(sorted(name for name in names_in(files) if not TEMPORARY.fullmatch(name)))
            text = read_small_file(files, MANIFEST)
            if text is None or (record is not None and record.state is DataState.CREATING):
                return self._without_data(record, others, self._data_in(files, names, record))
            manifest = self._manifest(text)
            self._check_files(files, manifest, {} if record is None else record.files)
            if record is None and not self._holds_our_keys(files, manifest):
                self._refuse(f"{FOLDER} holds the keys of another application, and none of Tallykeeper's", _ANOTHER)
        strays = tuple(
            f"{FOLDER}/{name}" for name in names if name not in {*manifest.files, *manifest.replaced, MANIFEST}
        )
        return Contents(record, manifest, others + strays)

    def _record(self) -> DataFormat | None:
        try:
            record = read_format(self._folder)
        except FormatError as error:
            self._refuse(f"{FORMAT_FILE} is damaged: {error}", _RESTORE)
        if record is not None and record.number > DATA_FORMAT:
            newer = f"it has format {record.number}, as Tallykeeper {record.version} writes it; this version knows"
            self._refuse(f"{newer} formats up to {DATA_FORMAT}", "start a version that is as new as the data")
        if record is not None and record.state is DataState.COPYING:
            reason = "it is the incomplete copy of a backup that was interrupted"
            self._refuse(reason, "remove it and run tallykeeper backup or restore again")
        return record

    def _without_data(self, record: DataFormat | None, others: tuple[str, ...], found: tuple[str, ...]) -> Contents:
        """Return that the directory holds no data yet, unless something shows that it should."""
        if found:
            reason = f"{FOLDER}/{MANIFEST} is missing, though there are {_listed(found)}"
            if record is not None and record.state is DataState.CREATING:
                reason = f"{FORMAT_FILE} says that a first start was interrupted, though there are {_listed(found)}"
            self._refuse(reason, _RESTORE)
        if record is not None and record.state is not DataState.CREATING:
            self._refuse(f"{FORMAT_FILE} is there, but {FOLDER}/{MANIFEST} is missing", _RESTORE)
        if others:
            self._refuse(f"it holds {_listed(others)} of another Redis or Valkey", _ANOTHER)
        return Contents(record, None)

    def _data_in(self, files: int, names: Iterable[str], record: DataFormat | None) -> tuple[str, ...]:
        """Return the files that may hold data. Files that an interrupted first start left empty do not count."""
        if record is None or record.state is not DataState.CREATING:
            return tuple(names)
        sizes = {name: os.stat(name, dir_fd=files, follow_symlinks=False).st_size for name in names}
        empty = {name: 0 if ".incr." in name else _EMPTY_SNAPSHOT_BYTES_MAX for name in names}
        return tuple(name for name, size in sizes.items() if size > empty[name])

    def _manifest(self, text: bytes) -> Manifest:
        try:
            return parse_manifest(text)
        except ManifestError as error:
            self._refuse(f"{FOLDER}/{MANIFEST} is damaged: {error}", _RESTORE)

    def _check_files(self, files: int, manifest: Manifest, copied: Mapping[str, CopiedFile]) -> None:
        """Return if each file of the data exists, begins and ends as it must, and is as a backup wrote it."""
        for name in manifest.files:
            kind = kind_of(files, name)
            if kind != "file":
                reason = "is missing" if kind == "" else "is not a regular file"
                self._refuse(f"{FOLDER}/{name}, which {MANIFEST} names, {reason}", _RESTORE)
        for name in manifest.files:
            with open(open_file(files, name), "rb") as file:  # noqa: PTH123  # it is open already
                if name.endswith(".rdb") and not _is_snapshot(file.fileno()):
                    self._refuse(f"{FOLDER}/{name} is damaged: it is no whole snapshot of a store", _RESTORE)
                if name in copied and _sum_of(file.fileno()) != copied[name]:
                    reason = f"{FOLDER}/{name} differs from what the backup wrote: the copy is incomplete or damaged"
                    self._refuse(reason, "copy the backup again, or use an older one")
        if missing := copied.keys() - set(manifest.files):
            self._refuse(f"{FOLDER}/{MANIFEST} does not name {_listed(missing)}, as the backup did", _RESTORE)

    def _holds_our_keys(self, files: int, manifest: Manifest) -> bool:
        """Return whether data without a ``format.json`` are Tallykeeper's, or hold nothing."""
        empty = True
        for name in manifest.files:
            with open(open_file(files, name), "rb") as file:  # noqa: PTH123  # it is open already
                size = os.fstat(file.fileno()).st_size
                if size == 0:
                    continue
                empty = empty and name == manifest.base and size <= _EMPTY_SNAPSHOT_BYTES_MAX
                with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
                    if any(data.find(key) >= 0 for key in _OUR_KEYS):
                        return True
                    empty = empty or (name != manifest.base and not data[:_CHUNK_BYTES].strip(b"\0"))
        return empty

    def _is_of_a_store(self, name: str) -> bool:
        if not _OF_STORES.fullmatch(name) or TEMPORARY.fullmatch(name):
            return False
        return stat.S_ISREG(os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_mode)

    def _refuse(self, reason: str, advice: str) -> NoReturn:
        """Refuse the directory, with the reason and what to do.

        :raises DataDirError: always.
        """
        message = f"{refusal_of(self._path)}{reason}; {advice}"
        raise DataDirError(message)


def _is_snapshot(opened: int) -> bool:
    size = os.fstat(opened).st_size
    ends_well = size > _SNAPSHOT_END_BYTES and os.pread(opened, 1, size - _SNAPSHOT_END_BYTES) == b"\xff"
    return ends_well and os.pread(opened, 6, 0).startswith(_SNAPSHOTS)


def _sum_of(opened: int) -> CopiedFile:
    crc32 = size = 0
    while chunk := os.pread(opened, _CHUNK_BYTES, size):
        crc32, size = zlib.crc32(chunk, crc32), size + len(chunk)
    return CopiedFile(size=size, crc32=crc32)


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")  # noqa: PLR2004  # enough to see
