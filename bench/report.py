"""The results as a table, as JSON and as a picture."""

import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from bench.plan import IN_FLIGHT, Results
from bench.targets import targets

mpl.use("svg")
from matplotlib import pyplot as plt  # after the choice of how to draw

_LINES: Final = {
    "ours": "#0b6e4f",
    "ours, Increment": "#59a96a",
    "ceiling": "#8d99ae",
    "naive aio": "#d1495b",
    "naive threads": "#edae49",
}


def table(results: Results) -> Iterator[str]:
    """Yield the lines of the table."""
    yield (
        f"{'':36} {'in':>5} {'changes':>9} {'p50':>8} {'p99':>8} {'p99.9':>8} {'server':>7} {'store':>7} {'load':>6}"
        f" {'cores':>6}"
    )
    yield f"{'':36} {'flight':>5} {'/s':>8} {'ms':>8} {'ms':>8} {'ms':>8} {'us CPU per call':>22} {'busy':>6}"
    store = None
    for series in sorted(results.series, key=lambda each: (each.store, each.name, each.in_flight)):
        if series.store != store:
            store = series.store
            yield f"\n{store}"
        times = " ".join(f"{series.median(what) / 1_000:8.2f}" for what in ("p50", "p99", "p999"))
        cpu = " ".join(f"{series.median(f'{what}_cpu'):6.0f}" for what in ("server", "store", "generator"))
        busy = f"{series.median('cores_busy'):6.2f}"
        yield f"  {series.name:34} {series.in_flight:5} {series.rate:9,.0f} {times} {cpu} {busy}"
        if refused := series.median("refused_per_second"):
            times = " ".join(f"{series.median(f'refused_{what}') / 1_000:8.2f}" for what in ("p50", "p99"))
            yield f"  {'  refused':34} {'':5} {refused:9,.0f} {times}"
    for place, numbers in results.numbers.items():
        yield f"\n{place}"
        for name, number in numbers.items():
            yield f"  {name:50} {'not here' if number is None else f'{number:12,.1f}'}"
    yield "\nwhat it must reach"
    for target in targets(results):
        met = "not measured" if target.reached is None else ("met" if target.is_met else "NOT MET")
        reached = "" if target.reached is None else f"{target.reached:,.2f}"
        yield f"  {target.name:74} {target.wanted:>12,} {reached:>12} {met}"


def write(results: Results, folder: Path) -> list[Path]:
    """Write table, JSON and picture into a folder, and return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "latest.txt": "\n".join(table(results)) + "\n",
        "latest.json": json.dumps(_as_json(results), indent=1) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    _draw(results, folder / "latest.svg")
    _draw_one_call(results, folder / "one-call.svg")
    return [folder / name for name in (*texts, "latest.svg", "one-call.svg")]


def _as_json(results: Results) -> dict[str, Any]:
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()},
        "targets": [target.as_json() for target in targets(results)],
        "numbers": results.numbers,
        "series": [series.as_json() for series in results.series],
    }


def _draw(results: Results, file: Path) -> None:
    """Draw throughput, and latencies, against the number of calls in flight, on the first store."""
    store = results.series[0].store
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    for name, color in _LINES.items():
        found = [each for in_flight in IN_FLIGHT if (each := results.find(store, name, in_flight))]
        places = [each.in_flight for each in found]
        left.plot(places, [each.rate for each in found], "o-", color=color, label=name)
        right.plot(places, [each.median("p50") / 1_000 for each in found], "o-", color=color, label=f"{name}, p50")
        if name in {"ours", "naive aio"}:
            for what, style in (("p99", "--"), ("p999", ":")):
                times = [each.median(what) / 1_000 for each in found]
                right.plot(places, times, style, color=color, label=f"{name}, {what.replace('999', '99.9')}")
    left.set(title=f"changes a second ({store})", xscale="log", xlabel="calls in flight", ylim=(0, None))
    right.set(title="latency, ms", xscale="log", yscale="log", xlabel="calls in flight")
    for axes in (left, right):
        axes.set_xticks(IN_FLIGHT, [str(number) for number in IN_FLIGHT])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(file)
    plt.close(figure)


def _draw_one_call(results: Results, file: Path) -> None:
    """Draw where the time of one call goes when it is alone, and the CPU time of one among 128."""
    store = results.series[0].store
    round_trip = results.numbers[store]["script, us from one call to its reply"] or 0.0
    alone, among = results.find(store, "ours", 1), results.find(store, "ours", 128)
    ceiling_alone, ceiling_among = results.find(store, "ceiling", 1), results.find(store, "ceiling", 128)
    if not (alone and among and ceiling_alone and ceiling_among):
        return
    grpc_cpu = ceiling_among.median("server_cpu")
    parts = {
        "gRPC, both ends": (ceiling_alone.median("p50"), grpc_cpu + among.median("generator_cpu")),
        "the store: script and sync": (round_trip, among.median("store_cpu")),
        "the server's own": (
            max(0.0, alone.median("p50") - ceiling_alone.median("p50") - round_trip),
            max(0.0, among.median("server_cpu") - grpc_cpu),
        ),
    }
    figure, axes = plt.subplots(figsize=(10, 3), layout="constrained")
    left = [0.0, 0.0]
    bars = ["alone: time", "among 128: CPU time"]
    for (name, sizes), color in zip(parts.items(), ("#8d99ae", "#edae49", "#0b6e4f"), strict=True):
        drawn = axes.barh(bars, sizes, left=left, color=color, label=name)
        axes.bar_label(drawn, fmt="%.0f", label_type="center", color="white")
        left = [begin + size for begin, size in zip(left, sizes, strict=True)]
    axes.set(title=f"one DecrementCopies, microseconds ({store})")
    axes.invert_yaxis()
    axes.legend(fontsize=8)
    figure.savefig(file)
    plt.close(figure)
