"""The formulas of capacity: the document has their numbers, and the checks compare them with a store."""

import re
from pathlib import Path
from typing import Final

import pytest

from bench import capacity
from bench.capacity import Check, CpuModel
from bench.goals import goals
from bench.measurement import Results

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "capacity.md"
NUMBERS: Final = {
    "a stock level": (capacity.LEVEL_BYTES,),
    "a counter": (capacity.COUNTER_BYTES,),
    "a request id": (capacity.REQUEST_ID_BYTES,),
    "an entry of one line in the ledger": (capacity.ENTRY_SCRIPT_BYTES, capacity.ENTRY_BYTES),
    "an active reservation": (capacity.RESERVATION_BYTES, capacity.RESERVATION_LINE_BYTES),
    "a namespace": (capacity.NAMESPACE_BYTES,),
    "a change in the append-only file": (capacity.AOF_SCRIPT_BYTES, capacity.AOF_CHANGE_BYTES),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_document_has_the_numbers_of_each_formula(name: str) -> None:
    (formula,) = re.findall(rf"^\| {re.escape(name)} \| `([^`]*)` \|", DOCUMENT.read_text(), re.MULTILINE)

    assert [float(number.replace(",", "")) for number in re.findall(r"[0-9][0-9,]*", formula)] == list(NUMBERS[name])


def test_the_sizes_of_the_shop_in_the_document_are_those_of_the_formulas() -> None:
    rows = re.findall(r"^\| [^|]*\| ([0-9][^|]*\u00d7[^|]*) \| ([0-9,]+) MB \|$", DOCUMENT.read_text(), re.MULTILINE)
    sizes = [(_value_of(calculation) / 1e6, float(size.replace(",", ""))) for calculation, size in rows]

    assert len(sizes) == 5
    assert [calculated for calculated, _ in sizes] == pytest.approx([size for _, size in sizes], abs=0.6)
    assert sizes[0][0] == pytest.approx(0.6 * capacity.level_bytes(33, 17))
    assert sizes[1][0] == pytest.approx(1.5 * 20 * capacity.request_id_bytes(32))
    assert sizes[3][0] == pytest.approx(capacity.entry_bytes(98, 4))
    assert sizes[4][0] == pytest.approx(0.02 * capacity.reservation_bytes(3, 144))


def _value_of(calculation: str) -> float:
    """Return the value of a product of sums, such as 2 times (3 + 4 / 5)."""
    product = 1.0
    for factor in calculation.replace(",", "").split("\u00d7"):
        terms = (term.split("/") for term in factor.strip(" ()").split("+"))
        product *= sum(float(term[0]) / float(term[1] if len(term) > 1 else 1) for term in terms)
    return product


def test_the_model_of_cpu_time_fits_the_measurements_that_made_it() -> None:
    model = CpuModel.through((1.0, 100.0), (10.0, 19.0))

    assert [model.script, model.change] == pytest.approx([90.0, 10.0])
    assert [model.of(1), model.of(10), model.of(3)] == pytest.approx([100.0, 19.0, 40.0])


@pytest.mark.parametrize(("predicted", "measured"), [(80.0, 100.0), (100.0, 80.0)])
def test_a_formula_may_be_too_high_or_too_low_by_the_same_factor(predicted: float, measured: float) -> None:
    assert Check("a level", predicted, measured).closeness == 0.8


def test_each_formula_has_a_goal() -> None:
    checks = [Check(name, 100.0, 95.0) for name in capacity.NAMES[:-1]] + [Check(capacity.NAMES[-1], 100.0, 89.0)]
    results = Results("always", "everysec", numbers={capacity.TOPIC: capacity.as_numbers(checks)})

    reached = [goal.is_reached for goal in goals(results) if goal.name.endswith(": formula and measured")]

    assert reached == [*[True] * (len(capacity.NAMES) - 1), False]
