"""Numbers, times and lengths of time, as the pages write them."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper_console.views import addresses, figures


def test_numbers_have_groups_and_a_true_minus_sign() -> None:
    assert figures.number(1_234_567) == "1,234,567"
    assert figures.number(-1_000) == "−1,000"
    assert figures.optional(0, present=False) == "–"
    assert figures.optional(0, present=True) == "0"


def test_a_trend_has_an_arrow_and_a_sign() -> None:
    assert [figures.trend(change) for change in (3, -2_000, 0)] == ["▲ +3", "▼ −2,000", ""]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (250, "4 min 10 s"),
        (3_600, "1 h"),
        (3_605, "1 h"),
        (7_260, "2 h 1 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_length_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert figures.length(seconds) == text


def test_times_are_in_utc_and_absent_ones_a_dash() -> None:
    assert figures.moment(Timestamp(seconds=1_760_000_000)) == "2025-10-09 08:53:20"
    assert figures.moment(Timestamp()) == "–"
    assert figures.clock(1_760_000_000.9) == "08:53:20"
    assert figures.milliseconds(0.001_44) == "1.4 ms"


def test_addresses_carry_any_name() -> None:
    assert addresses.page("shop", "stock") == "/shop/stock"
    assert addresses.page("shop", "item", name="a/b?c&d=ü") == "/shop/item?name=a%2Fb%3Fc%26d%3D%C3%BC"
    assert addresses.page("shop", "ledger", item="", counter="visitors") == "/shop/ledger?counter=visitors"
