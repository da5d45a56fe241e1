"""The names of levels: a correct name is remembered, and a wrong one is refused each time."""

import pytest

from tallykeeper.v1.counter_pb2 import GetCounterRequest
from tallykeeper.v1.inventory_pb2 import GetStockRequest
from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.domain.levels import CounterName, StockName
from tallykeeper_server.rpc.validation import Fields, counter_name, stock_name


def refused_fields(fields: Fields) -> list[str]:
    with pytest.raises(InvalidFieldError) as raised:
        fields.check()
    return [field for field, _ in raised.value.violations]


def test_a_right_name_is_read_with_its_defaults_each_time() -> None:
    for _ in range(2):
        fields = Fields()

        assert stock_name(GetStockRequest(item="book"), fields) == StockName("book", "main")
        assert counter_name(GetCounterRequest(counter="visits"), fields) == CounterName("visits")

        fields.check()


def test_a_wrong_name_is_refused_each_time_with_the_name_of_its_field() -> None:
    for index in range(2):
        fields = Fields()
        within = fields.within(f"keys[{index}].")
        stock_name(GetStockRequest(item="", location="no place"), within)
        counter_name(GetCounterRequest(counter="x" * 129), within)

        assert refused_fields(fields) == [f"keys[{index}].{field}" for field in ("item", "location", "counter")]


def test_the_same_text_names_an_item_and_a_counter_apart() -> None:
    fields = Fields()
    names = {stock_name(GetStockRequest(item="same"), fields), counter_name(GetCounterRequest(counter="same"), fields)}

    assert len(names) == 2
