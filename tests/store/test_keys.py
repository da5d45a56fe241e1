"""The exact bytes of every key: later versions must find data that is written today."""

import pytest

from tallykeeper_server.domain.levels import CounterName, LevelName, ReservationName, StockName
from tallykeeper_server.domain.queries import Kind, ListNames
from tallykeeper_server.store import keys


def test_every_key_of_a_namespace() -> None:
    assert keys.clock("shop") == "tk:{shop}:clock"
    assert keys.level("shop", StockName("dune", "main")) == "tk:{shop}:stock:main:dune"
    assert keys.level("shop", CounterName("visits")) == "tk:{shop}:counter:visits"
    assert keys.revision("shop") == "tk:{shop}:revision"
    assert keys.ledger("shop") == "tk:{shop}:ledger"
    assert keys.index("shop", Kind.STOCK) == "tk:{shop}:index:stock"
    assert keys.index("shop", Kind.COUNTER) == "tk:{shop}:index:counter"
    assert keys.level("shop", ReservationName("basket")) == "tk:{shop}:reservation:basket"
    assert keys.index("shop", Kind.RESERVATION) == "tk:{shop}:index:reservation"
    assert keys.name_expiry("shop", Kind.COUNTER) == "tk:{shop}:expiry:counter"
    assert keys.name_expiry("shop", Kind.RESERVATION) == "tk:{shop}:expiry:reservation"
    assert keys.due("shop") == "tk:{shop}:expiry"
    assert keys.request_bucket("shop", 2) == "tk:{shop}:requests:2"


def test_only_the_key_of_a_ledger_is_one() -> None:
    others = (keys.level("shop", CounterName("}:ledger")), keys.revision("shop"), keys.ledger("shop") + "s", "ledger")

    assert keys.is_ledger(keys.ledger("shop").encode())
    assert [key for key in others if keys.is_ledger(key.encode())] == []


def test_the_keys_of_a_home() -> None:
    assert keys.namespaces("") == "tk:namespaces"
    assert keys.agenda("") == "tk:agenda"
    assert keys.open_reservations("") == "tk:open-reservations"
    assert keys.page_token_key() == "tk:page-token-key"
    assert keys.namespaces("7") == "tk:namespaces:{7}"
    assert keys.agenda("7") == "tk:agenda:{7}"
    assert keys.open_reservations("7") == "tk:open-reservations:{7}"


def test_a_brace_in_a_name_does_not_move_the_hash_tag() -> None:
    key = keys.level("shop", StockName("}{other}", "main"))

    assert key[key.index("{") + 1 : key.index("}")] == "shop"


@pytest.mark.parametrize(
    ("kind", "name", "listed"),
    [
        (Kind.COUNTER, CounterName("a:b"), b"a:b"),
        (Kind.STOCK, StockName("a:b", "loc-1"), b"a:b\x00loc-1"),
        (Kind.STOCK, StockName("ü", "main"), b"\xc3\xbc\x00main"),
    ],
)
def test_a_name_is_listed_and_read_back(kind: Kind, name: LevelName, listed: bytes) -> None:
    assert keys.listed(name) == listed
    assert keys.name_of_listed(kind, listed) == name


def test_a_range_holds_the_names_of_a_prefix_and_goes_on_after_one() -> None:
    first = ListNames("shop", Kind.STOCK, prefix="du")
    later = ListNames("shop", Kind.STOCK, prefix="du", after=StockName("dune", "main"))
    whole = ListNames("shop", Kind.STOCK, prefix="dune", whole_item=True)

    assert keys.listed_range(first) == (b"[du", b"(du\xff")
    assert keys.listed_range(later) == (b"(dune\x00main", b"(du\xff")
    assert keys.listed_range(whole) == (b"[dune\x00", b"(dune\x00\xff")
