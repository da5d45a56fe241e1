"""The activity of a namespace: changes per second, and the time of the console's own reads."""

import asyncio

from nicegui import ui

from tallykeeper_console.pages.shell import REFRESH_SECONDS, Shell
from tallykeeper_console.pages.tables import heading
from tallykeeper_console.views import figures
from tallykeeper_console.views.chart import Series, step_chart
from tallykeeper_console.views.pulse import Samples

_QUANTILES = ((0.5, "half of the reads"), (0.99, "99 of 100 reads"))


async def page(shell: Shell, namespace: str = "") -> None:
    """Show the last ten minutes, and go on for as long as the page is shown."""
    namespace = shell.show(namespace, "activity")
    heading("Activity", "The last ten minutes, from when this console first showed the namespace.")
    ui.label("Changes per second").classes("section").props('role="heading" aria-level="2"')
    rate = ui.label().classes("lead").props('role="status"')
    rates = ui.html("", sanitize=False).classes("chart-box")
    ui.label("Time of a read").classes("section").props('role="heading" aria-level="2"')
    ui.label("One read each second, from this console to the server and back.").classes("hint")
    latency = ui.label().classes("lead")
    latencies = ui.html("", sanitize=False).classes("chart-box")
    while True:
        samples = shell.console.pulses.of(namespace).samples
        rate.set_text(_rate_text(samples))
        latency.set_text(_latency_text(samples))
        changes = Series("changes/s", tuple(samples.rates()))
        rates.set_content(step_chart([changes], title="Changes per second in the last ten minutes"))
        reads = Series("one read", tuple((at, seconds * 1_000_000) for at, seconds in samples.latencies()))
        latencies.set_content(
            step_chart([reads], title="Time of each read in the last ten minutes", tick=_milliseconds)
        )
        await asyncio.sleep(REFRESH_SECONDS)


def _milliseconds(microseconds: float) -> str:
    return f"{microseconds / 1_000:g} ms"


def _rate_text(samples: Samples) -> str:
    rate = samples.rate()
    return "Waiting for the second answer" if rate is None else f"{figures.number(round(rate))} in the last second"


def _latency_text(samples: Samples) -> str:
    found = [(samples.latency(quantile), words) for quantile, words in _QUANTILES]
    return ", ".join(
        f"{words} within {figures.milliseconds(seconds)}" for seconds, words in found if seconds is not None
    )
