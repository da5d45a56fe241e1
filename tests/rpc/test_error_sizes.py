"""Every error fits into the headers that gRPC's clients accept, however long its names and lists are."""

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from tallykeeper.v1.batch_pb2 import BatchRefused
from tallykeeper.v1.inventory_pb2 import Shortages
from tallykeeper_server.domain.errors import BatchRefusedError, InvalidFieldError, RefusedError, TallyError
from tallykeeper_server.domain.levels import StockName
from tallykeeper_server.domain.limits import NAME_BYTES_MAX
from tallykeeper_server.domain.mutations import Mutation, Refused
from tallykeeper_server.domain.refusals import refusal_of
from tallykeeper_server.rpc.statuses import status_of

CLIENT_BYTES_MAX = 8_192
"""The size of headers and trailers above which gRPC's C core and its wrappers refuse a part of the answers."""
HEADERS_BYTES = 200
FIELD_BYTES = 32
EMOJI = "\U0001f600"
"""Four bytes in UTF-8, and twelve in a percent-encoded message."""


def refused_reservation(name: str, lines: int) -> RefusedError:
    levels = tuple(StockName(name, f"{line}{name[1:]}") for line in range(lines))
    facts = [
        {"line": str(line), "requested": "9007199254740991", "available": "0", "backorder_limit": "0"}
        for line in range(1, lines + 1)
    ]
    mutation = Mutation("reservation_reserve", levels)
    refused = refusal_of(mutation, Refused("INSUFFICIENT_STOCK", 0, replayed=False, facts=facts[0], lines=tuple(facts)))
    assert isinstance(refused, RefusedError)
    return refused


def counted(error: TallyError) -> tuple[int, int]:
    """Return the entries that an error lists, and the number that it gives for all of them."""
    (_, raw), *_ = status_of(error).trailers
    assert isinstance(raw, bytes)
    status = Status.FromString(raw)
    info, bad, shortages, batch = ErrorInfo(), BadRequest(), Shortages(), BatchRefused()
    assert status.message == error.message
    assert any(each.Unpack(info) for each in status.details)
    assert info.reason == error.reason
    if any(each.Unpack(bad) for each in status.details):
        return len(bad.field_violations), int(info.metadata["violations"])
    if any(each.Unpack(batch) for each in status.details):
        return len(batch.operations), batch.failed_count
    assert any(each.Unpack(shortages) for each in status.details)
    return len(shortages.shortages), shortages.count


ERRORS = {
    f"{kind}, {characters} characters, {entries} entries": (error, 1 if kind == "batch of reservations" else entries)
    for characters in (1, 8, 16, 24, NAME_BYTES_MAX // 4)
    for entries in (1, 2, 3, 5, 10, 20)
    for name in (EMOJI * characters,)
    for kind, error in (
        ("fields", InvalidFieldError([(f"operations[{n}].{name}", f"{name} is too long") for n in range(entries)])),
        ("lines", refused_reservation(name, entries)),
        ("batch", BatchRefusedError([(n, refused_reservation(name, 1)) for n in range(entries)], entries, 10**6)),
        ("batch of reservations", BatchRefusedError([(0, refused_reservation(name, entries))], 1, 10**6)),
    )
}


@pytest.mark.parametrize(("error", "entries"), ERRORS.values(), ids=ERRORS)
def test_an_error_fits_into_the_trailers_and_says_how_many_entries_there_are(error: TallyError, entries: int) -> None:
    size = sum(len(name) + len(value) + FIELD_BYTES for name, value in status_of(error).fields)
    listed, number = counted(error)

    assert size + HEADERS_BYTES <= CLIENT_BYTES_MAX
    assert 1 <= listed <= entries
    assert number == entries


def test_short_errors_lose_nothing() -> None:
    error = InvalidFieldError([(f"keys[{n}].item", "is empty") for n in range(20)])

    (_, raw), *_ = status_of(error).trailers

    assert isinstance(raw, bytes)
    assert raw.count(b"is empty") == 20 + 3  # those of the details, and those of the message
