"""Charts as SVG text: step lines with a label at the end of each line, readable without color and on any background.

Colors, fonts and dashes come from the style sheet, by class. Each line of a chart has its own dash and label.
"""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tallykeeper_console.views import figures

WIDTH: Final = 880
HEIGHT: Final = 200
STYLES: Final = 6
"""The number of line styles in the style sheet; further lines repeat them."""

SERIES_MAX: Final = 12
"""The number of lines that a chart draws; the table beside it has all."""

_LEFT: Final = 64
_RIGHT: Final = 150
_TOP: Final = 12
_BOTTOM: Final = 28
_TICKS: Final = 4
_LABEL_HEIGHT: Final = 15
_LABEL_LENGTH_MAX: Final = 22


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: its label, and its points as (seconds since 1970, value), in the order of time."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """The ranges that a chart shows."""

    begin: float
    end: float
    low: float
    high: float
    step: float

    def x(self, at: float) -> float:
        """Return the horizontal position of a time."""
        return _LEFT + (at - self.begin) / (self.end - self.begin) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Return the vertical position of a value."""
        return HEIGHT - _BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - _TOP - _BOTTOM)


def scale_of(series: Sequence[Series]) -> Scale:
    """Return ranges that hold all points and 0, with round numbers at the lines of the grid."""
    times = [at for each in series for at, _ in each.points]
    values = [value for each in series for _, value in each.points]
    low, high = min(0.0, *values), max(0.0, *values)
    step = _round_step((high - low) / _TICKS)
    begin, end = min(times), max(times)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return Scale(begin, end if end > begin else begin + 1, low, high if high > low else low + step, step)


def step_chart(
    series: Sequence[Series], *, title: str, tick: Callable[[float], str] = lambda value: figures.number(round(value))
) -> str:
    """Return a chart whose lines keep each value until the next point. Without points it is an empty text.

    ``title`` describes the chart to people who hear the page, and ``tick`` writes a value beside the grid.
    """
    drawn = [each for each in series if each.points][:SERIES_MAX]
    if not drawn:
        return ""
    scale = scale_of(drawn)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">',
        *_grid(scale, tick),
        *(_line(each, scale, index) for index, each in enumerate(drawn)),
        *_labels(drawn, scale),
        "</svg>",
    ]
    return "".join(parts)


def _round_step(least: float) -> float:
    """Return the least of 1, 2, 5, 10, 20, … that is not below a number; values are counts, so it is at least 1."""
    if least <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _grid(scale: Scale, tick: Callable[[float], str]) -> list[str]:
    parts = []
    for index in range(round((scale.high - scale.low) / scale.step) + 1):
        value = scale.low + index * scale.step
        y = scale.y(value)
        kind = "axis" if value == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick(value)}</text>')
    for at, anchor in ((scale.begin, "start"), (scale.end, "end")):
        x = scale.x(at)
        text = figures.clock(at)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{text}</text>')
    return parts


def _line(series: Series, scale: Scale, index: int) -> str:
    at, value = series.points[0]
    path = [f"M{scale.x(at):.1f} {scale.y(value):.1f}"]
    for at, value in series.points[1:]:
        path.append(f"H{scale.x(at):.1f}V{scale.y(value):.1f}")
    path.append(f"H{scale.x(scale.end):.1f}")
    dot = f'<circle class="dot style-{index % STYLES}" cx="{scale.x(scale.end):.1f}" cy="{scale.y(value):.1f}" r="3"/>'
    return f'<path class="line style-{index % STYLES}" d="{"".join(path)}"/>{dot}'


def _labels(drawn: Sequence[Series], scale: Scale) -> list[str]:
    """Label each line at its end, and move labels apart that would overlap."""
    ends = sorted((scale.y(each.points[-1][1]), index) for index, each in enumerate(drawn))
    parts, least = [], float(_TOP)
    for y, index in ends:
        least = max(y, least)
        label = drawn[index].label
        short = label if len(label) <= _LABEL_LENGTH_MAX else label[: _LABEL_LENGTH_MAX - 1] + "…"
        parts.append(
            f'<text class="label style-{index % STYLES}" x="{WIDTH - _RIGHT + 8}" y="{least + 4:.1f}">'
            f"<title>{html.escape(label)}</title>{html.escape(short)}</text>"
        )
        least += _LABEL_HEIGHT
    return parts
