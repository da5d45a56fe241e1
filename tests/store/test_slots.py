"""The slot of a key, and the map of a cluster's slots as its nodes give it."""

from collections.abc import Callable

import pytest

from tallykeeper_server.domain.errors import StoreUnavailableError
from tallykeeper_server.store.nodes.slots import SlotMap, home_of_slot, slot_of
from tallykeeper_server.store.nodes.store_url import parsed_store_url
from tests.store.scripted_node import scripted_node


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        ("{user1000}.following", "user1000"),
        ("foo{}{bar}", None),
        ("foo{{bar}}zap", "{bar"),
        ("foo{bar}{zap}", "bar"),
        ("foo{bar", None),
        ("}foo{bar}", "bar"),
    ],
)
def test_a_key_has_the_slot_of_its_hash_tag(key: str, tag: str | None) -> None:
    assert slot_of("123456789") == 0x31C3 % 16_384  # the example of the specification
    if tag is None:
        assert slot_of(key) != slot_of("bar")
    else:
        assert slot_of(key) == slot_of(tag)


def test_the_home_of_a_slot_lies_in_it() -> None:
    assert [slot_of(f"tk:{{{home_of_slot(slot)}}}:x") for slot in range(0, 16_384, 97)] == list(range(0, 16_384, 97))


def slots(*ranges: tuple[int, int, bytes, int]) -> Callable[[list[str]], bytes]:
    """Return a script that replies to CLUSTER SLOTS with ranges, each with its primary's host and port."""
    parts = [
        b"*3\r\n:%d\r\n:%d\r\n*3\r\n%s:%d\r\n$2\r\nid\r\n" % (first, last, host, port)
        for first, last, host, port in ranges
    ]
    return lambda _: b"*%d\r\n%s" % (len(parts), b"".join(parts))


def text(host: str) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(host), host.encode())


def slot_map(*addresses: str) -> SlotMap:
    return SlotMap(parsed_store_url(f"redis+cluster://{','.join(addresses)}"), timeout_seconds=20.0)


@pytest.mark.parametrize("host", [b"$-1\r\n", b"$0\r\n\r\n", b"$1\r\n?\r\n"])
async def test_a_node_that_does_not_know_its_host_is_where_it_was_asked(host: bytes) -> None:
    async with scripted_node(slots((0, 16_383, host, 7_000))) as node:
        assert await slot_map(node.host_port).address_of(5) == (node.address[0], 7_000)


async def test_the_next_node_is_asked_if_one_gives_no_map_or_not_all_of_it() -> None:
    half = slots((0, 8_000, text("h1"), 1))
    whole = slots((0, 8_000, text("h1"), 1), (8_001, 16_383, text("h2"), 2))
    async with scripted_node(lambda _: b"-LOADING it is\r\n") as loading, scripted_node(half) as blind:
        addresses = ["127.0.0.1:1", loading.host_port, blind.host_port]
        with pytest.raises(StoreUnavailableError, match="8383 slots of the cluster are served by no node"):
            await slot_map(*addresses).primaries()
        async with scripted_node(whole) as node:
            known = slot_map(*addresses, node.host_port)

            assert await known.primaries() == [("h1", 1), ("h2", 2)]

    assert known.is_node(("h2", 2))
    assert not known.is_node(("h3", 3))


async def test_a_slot_that_no_node_has_is_unavailable_alone() -> None:
    async with scripted_node(slots((0, 8_000, text("h1"), 1))) as node:
        known = slot_map(node.host_port)

        assert await known.address_of(8_000) == ("h1", 1)
        with pytest.raises(StoreUnavailableError, match="serves slot 8001"):
            await known.address_of(8_001)


async def test_a_reply_that_is_no_map_is_passed_over() -> None:
    async with scripted_node(lambda _: b"+OK\r\n") as other:
        async with scripted_node(slots((0, 16_383, text("h1"), 1))) as node:
            assert await slot_map(other.host_port, node.host_port).address_of(5) == ("h1", 1)
        with pytest.raises(StoreUnavailableError, match="they know of no slots"):
            await slot_map(other.host_port).address_of(5)


async def test_a_cluster_of_which_no_node_answers_is_named_with_the_reason() -> None:
    async with scripted_node(lambda _: b"-ERR This instance has cluster support disabled\r\n") as node:
        with pytest.raises(StoreUnavailableError, match=rf"at {node.host_port} \(.*cluster support disabled\)"):
            await slot_map(node.host_port).primaries()


async def test_the_old_map_is_kept_while_no_node_answers() -> None:
    async with scripted_node(slots((0, 16_383, text("127.0.0.1"), 1))) as node:
        known = slot_map(node.host_port)
        address = await known.address_of(7)
    known.doubt(address)

    assert await known.address_of(7) == address


async def test_a_moved_slot_counts_before_the_map_is_renewed() -> None:
    async with scripted_node(slots((0, 16_383, text("127.0.0.1"), 1))) as node:
        known = slot_map(node.host_port)
        await known.primaries()
        version = known.version
        known.move(7, ("h2", 2))

        assert known.known(7) == ("h2", 2)
        assert known.known(8) == ("127.0.0.1", 1)
        assert known.version > version
        assert known.is_node(("h2", 2))
