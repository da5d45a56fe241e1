"""Every error fits into the headers that gRPC's clients accept, however long its names and lists are."""

import pytest
from google.rpc.status_pb2 import Status

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


ERRORS = {
    f"{kind}, {characters} characters, {entries} entries": error
    for characters in (1, 8, 16, 24, NAME_BYTES_MAX // 4)
    for entries in (1, 2, 3, 5, 10, 20)
    for name in (EMOJI * characters,)
    for kind, error in (
        ("fields", InvalidFieldError([(f"operations[{n}].{name}", f"{name} is too long") for n in range(entries)])),
        ("lines", refused_reservation(name, entries)),
        ("batch", BatchRefusedError([(n, refused_reservation(name, 1)) for n in range(entries)], 10**6, 10**6)),
        ("batch of reservations", BatchRefusedError([(0, refused_reservation(name, entries))], 10**6, 10**6)),
    )
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_an_error_fits_into_the_trailers_and_says_how_much_it_leaves_out(error: TallyError) -> None:
    status = status_of(error)

    size = sum(len(name) + len(value) + FIELD_BYTES for name, value in status.fields)
    assert size + HEADERS_BYTES <= CLIENT_BYTES_MAX
    (_, raw), *_ = status.trailers
    assert isinstance(raw, bytes)
    details = Status.FromString(raw)
    assert details.message == status.message == error.message
    assert len(details.details) >= 2


def test_short_errors_lose_nothing() -> None:
    error = InvalidFieldError([(f"keys[{n}].item", "is empty") for n in range(20)])

    (_, raw), *_ = status_of(error).trailers

    assert isinstance(raw, bytes)
    assert raw.count(b"is empty") == 20 + 3  # those of the details, and those of the message
