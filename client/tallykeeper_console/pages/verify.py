"""The verification of a namespace: its progress, its verdict and the differences."""

from contextlib import aclosing

from nicegui import ui

from tallykeeper_client import TallykeeperError, VerifyResult
from tallykeeper_console.pages.shell import Shell
from tallykeeper_console.pages.tables import heading, table
from tallykeeper_console.views import verification


async def page(shell: Shell, namespace: str = "") -> None:
    """Offer the verification, and show what it finds."""
    namespace = shell.show(namespace, "verify")
    heading(
        "Verify",
        "The server replays the ledger and compares the outcome with the stock, counters and reservations that there "
        "are. Changes may go on. It reads the whole namespace.",
    )
    begin = ui.button("Verify now", color=None).props("unelevated no-caps data-primary").classes("primary")
    bar = ui.linear_progress(value=0, show_value=False).props('aria-label="Progress of the verification"')
    bar.set_visibility(False)
    verdict = ui.label().classes("verdict").props('role="status" aria-live="polite"')
    extent = ui.label().classes("lead")
    differences = table(verification.COLUMNS, "Differences")
    differences.set_visibility(False)

    async def verify() -> None:
        begin.set_enabled(False)
        bar.set_value(0)
        bar.set_visibility(True)
        verdict.set_text("◌ Verifying …")
        extent.set_text("")
        try:
            result = VerifyResult()
            async with aclosing(shell.console.client.verify_responses(namespace=namespace)) as responses:
                async for response in responses:
                    result = response.result
                    if response.HasField("progress"):
                        bar.set_value(verification.part_done(response.progress))
            verdict.set_text(verification.verdict(result))
            extent.set_text(verification.extent(result))
            differences.rows = [
                verification.difference_row(index, each) for index, each in enumerate(result.differences)
            ]
            differences.set_visibility(bool(result.differences))
        except TallykeeperError as error:
            verdict.set_text(f"✖ {error.message}")
        finally:
            bar.set_visibility(False)
            begin.set_enabled(True)

    begin.on_click(verify)
