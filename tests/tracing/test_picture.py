"""The picture of a trace: a tree of text, and an SVG."""

from xml.etree import ElementTree as ET

from tests.tracing.backend import CLIENT, SERVER, UNSET, Received
from tests.tracing.picture import picture, tree


def span(name: str, span_id: str, parent_id: str, kind: int, times_ms: tuple[int, int]) -> Received:
    """Return a span of one trace."""
    begin, end = times_ms
    return Received(
        name=name,
        kind=kind,
        trace_id="t",
        span_id=span_id,
        parent_id=parent_id,
        state="",
        start_ns=begin * 1_000_000,
        end_ns=end * 1_000_000,
        status=UNSET,
        message="",
        attributes={"tallykeeper.lane.wait_ms": 0.5} if kind == SERVER else {},
        links=(),
        resource={"service.name": "shop & sons"},
        scope="",
    )


SPANS = [
    span("EVALSHA <script>", "c", "b", CLIENT, (12, 14)),
    span("tallykeeper.v1.S/Reserve", "b", "a", SERVER, (11, 15)),
    span("checkout", "a", "", 1, (10, 20)),
]


def test_the_tree_has_each_span_below_its_parent_with_its_times() -> None:
    lines = tree(SPANS).splitlines()

    assert lines[0].split() == ["checkout", "0.000", "ms", "+10.000", "ms"]
    assert [line for line in lines if "└─" in line] == [
        f"{'└─ tallykeeper.v1.S/Reserve':<58}   1.000 ms  +4.000 ms",
        f"{'   └─ EVALSHA <script>':<58}   2.000 ms  +2.000 ms",
    ]
    assert "      tallykeeper.lane.wait_ms = 0.5" in lines


def test_the_picture_is_an_svg_with_a_bar_for_each_span() -> None:
    root = ET.fromstring(picture(SPANS))  # noqa: S314  # made above

    bars = [each for each in root.iter("{http://www.w3.org/2000/svg}rect") if each.get("rx")]
    texts = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]
    widths = [float(each.get("width", "")) for each in bars]
    assert widths == sorted(widths, reverse=True)
    assert len(widths) == 3
    assert {"checkout", "S/Reserve", "EVALSHA <script>", "10.00 ms"} <= set(texts)
    assert any("waited 0.5 ms" in text for text in texts)
