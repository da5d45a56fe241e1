"""``python -m bench.console``: measures the console in a Chromium while 100,000 stock levels change.

It prints the time to the first page and to each page after it, and the memory of the console and of the browser's page.
It needs Linux, the lock ``console`` (``make test-console`` installs it) and a Chromium.
"""

import asyncio
import json
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from bench.processes import Process
from tallykeeper_client import AsyncClient, Client, operations

NAMESPACE: Final = "bench"
BATCH: Final = 1_000
CHANGES_PER_CALL: Final = 50
ROUNDS: Final = 10
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
SHOWN: Final = {
    "stock": "Stock levels",
    "counters": "Counters",
    "reservations": "Reservations",
    "ledger": "Entries",
    "namespaces": "Namespaces",
}
"""The pages whose table fills with the first answer, and the label of the table."""

_TALLYKEEPER: Final = Path(sys.executable).with_name("tallykeeper")
_WAIT_MS: Final = 30_000


def item(index: int) -> str:
    """Name one of the items."""
    return f"book-{index:06d}"


def fill(target: str, levels: int) -> None:
    """Create the stock levels and some counters."""
    with Client(target, namespace=NAMESPACE, timeout_seconds=60) as client:
        for first in range(0, levels, BATCH):
            names = map(item, range(first, min(first + BATCH, levels)))
            client.apply([operations.set_stock(name, 1_000_000) for name in names], atomic=False)
        client.apply([operations.increment(f"views:{index:04d}") for index in range(BATCH)], atomic=False)


async def change(target: str, levels: int, rate: int) -> None:
    """Change random levels at a rate, until the process is ended. Half of the changes are on the first page."""
    draw = random.Random(1)  # noqa: S311  # the same changes in each run
    async with AsyncClient(target, namespace=NAMESPACE) as client:
        due = time.monotonic()
        while True:
            indices = [draw.randrange(100 if draw.random() < 0.5 else levels) for _ in range(CHANGES_PER_CALL)]  # noqa: PLR2004
            await client.apply([operations.decrement_copies(item(index)) for index in indices], atomic=False)
            due = max(due + CHANGES_PER_CALL / rate, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))


