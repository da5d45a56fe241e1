"""The caller's trace context: the forms of the specification, and those that break it."""

import pytest

from tallykeeper_server.tracing.trace_context import Parent, parent_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


class Fields:
    """Header fields."""

    def __init__(self, *fields: tuple[bytes, bytes]) -> None:
        self._fields = fields

    def first(self, name: bytes) -> bytes | None:
        return next((value for field, value in self._fields if field == name), None)

    def values(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for field, value in self._fields if field == name]


def parent_in(traceparent: str, *states: bytes) -> Parent | None:
    """Return the parent that a header names."""
    return parent_of(Fields((b"traceparent", traceparent.encode()), *((b"tracestate", state) for state in states)))


@pytest.mark.parametrize(
    ("flags", "is_sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)]
)
def test_the_parent_and_its_flag_are_read(flags: str, is_sampled: bool) -> None:  # noqa: FBT001  # a parameter
    assert parent_in(f"00-{TRACE}-{SPAN}-{flags}") == Parent(bytes.fromhex(TRACE), bytes.fromhex(SPAN), is_sampled, "")


@pytest.mark.parametrize("header", [f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what.comes.later"])
def test_a_later_version_is_read_as_far_as_it_is_known(header: str) -> None:
    parent = parent_in(header)

    assert parent is not None
    assert parent.span_id == bytes.fromhex(SPAN)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01x",
        f"cc-{TRACE}-{SPAN}-01x",
        f"0-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_a_header_that_breaks_the_rules_is_no_parent(header: str) -> None:
    assert parent_in(header, b"shop=a1") is None


def test_no_header_is_no_parent() -> None:
    assert parent_of(Fields((b"tracestate", b"shop=a1"))) is None


def test_the_parts_of_the_trace_state_are_joined() -> None:
    parent = parent_in(f"00-{TRACE}-{SPAN}-01", b"shop=a1", b"cart=b2")

    assert parent is not None
    assert parent.state == "shop=a1,cart=b2"


@pytest.mark.parametrize("state", ["shop=a1", "", "shop=a1,", "a=1 , b=2", "tenant@shop=a b", "0a/*=~"])
def test_a_trace_state_is_passed_on_as_it_is(state: str) -> None:
    parent = parent_in(f"00-{TRACE}-{SPAN}-01", state.encode())

    assert parent is not None
    assert parent.state == state


@pytest.mark.parametrize(
    "state",
    [
        *(b"a=" + b"x" * 257, b"a=" + b"x" * 250 + b",b=" + b"x" * 250 + b",c=" + b"x" * 20),
        *(b"shop=\xff", b"shop=\x00", b"no pair", b"=a1", b"Shop=a1", b"shop=a=1", b",".join([b"a=1"] * 33)),
    ],
)
def test_a_trace_state_that_breaks_the_rules_is_dropped_and_the_parent_stays(state: bytes) -> None:
    parent = parent_in(f"00-{TRACE}-{SPAN}-01", state)

    assert parent is not None
    assert parent.state == ""
