"""Prepares a data directory for its store: removes what a power cut or a killed rewrite has left.

The directory is locked, and no store runs on it.
"""

import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from tallykeeper_server.store.embedded.data_contents import TEMPORARY, Contents
from tallykeeper_server.store.embedded.data_dir import LOCK_FILE, DataDir, DataDirError, unusable
from tallykeeper_server.store.embedded.data_format import DATA_FORMAT, FORMAT_FILE, DataFormat, DataState, write_format
from tallykeeper_server.store.embedded.folders import kind_of, names_in, opened_folder
from tallykeeper_server.store.embedded.manifest import FOLDER
from tallykeeper_server.store.embedded.zero_tail import cut_zeros

_OTHERS: Final = 0o077
_OURS: Final = re.compile(
    rf"{FOLDER}|{re.escape(FORMAT_FILE)}|{LOCK_FILE}|lost\+found|appendonly\.aof\..*|{TEMPORARY.pattern}"
)
"""The names that Tallykeeper, its store and the file system give to files in the directory."""

log = structlog.get_logger()


def close_to_others(data_dir: DataDir, *, holds_data: bool) -> None:
    """Take the rights of other users in the directory away. If it holds other files too, only warn of these rights.

    :raises DataDirError: it holds other files and no data yet, or its mode cannot be changed.
    """
    mode = os.fstat(data_dir.folder).st_mode & 0o7777
    if not mode & _OTHERS:
        return
    others = [name for name in names_in(data_dir.folder) if not _OURS.fullmatch(name)]
    if others and not holds_data:
        message = (
            f"data directory {data_dir.path} has mode {mode:o}, so that other users can enter it, and it holds other"
            " files; name an empty directory with --data-dir"
        )
        raise DataDirError(message)
    path = str(data_dir.path)
    if others:
        log.warning("other users can enter the data directory; run chmod 700 on it", path=path, mode=f"{mode:o}")
        return
    try:
        os.fchmod(data_dir.folder, mode & ~_OTHERS)
    except OSError as error:
        raise unusable(data_dir.path, error) from error
    modes = {"before": f"{mode:o}", "now": f"{mode & ~_OTHERS:o}"}
    log.warning("other users could enter the data directory; its mode was changed", path=path, **modes)


def repair(data_dir: DataDir, contents: Contents) -> None:
    """Remove temporary files, cut off zero bytes, and note that a new directory is being made.

    :raises DataDirError: the directory cannot be written.
    """
    try:
        with opened_folder(FOLDER, within=data_dir.folder) as files:
            remove_temporary_files(data_dir.folder, files)
            if contents.manifest is None:
                for name in names_in(files):  # what an interrupted first start left
                    os.unlink(name, dir_fd=files)
                write_format(data_dir.folder, DataFormat(state=DataState.CREATING))
            elif contents.manifest.appended:
                cut_zeros(data_dir, files, contents.manifest.appended)
        if contents.record is not None and contents.record.state is DataState.COPIED:
            # From here on the files change, also if this start is interrupted.
            write_format(data_dir.folder, replace(contents.record, state=DataState.READY, files={}))
    except OSError as error:
        raise unusable(data_dir.path, error) from error


def note_ready(data_dir: DataDir, contents: Contents) -> None:
    """Write into ``format.json`` that the data is complete, and of the present format.

    :raises DataDirError: it cannot be written.
    """
    ready = replace(contents.record or DataFormat(), number=DATA_FORMAT, state=DataState.READY, files={})
    if ready == contents.record:
        return
    try:
        write_format(data_dir.folder, ready)
    except OSError as error:
        raise unusable(data_dir.path, error) from error


def remove_temporary_files(*folders: int) -> None:
    """Remove the files of rewrites that did not end. No store may be writing one.

    :raises OSError: a file cannot be removed.
    """
    for folder in folders:
        for name in names_in(folder):
            if TEMPORARY.fullmatch(name) and kind_of(folder, name) == "file":
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                log.info("a file of a rewrite that did not end was removed", name=name)


def advice_for(path: Path, words: str) -> str:
    """Return advice about the last words of a store that did not start; empty if there is none."""
    if "No space left" in words or "Disk quota" in words:
        return f"make room on the file system of {path}"
    if "RDB format version" in words:
        return "the data was written by a newer store; start the version of Tallykeeper that wrote it"
    if any(sign in words for sign in ("Bad file format", "Unexpected end of file", "RDB preamble", "truncated file")):
        return f"tallykeeper check-aof --data-dir {path} says which file is damaged and where; restore a backup"
    return ""
