"""Shows the trace of one Reserve as text and as a picture: ``python -m tests.tracing.picture [FILE.svg]``.

It runs a server whose every call is traced, makes the call with the Python client, and draws the spans that arrived.
docs/tracing.md shows its output.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Final

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tallykeeper_client import Client, StockLine
from tests.support.server import ServerProcess
from tests.tracing.backend import CLIENT, Backend, Received
from tests.tracing.conftest import environment_for

_SHOWN: Final = (
    *("rpc.status_code", "tallykeeper.namespace", "tallykeeper.lane.wait_ms", "tallykeeper.batch.calls"),
    *("tallykeeper.batch.mutations", "db.system.name", "db.operation.name"),
)
_WIDTH: Final = 960
_NAMES: Final = 430
_ROW: Final = 58
_TOP: Final = 64
_COLORS: Final = ("#7a5195", "#2f6f9f", "#bc5090", "#3a7d44")


def trace_of_a_reserve() -> list[Received]:
    """Return the spans of one Reserve within a program's own span, as they arrived at the backend."""
    with Backend() as backend, tempfile.TemporaryDirectory() as data:
        provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"http://{backend.target}", insecure=True)))
        with ServerProcess("--traces", "--data-dir", data, environment=environment_for(backend)) as server:
            with Client(server.target) as client:
                client.increment_copies("dune", copies=5)
                client.increment_copies("emma", copies=5)
            with Client(server.target, namespace="default", tracer_provider=provider) as client:
                client.increment("warm")  # connects, which would take most of the next call's time
                with provider.get_tracer("shop").start_as_current_span("checkout") as checkout:
                    lines = [StockLine(item="dune", copies=2), StockLine(item="emma", copies=1)]
                    client.reserve(lines, ttl=timedelta(minutes=15))
        provider.shutdown()
        trace_id = f"{checkout.get_span_context().trace_id:032x}"
        return backend.wait_for(lambda each: each.trace_id == trace_id, count=4)


def in_order(spans: Sequence[Received], parent_id: str = "", depth: int = 0) -> Iterator[tuple[int, Received]]:
    """Yield each span below a parent with its depth, the earliest first."""
    for span in sorted((each for each in spans if each.parent_id == parent_id), key=lambda each: each.start_ns):
        yield depth, span
        yield from in_order(spans, span.span_id, depth + 1)


def kind_of(span: Received) -> str:
    """Return the place of a span: its service and its kind."""
    kind = "client" if span.kind == CLIENT else "server" if span.parent_id else "internal"
    return f"{span.resource['service.name']}, {kind}"


def details_of(span: Received) -> list[str]:
    """Return the attributes of a span that the picture shows."""
    return [f"{name} = {span.attributes[name]}" for name in _SHOWN if name in span.attributes]


def tree(spans: Sequence[Received]) -> str:
    """Return the spans as a tree of text."""
    begin_ns = min(each.start_ns for each in spans)
    lines = []
    for depth, span in in_order(spans):
        indent = "   " * (depth - 1) + "└─ " if depth else ""
        times = f"{(span.start_ns - begin_ns) / 1e6:7.3f} ms  +{(span.end_ns - span.start_ns) / 1e6:.3f} ms"
        lines.append(f"{indent + span.name:<58} {times}")
        lines += [f"{'   ' * depth}   {detail}" for detail in (kind_of(span), *details_of(span))]
    return "\n".join(lines)


def picture(spans: Sequence[Received]) -> str:
    """Return the spans as an SVG."""
    ordered = list(in_order(spans))
    begin_ns, end_ns = min(each.start_ns for each in spans), max(each.end_ns for each in spans)
    scale = (_WIDTH - _NAMES - 24) / (end_ns - begin_ns)
    height = _TOP + _ROW * len(ordered) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" role="img">',
        "<title>The spans of one Reserve: the checkout of a shop, its client, the server, and the store</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="28" font-size="17" font-weight="bold" fill="#1c1c28">',
        "One Reserve, from the shop to the store</text>",
        *_axis(end_ns - begin_ns, scale, height),
    ]
    for row, (depth, span) in enumerate(ordered):
        parts += _bar(row, depth, span, begin_ns, scale)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axis(length_ns: int, scale: float, height: int) -> Iterator[str]:
    steps = [step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if length_ns / 1e6 / step <= 6]
    step = steps[0] if steps else 200
    for number in range(int(length_ns / 1e6 / step) + 1):
        x = _NAMES + number * step * 1e6 * scale
        yield f'<line x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{height - 12}" stroke="#e2e2ea"/>'
        yield f'<text x="{x:.1f}" y="{_TOP - 14}" font-size="12" fill="#5c5c6b">{number * step:g} ms</text>'


def _bar(row: int, depth: int, span: Received, begin_ns: int, scale: float) -> Iterator[str]:
    y, left = _TOP + row * _ROW, 16 + depth * 18
    x, width = _NAMES + (span.start_ns - begin_ns) * scale, max(2.0, (span.end_ns - span.start_ns) * scale)
    name = span.name.removeprefix("tallykeeper.v1.")
    duration = f"{(span.end_ns - span.start_ns) / 1e6:.2f} ms"
    numbers = []
    if "tallykeeper.lane.wait_ms" in span.attributes:
        numbers.append(f"waited {span.attributes['tallykeeper.lane.wait_ms']:g} ms in its lane")
    elif "tallykeeper.batch.mutations" in span.attributes:
        numbers.append(f"calls: {span.attributes['tallykeeper.batch.calls']}")
    if depth:
        yield f'<path d="M{left - 10} {y - 14} V{y + 16} H{left - 3}" fill="none" stroke="#b4b4c2"/>'
    yield f'<text x="{left}" y="{y + 20}" font-size="14" fill="#1c1c28">{escape(name)}</text>'
    detail = "; ".join([kind_of(span), *numbers])
    yield f'<text x="{left}" y="{y + 38}" font-size="12" fill="#5c5c6b">{escape(detail)}</text>'
    color = _COLORS[depth % len(_COLORS)]
    yield f'<rect x="{x:.1f}" y="{y + 6}" width="{width:.1f}" height="20" rx="3" fill="{color}"/>'
    inside = width > 60
    text_x, fill, anchor = (x + 6, "#ffffff", "start") if inside else (x - 6, "#1c1c28", "end")
    yield f'<text x="{text_x:.1f}" y="{y + 20}" font-size="12" fill="{fill}" text-anchor="{anchor}">{duration}</text>'


if __name__ == "__main__":
    received = trace_of_a_reserve()
    print(tree(received))  # noqa: T201  # its output
    for file in sys.argv[1:]:
        Path(file).write_text(picture(received), encoding="utf-8")
