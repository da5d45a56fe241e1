"""The results as text, as JSON and as a picture."""

import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from bench.contenders import GO, NAIVE_AIO, ON_GRPC_AIO, ONE, TWO
from bench.goals import Goal, goals
from bench.measurement import Pace, Results, Series
from bench.plan import IN_FLIGHT

mpl.use("svg")
from matplotlib import pyplot as plt  # after the choice of the drawing backend

_LINES: Final = {
    TWO: "#0b6e4f",
    ONE: "#59a96a",
    GO: "#8d99ae",
    ON_GRPC_AIO: "#edae49",
    NAIVE_AIO: "#d1495b",
}
_SERVER: Final = {
    True: "Tallykeeper with its busiest modules compiled to C, as in the image and the wheels for Linux.",
    False: "Tallykeeper in Python alone.",
}
_HEADER: Final = (
    f"  {'':40}     in   changes     p50     p99   p99.9   server  store  load cores",
    f"  {'':40} flight        /s      ms      ms      ms      CPU, us per call  busy",
)


def text(results: Results, pace: Pace, *, compiled: bool) -> Iterator[str]:
    """Yield the lines of the text: the goals first, then all measurements. ``compiled``: some modules are compiled."""
    yield _SERVER[compiled]
    yield ""
    if pace.is_quick:
        yield "A quick run: it only checks that everything works. Its figures are not reliable."
        yield ""
    yield f"{'Goals':64} {'measured':>12} {'goal':>19}"
    for goal in goals(results):
        yield f"  {goal.name:62} {_measured(goal):>12} {_wanted(goal):>19}  {_verdict(goal)}"
    yield ""
    yield "Loads (medians)"
    yield from _HEADER
    for store in dict.fromkeys(series.store for series in results.series):
        yield ""
        yield store
        found = [series for series in results.series if series.store == store]
        for series in sorted(found, key=lambda each: (each.name, each.in_flight)):
            yield from _row(series)
    for topic, numbers in results.numbers.items():
        yield ""
        yield topic
        for name, number in numbers.items():
            yield f"  {name:72} {'not measured' if number is None else f'{number:14,.2f}':>14}"


def _row(series: Series) -> Iterator[str]:
    times = " ".join(f"{series.median(value) / 1_000:7.2f}" for value in ("p50", "p99", "p999"))
    cpu = f"{series.median('server_cpu'):8.1f} {series.median('store_cpu'):6.1f} {series.median('generator_cpu'):5.1f}"
    busy = f"{series.median('cores_busy'):5.2f}"
    yield f"  {series.name:40} {series.in_flight:6,} {series.rate:9,.0f} {times} {cpu} {busy}"
    if refused := series.median("refused_per_second"):
        yield f"  {'  and refused, calls/s':40} {'':6} {refused:9,.0f}"


def _measured(goal: Goal) -> str:
    return "" if goal.measured is None else f"{goal.measured:,.2f}"


def _wanted(goal: Goal) -> str:
    return f"{'at most' if goal.at_most else 'at least'} {goal.wanted:,g}"


def _verdict(goal: Goal) -> str:
    return {None: "not measured", True: "reached", False: "NOT REACHED"}[goal.is_reached]


def write(results: Results, pace: Pace, folder: Path, *, compiled: bool) -> list[Path]:
    """Write text, JSON and picture into a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "latest.txt": "\n".join(text(results, pace, compiled=compiled)) + "\n",
        "latest.json": json.dumps(_as_json(results, pace, compiled=compiled), indent=1) + "\n",
    }
    for name, content in texts.items():
        (folder / name).write_text(content)
    _draw(results, folder / "latest.svg")
    return [folder / name for name in (*texts, "latest.svg")]


def _as_json(results: Results, pace: Pace, *, compiled: bool) -> dict[str, Any]:
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": pace.is_quick,
        "compiled": compiled,
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()},
        "goals": [goal.as_json() for goal in goals(results)],
        "numbers": results.numbers,
        "series": [series.as_json() for series in results.series],
    }


def _draw(results: Results, file: Path) -> None:
    """Draw the throughput against the calls in flight, on each of the compared stores."""
    figure, panels = plt.subplots(1, 2, figsize=(12, 5), layout="constrained", sharey=True)
    for axes, store in zip(panels, (results.always, results.everysec), strict=True):
        for name, color in _LINES.items():
            found = [each for in_flight in IN_FLIGHT if (each := results.find(store, name, in_flight))]
            axes.plot([each.in_flight for each in found], [each.rate for each in found], "o-", color=color, label=name)
        axes.set(title=store, xscale="log", xlabel="calls in flight", ylabel="changes a second", ylim=(0, None))
        axes.set_xticks(IN_FLIGHT, [f"{number:,}" for number in IN_FLIGHT])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(file)
    plt.close(figure)