def memory_mb(process_id: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return round(int(kilobytes) / 1024, 1)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Start a server and give its address."""
    log = folder / "serve.log"
    command: list[str | Path] = [
        _TALLYKEEPER,
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "json",
        "--workers",
        "1",
    ]
    with Process([*command, "--data-dir", folder / "data"], log=log) as process:
        process.wait_for(lambda: '"serving"' in log.read_text(encoding="utf-8"))
        found = re.search(r'"listen": "([^"]+)"', log.read_text(encoding="utf-8"))
        yield found[1] if found else ""


@contextmanager
def console(folder: Path, target: str) -> Iterator[tuple[str, int]]:
    """Start a console, and give its address and its process id."""
    log = folder / "console.log"
    command: list[str | Path] = [_TALLYKEEPER, "console", "--target", target, "--namespace", NAMESPACE]
    with Process([*command, "--listen", "127.0.0.1:0"], log=log) as process:
        process.wait_for(lambda: "http://" in log.read_text(encoding="utf-8"))
        found = re.search(r"http://\S+/", log.read_text(encoding="utf-8"))
        yield found[0] if found else "", process.id


def first_view(browser: Any, url: str) -> float:  # noqa: ANN401  # Playwright is no dependency of the lint
    """Return the time in ms from a browser with an empty cache to the first rows."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    begin = time.monotonic()
    page.goto(url)
    page.wait_for_selector("a.row-link", timeout=_WAIT_MS)
    took = (time.monotonic() - begin) * 1_000
    context.close()
    return took


_VIEW: Final = """([keys, ready]) => new Promise((resolve, reject) => {
  const begin = performance.now();
  const look = () => {
    if (document.querySelector(ready)) requestAnimationFrame(() => resolve(performance.now() - begin));
    else if (performance.now() - begin > 30000) reject(new Error("not shown: " + ready));
    else requestAnimationFrame(look);
  };
  document.querySelector(keys).click();
  look();
})"""


def views(page: Any) -> dict[str, list[float]]:  # noqa: ANN401
    """Return the times in ms from a click to the content of each page, measured in the browser."""
    times: dict[str, list[float]] = {name: [] for name in (*SHOWN, "item", "activity", "verify", "next page")}
    for _ in range(ROUNDS):
        for name, label in SHOWN.items():
            link = f'[data-keys="g {name[0]}"]'
            rows = ".pager .hint:not(:empty)" if name == "reservations" else ".row-link"
            ready = f'[aria-label="{label}"]{"" if name == "reservations" else " " + rows}'
            times[name].append(page.evaluate(_VIEW, [link, ready]))
        times["activity"].append(page.evaluate(_VIEW, ['[data-keys="g a"]', ".chart"]))
        times["verify"].append(page.evaluate(_VIEW, ['[data-keys="g v"]', "[data-primary]"]))
        page.evaluate(_VIEW, ['[data-keys="g s"]', '[aria-label="Stock levels"] a.row-link'])
        page.wait_for_selector('[data-keys="]"]:not([disabled])')
        times["next page"].append(page.evaluate(_VIEW, ['[data-keys="]"]', f'a[href*="{item(100)}"]']))
        times["item"].append(page.evaluate(_VIEW, ["a.row-link", '[aria-label="Levels"] .row-link']))
    return times


@click.command
@click.option("--levels", default=100_000, show_default=True, help="The number of stock levels.")
@click.option("--rate", default=2_000, show_default=True, help="The number of changes per second.")
@click.option("--minutes", default=10.0, show_default=True, help="The time for which the memory is watched.")
@click.option("--change", "changes", hidden=True, metavar="HOST:PORT", help="Only make the changes, at this server.")
def main(*, levels: int, rate: int, minutes: float, changes: str | None) -> None:
    """Measure the console, and print the figures as JSON."""
    if changes:
        asyncio.run(change(changes, levels, rate))
        return
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # only the lock `browser` has it

    executable = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory(prefix="tk-console-") as name, server(Path(name)) as target:
        folder = Path(name)
        fill(target, levels)
        command = [sys.executable, "-m", "bench.console", "--levels", str(levels), "--rate", str(rate)]
        with (
            console(folder, target) as (url, console_id),
            Process([*command, "--change", target], log=folder / "change.log"),
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
            figures: dict[str, object] = {"load of the machine": [round(each, 1) for each in os.getloadavg()]}
            figures["first view ms"] = [round(first_view(browser, url)) for _ in range(3)]
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(url)
            page.wait_for_selector("a.row-link", timeout=_WAIT_MS)
            figures["views ms (median, worst)"] = {
                shown: (round(statistics.median(times)), round(max(times))) for shown, times in views(page).items()
            }
            click.echo(json.dumps(figures, ensure_ascii=False), err=True)
            figures["memory MB each minute (console, page)"] = watch_memory(page, url, console_id, minutes)
            figures["changes per second at the end"] = changes_per_second(target)
            click.echo(json.dumps(figures, indent=2, ensure_ascii=False))
            browser.close()


def watch_memory(page: Any, url: str, console_id: int, minutes: float) -> list[tuple[float, float]]:  # noqa: ANN401
    """Return the memory of the console and of the page's scripts each minute, while the stock is shown."""
    page.goto(url)
    found = []
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        page.wait_for_timeout(min(60_000, minutes * 60_000 / 4))
        heap = page.evaluate("() => performance.memory.usedJSHeapSize") / 2**20
        found.append((memory_mb(console_id), round(heap, 1)))
        click.echo(f"memory MB (console, page): {found[-1]}", err=True)
    return found


def changes_per_second(target: str) -> int:
    """Measure the changes of five seconds."""
    with Client(target, namespace=NAMESPACE) as client:
        before, begin = client.get_namespace().namespace.revision, time.monotonic()
        time.sleep(5)
        return round((client.get_namespace().namespace.revision - before) / (time.monotonic() - begin))


if __name__ == "__main__":
    main()
