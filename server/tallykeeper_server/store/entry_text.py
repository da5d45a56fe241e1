"""How entries are written in the ledger. The head of driver_1_prefetch.lua says the same."""

from collections.abc import Iterator
from typing import cast

from tallykeeper_server.domain.entries import Crossing, Entry, EntryLine
from tallykeeper_server.domain.levels import Counter, Reservation, ReservationName, StockLevel
from tallykeeper_server.store import keys
from tallykeeper_server.store.level_text import decode_level


def decode_script(fields: list[bytes]) -> Iterator[Entry]:
    """Return the entries of one script, in order, from the fields of its stream entry.

    :raises ValueError: the script did not write them.
    """
    _, time_ms, *entries = fields
    for revision, text in zip(entries[::2], entries[1::2], strict=True):
        yield _decode_entry(int(revision), int(time_ms), text.decode())


def _decode_entry(revision: int, time_ms: int, text: str) -> Entry:
    operation, request_id, reason, reference, identity, *fields = text.split("\t")
    lines: list[EntryLine] = []
    reservation: Reservation | None = None
    for suffix, changes, after in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        name = keys.name_of_suffix(suffix)
        level = decode_level(name, after) if after else None
        if isinstance(name, ReservationName):
            reservation = cast("Reservation", level)
            continue
        change, _, more = changes.partition(",")
        reserved_change, _, crossings = more.partition(",")
        lines.append(
            EntryLine(
                name,
                int(change),
                int(reserved_change or 0),
                tuple(map(Crossing, crossings)),
                cast("Counter | StockLevel | None", level),
            )
        )
    return Entry(
        revision=revision,
        commit_time_ms=time_ms,
        operation=operation,
        request_id=request_id,
        reason=reason,
        reference=reference,
        identity=identity,
        lines=tuple(lines),
        reservation=reservation,
    )
