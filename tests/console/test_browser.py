"""The console in a real Chromium: every page, by mouse and by keyboard, in light and in dark.

``TALLYKEEPER_SCREENSHOTS`` names a folder for a picture of each page.
"""

import os
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tallykeeper_client import AsyncClient, Client, StockLine, operations
from tests.console.chromium import chromium_path, missing
from tests.support.server import TALLYKEEPER, ServerProcess, free_ports

pytestmark = [
    pytest.mark.long,
    pytest.mark.asyncio(loop_scope="module"),  # so that all tests share one Chromium
]

ITEMS: Final = 250
STRANGE: Final = "a/b?c&d=<b>ü</b>"
PAGES: Final = {
    "stock": ("Stock", "dune"),
    "item?name=dune": ("Item", "order-17"),
    "counters": ("Counters", "visitors"),
    "counter?name=visitors": ("Counter", "visitors: +42 = 42"),
    "reservations": ("Reservations", "2 × dune @ main"),
    "ledger": ("Ledger", "basket-1; dune @ main: on hand 10, reserved +2 = 2"),
    "activity": ("Activity", "half of the reads within"),
    "verify": ("Verify", "Verify now"),
    "namespaces": ("Namespaces", "shop"),
}
"""Each page's address, its title, and a text that it shows."""

_PATIENCE_MS: Final = 30_000
_AGAIN_MS: Final = 5_000
"""The time after which a key is pressed again. The two keys of a chord may come too far apart on a busy machine."""
_CONTRAST: Final = """(selectors) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (color) => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((each) => {
      const part = each / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(color) && color !== "transparent") return color;
    }
    return "#fff";
  };
  return Object.fromEntries(selectors.map((selector) => {
    const element = document.querySelector(selector);
    const style = getComputedStyle(element);
    const color = element instanceof SVGElement ? style.fill : style.color;
    const [high, low] = [luminance(color), luminance(ground(element))].sort((a, b) => b - a);
    return [selector, (high + 0.05) / (low + 0.05)];
  }));
}"""


def fill(target: str) -> None:
    """Create what the pages show."""
    with Client(target, namespace="shop") as client:
        client.apply([operations.set_stock(f"book-{index:03d}", index) for index in range(ITEMS)], atomic=False)
        client.set_stock(STRANGE, 1)
        client.increment("visitors", delta=42)
        client.set_stock("dune", 3, location="berlin")
        client.configure_stock("dune", location="berlin", low_stock_threshold=5)
        client.increment_copies("dune", copies=12, location="main", reason="delivery")
        for order in (17, 18):
            client.decrement_copies("dune", location="main", reference=f"order-{order}")
        lines = [StockLine(item="dune", location="main", copies=2)]
        client.reserve(lines, reservation_id="basket-1", holder="ann", ttl=timedelta(minutes=30))


