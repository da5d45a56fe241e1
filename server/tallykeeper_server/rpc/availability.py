"""What lines of CheckAvailability ask for, and what is available for each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tallykeeper.v1 import inventory_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import StockLevel
from tallykeeper_server.domain.refusals import total_overflow
from tallykeeper_server.rpc.validation import Fields


@dataclass(frozen=True, slots=True)
class WantedLine:
    """Copies of an item that are asked for: at a location, or anywhere if that is None."""

    item: str
    location: str | None
    copies: int


def wanted_lines(request: inventory_pb2.CheckAvailabilityRequest, fields: Fields) -> list[WantedLine]:
    """Return what a request asks for."""
    fields.count("lines", len(request.lines), limits.AVAILABILITY_LINES_MAX)
    return [_wanted_line(line, fields.within(f"lines[{place}].")) for place, line in enumerate(request.lines)]


def _wanted_line(line: inventory_pb2.AvailabilityLine, fields: Fields) -> WantedLine:
    item = fields.name("item", line.item)
    location = fields.location_or_any(line.location, any_location=line.any_location)
    return WantedLine(item, location, fields.copies(line))


def availability_of(
    wanted: Sequence[WantedLine], levels: Sequence[StockLevel], revision: int
) -> inventory_pb2.CheckAvailabilityResponse:
    """Return the answer, given the levels of all that is asked for and the revision at which they were read.

    :raises RefusedError: a total is outside the range of numbers.
    """
    together: Counter[tuple[str, str | None]] = Counter()
    for line in wanted:
        together[line.item, line.location] += line.copies
    answers = [_answer(line, levels, together[line.item, line.location]) for line in wanted]
    sufficient = all(line.sufficient for line in answers)
    return inventory_pb2.CheckAvailabilityResponse(lines=answers, sufficient=sufficient, revision=revision)


def _answer(line: WantedLine, levels: Sequence[StockLevel], together: int) -> inventory_pb2.LineAvailability:
    if line.location is None:
        everywhere = sorted((level for level in levels if level.name.item == line.item), key=_location_of)
        there = [level for level in everywhere if _may_be_taken(level) > 0]
    else:
        there = [level for level in levels if (level.name.item, level.name.location) == (line.item, line.location)]
    available = sum(level.available for level in there)
    backorder_limit = sum(level.backorder_limit for level in there)
    if max(abs(available), backorder_limit) > limits.INTEGER_MAX:
        raise total_overflow(line.item)
    return inventory_pb2.LineAvailability(
        item=line.item,
        location=line.location or "",
        requested=line.copies,
        available=available,
        backorder_limit=backorder_limit,
        sufficient=together <= available + backorder_limit,
        locations=[
            inventory_pb2.LocationAvailability(
                location=level.name.location, available=level.available, backorder_limit=level.backorder_limit
            )
            for level in there
            if line.location is None
        ],
    )


def _location_of(level: StockLevel) -> str:
    return level.name.location


def _may_be_taken(level: StockLevel) -> int:
    return level.available + level.backorder_limit