@pytest.fixture(scope="module", autouse=True)
def possible() -> None:
    """Skip all tests if something is missing."""
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a shop."""
    with ServerProcess(cwd=tmp_path_factory.mktemp("server")) as server:
        fill(server.target)
        yield server.target


@contextmanager
def console(target: str, *arguments: str) -> Iterator[str]:
    """Serve a console, and give its address."""
    command: list[str | Path] = [
        TALLYKEEPER,
        "console",
        "--target",
        target,
        "--namespace",
        "shop",
        "--listen",
        "127.0.0.1:0",
        *arguments,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+/", process.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def read_only(target: str) -> Iterator[str]:
    """The address of a console that only reads."""
    with console(target) as address:
        yield address


@pytest.fixture(scope="module")
def changing(target: str) -> Iterator[str]:
    """The address of a console that may change."""
    with console(target, "--allow-changes") as address:
        yield address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Any]:
    """A Chromium for all tests."""
    from playwright.async_api import async_playwright  # noqa: PLC0415  # only the lock `console` has it

    async with async_playwright() as playwright:
        # The sandbox needs a user other than root; the pages are ours.
        launched = await playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="module")
async def browser(chromium: Any) -> AsyncIterator[Any]:  # noqa: ANN401
    """A Chromium that forgets everything when the test ends."""
    yield chromium
    for context in chromium.contexts:
        await context.close()


async def opened(browser: Any, address: str, *, scheme: str = "light", width: int = 1_280) -> Any:  # noqa: ANN401
    """Open an address in a fresh profile. Errors of its scripts fail the test when it ends."""
    context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = await context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    await page.goto(address)
    await page.wait_for_selector(".state:has-text('connected')")
    return page


async def shows(page: Any, text: str) -> None:  # noqa: ANN401
    """Wait until the page shows a text."""
    await page.get_by_text(text, exact=False).first.wait_for()


async def pressed(press: Callable[[], Awaitable[None]], shown: Any) -> None:  # noqa: ANN401
    """Press keys until an element is shown."""
    from playwright.async_api import TimeoutError as NotShownError  # noqa: PLC0415  # not installed everywhere

    for _ in range(_PATIENCE_MS // _AGAIN_MS):
        await press()
        try:
            await shown.wait_for(timeout=_AGAIN_MS)
        except NotShownError:
            continue
        return
    message = f"no key brings {shown}"
    raise AssertionError(message)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_shows_its_content(browser: Any, read_only: str, scheme: str, tmp_path: Path) -> None:  # noqa: ANN401
    pictures = Path(os.environ.get("TALLYKEEPER_SCREENSHOTS", tmp_path))
    page = await opened(browser, read_only, scheme=scheme)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    for address, (title, text) in PAGES.items():
        await page.goto(read_only + (address if address == "namespaces" else f"shop/{address}"))
        await page.get_by_role("heading", level=1, name=title, exact=True).wait_for()
        if address == "stock":
            await page.get_by_label("Item begins with").fill("d")
        await shows(page, text)
        if address == "activity":
            await page.wait_for_selector(".chart-box ~ .chart-box .chart")
        if "?" in address:
            await page.wait_for_selector(".chart")
        await page.screenshot(path=pictures / f"console-{address.partition('?')[0]}-{scheme}.png")
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_texts_have_enough_contrast(browser: Any, read_only: str, scheme: str) -> None:  # noqa: ANN401
    page = await opened(browser, f"{read_only}shop/item?name=dune", scheme=scheme)
    await page.wait_for_selector(".chart .label.style-1")
    assert await page.evaluate("document.body.classList.contains('body--dark')") is (scheme == "dark")
    texts = ["h1", ".lead", ".nav", '.nav[aria-current="page"]', ".nav .hint", ".state", ".figure", ".mode", ".place"]
    texts += [".rows th", ".rows td", '.sign[data-sign="◐"]', '.sign[data-sign="●"]', ".chart .tick"]
    texts += [".chart .label.style-0", ".chart .label.style-1", ".filters a"]
    for selector in texts:
        await page.wait_for_selector(selector, state="attached")

    found = await page.evaluate(_CONTRAST, texts)

    assert {selector: ratio for selector, ratio in found.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_button_has_enough_contrast(browser: Any, read_only: str, scheme: str) -> None:  # noqa: ANN401
    page = await opened(browser, f"{read_only}shop/verify", scheme=scheme)
    await page.get_by_role("button", name="Verify now").wait_for()
    assert await page.evaluate("document.body.classList.contains('body--dark')") is (scheme == "dark")

    found = await page.evaluate(_CONTRAST, ["main .q-btn"])

    assert found["main .q-btn"] >= 4.5


async def test_it_can_be_used_by_keyboard_alone(browser: Any, read_only: str) -> None:  # noqa: ANN401
    page = await opened(browser, f"{read_only}shop/ledger")
    await page.keyboard.press("Tab")
    await page.wait_for_function("document.activeElement.textContent === 'Skip to the content'")

    async def go(keys: str, title: str) -> None:
        heading = page.get_by_role("heading", level=1, name=title, exact=True)
        await pressed(lambda: page.keyboard.type(keys), heading)
        await page.wait_for_function("document.querySelectorAll('nav [aria-current=page]').length === 1")

    for keys, title in [("gc", "Counters"), ("gr", "Reservations"), ("ga", "Activity"), ("gv", "Verify")]:
        await go(keys, title)
    await go("gl", "Ledger")
    await go("gn", "Namespaces")
    await go("gs", "Stock")
    await page.locator("input.search").first.wait_for()
    await pressed(lambda: page.keyboard.press("/"), page.locator("input.search:focus"))
    await page.keyboard.type("dun")
    await page.wait_for_function("document.querySelectorAll('.row-link').length === 2")
    await page.keyboard.press("ArrowDown")
    await page.wait_for_function("document.activeElement.textContent === 'dune'")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", level=1, name="Item", exact=True).wait_for()
    await page.keyboard.press("?")
    await page.wait_for_selector("dialog#keys[open]")
    await page.keyboard.press("Escape")
    await page.wait_for_selector("dialog#keys:not([open])", state="attached")


async def test_a_narrow_window_has_a_menu_of_the_pages(browser: Any, read_only: str) -> None:  # noqa: ANN401
    page = await opened(browser, f"{read_only}shop/stock", width=800)
    menu, ledger = page.get_by_role("button", name="Pages", exact=True), page.get_by_role("link", name="Ledger")
    await ledger.wait_for(state="hidden")
    await menu.click()
    await ledger.click()
    await page.get_by_role("heading", level=1, name="Ledger", exact=True).wait_for()
    await ledger.wait_for(state="hidden")


async def test_a_wide_window_shows_the_pages_and_no_menu(browser: Any, read_only: str) -> None:  # noqa: ANN401
    page = await opened(browser, f"{read_only}shop/stock")

    await page.get_by_role("link", name="Ledger").wait_for()
    assert not await page.get_by_role("button", name="Pages", exact=True).is_visible()


async def test_the_theme_changes_by_a_key_and_is_remembered(browser: Any, read_only: str) -> None:  # noqa: ANN401
    page = await opened(browser, read_only, scheme="light")
    await page.keyboard.press("t")
    await page.wait_for_selector('[aria-label="Theme: light (t)"]')
    await page.keyboard.press("t")
    await page.wait_for_selector("body.body--dark")
    await page.reload()
    await page.wait_for_selector("body.body--dark")
    await page.keyboard.press("t")
    await page.wait_for_selector("body:not(.body--dark)")


async def test_a_list_is_paged_and_searched_at_the_server(browser: Any, read_only: str) -> None:  # noqa: ANN401
    page = await opened(browser, f"{read_only}shop/stock?prefix=book-")
    await shows(page, "Page 1: 100 rows, more follow")
    await page.locator('[data-keys="]"]:not([disabled])').wait_for()
    await page.keyboard.press("]")
    await shows(page, "Page 2: 100 rows, more follow")
    await shows(page, "book-100")
    await page.get_by_role("button", name="Next").click()
    await shows(page, "Page 3: 50 rows")
    await page.locator('[data-keys="["]:not([disabled])').wait_for()
    await page.keyboard.press("[")
    await shows(page, "Page 2: 100 rows, more follow")
    await page.get_by_label("Item begins with").fill("book-24")
    await shows(page, "Page 1: 10 rows")
    await page.get_by_label("Item begins with").fill("no such item")
    await shows(page, "No stock level matches.")
    await page.get_by_label("Item begins with").fill("")
    await page.get_by_label("Location").fill("berlin")
    await shows(page, "Page 1: 1 row")


async def test_a_change_is_shown_as_it_happens(browser: Any, read_only: str, target: str) -> None:  # noqa: ANN401
    stock = await opened(browser, f"{read_only}shop/stock?prefix=book-000")
    item = await opened(browser, f"{read_only}shop/item?name=book-000")
    ledger = await opened(browser, f"{read_only}shop/ledger")
    await shows(stock, "○ out")
    await stock.get_by_role("link", name="book-000").focus()
    await item.wait_for_selector(".chart")
    await shows(ledger, "Page 1")
    async with AsyncClient(target, namespace="shop") as client:
        await client.increment_copies("book-000", copies=7, reference="live-1")
    await shows(stock, "▲ +7")
    await shows(stock, "● in stock")
    await stock.wait_for_function("document.activeElement.textContent === 'book-000'")
    await shows(item, "On hand 7")
    await shows(item, "live-1")
    await shows(ledger, "live-1")


async def test_a_name_with_any_characters_is_shown_as_it_is(browser: Any, read_only: str) -> None:  # noqa: ANN401
    page = await opened(browser, f"{read_only}shop/stock?prefix=a%2F")
    await page.get_by_role("link", name=STRANGE).click()
    await page.get_by_role("heading", level=1, name="Item", exact=True).wait_for()
    assert await page.locator(".name").text_content() == STRANGE
    await shows(page, f"{STRANGE} @ main: on hand +1 = 1")
    await page.go_back()
    await page.get_by_role("heading", level=1, name="Stock", exact=True).wait_for()


async def test_verification_says_what_it_found(browser: Any, read_only: str) -> None:  # noqa: ANN401
    page = await opened(browser, f"{read_only}shop/verify")
    await page.get_by_role("button", name="Verify now").click()
    await shows(page, "✔ The namespace is what its ledger says.")
    await shows(page, "replayed")


async def test_a_console_that_only_reads_offers_no_change(browser: Any, read_only: str) -> None:  # noqa: ANN401
    page = await opened(browser, f"{read_only}shop/item?name=dune")
    await page.wait_for_selector('[aria-label="Levels"] .row-link')
    await shows(page, "read-only")
    assert await page.locator(".actions, .rows input").count() == 0


async def test_a_change_is_made_by_keyboard_and_refused_with_its_reason(
    browser: Any,  # noqa: ANN401
    changing: str,
    target: str,
) -> None:
    page = await opened(browser, f"{changing}shop/item?name=book-009")
    await page.get_by_role("checkbox", name="Choose main").press("Space")
    await page.get_by_role("button", name="Take copies").press("Enter")
    await page.get_by_label("Copies").fill("10")
    await page.get_by_role("dialog").get_by_role("button", name="Take copies").press("Enter")
    await page.get_by_role("alert").filter(has_text="✖").first.wait_for()
    await page.get_by_label("Copies").fill("2")
    await page.get_by_label("Reference").fill("order-99")
    await page.get_by_role("dialog").get_by_role("button", name="Take copies").press("Enter")
    await shows(page, "On hand 7")
    await shows(page, "order-99")
    async with AsyncClient(target, namespace="shop") as client:
        entries = (await client.list_entries(reference="order-99")).entries
    assert [entry.reason for entry in entries] == ["console"]


async def test_a_reservation_is_released(browser: Any, changing: str, target: str) -> None:  # noqa: ANN401
    async with AsyncClient(target, namespace="shop") as client:
        await client.reserve([StockLine(item="book-030")], reservation_id="basket-2", holder="bob")
    page = await opened(browser, f"{changing}shop/reservations")
    await page.get_by_label("Holder").fill("bob")
    await page.get_by_role("checkbox", name="Choose basket-2").check()
    await page.get_by_role("button", name="Release").click()
    await page.get_by_role("dialog").get_by_role("button", name="Release").click()
    await shows(page, "No reservation matches.")
    await page.get_by_label("State").click()
    await page.get_by_role("option", name="Released").click()
    await shows(page, "↩ released")


async def test_a_server_that_is_away_is_named(browser: Any) -> None:  # noqa: ANN401
    with console(f"127.0.0.1:{free_ports(1)[0]}") as address:
        page = await (await browser.new_context()).new_page()
        page.set_default_timeout(_PATIENCE_MS)
        await page.goto(address)
        await page.wait_for_selector(".state.bad:has-text('✖')")


async def test_a_foreign_host_is_refused(browser: Any, read_only: str) -> None:  # noqa: ANN401
    context = await browser.new_context()
    response = await context.request.get(read_only, headers={"Host": "evil.example"})
    assert response.status == 403
