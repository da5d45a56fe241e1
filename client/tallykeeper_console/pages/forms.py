"""The forms that change something. Only a console with ``--allow-changes`` draws them."""

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from tallykeeper_client import TallykeeperError
from tallykeeper_console.views import figures
from tallykeeper_console.views.actions import Action, Actions, Attempt, Field

_NOTES = (Field("reason", "Reason"), Field("reference", "Reference"))


class ActionBar:
    """The buttons of the changes that one level or reservation permits, each of which opens a form."""

    def __init__(self, actions: Actions, nothing: str) -> None:
        self._actions = actions
        self._nothing = nothing
        self._offered = ""
        self._bar = ui.element("div").classes("actions").props('role="group" aria-label="Changes"')
        self.offer_nothing()

    def offer_nothing(self) -> None:
        """Draw a hint in place of buttons."""
        self._offered = ""
        self._bar.clear()
        with self._bar:
            ui.label(self._nothing).classes("hint")

    def offer(self, subject: str, actions: Sequence[Action]) -> None:
        """Draw the buttons of a subject, unless they are there already."""
        if subject == self._offered:
            return
        self._offered = subject
        self._bar.clear()
        with self._bar:
            ui.label(subject).classes("subject")
            for action in actions:
                ui.button(action.label, on_click=lambda action=action: self._open(subject, action)).props(
                    "outline dense no-caps"
                )

    def _open(self, subject: str, action: Action) -> None:
        attempt = Attempt()
        with self._bar, ui.dialog() as dialog, ui.card().classes("form"):
            ui.label(f"{action.label}: {subject}").classes("subject").props('role="heading" aria-level="2"')
            inputs = {
                each.name: ui.input(each.label, value=each.start).props("dense outlined")
                for each in (*action.fields, *_NOTES)
            }
            failure = ui.label().classes("failure").props('role="alert"')

            async def send() -> None:
                values = {name: field.value or "" for name, field in inputs.items()}
                await self._send(dialog, failure, action, values, attempt)

            with ui.element("div").classes("actions"):
                ui.button(action.label, on_click=send, color=None).props("unelevated no-caps").classes("primary")
                ui.button("Cancel", on_click=dialog.close).props("flat no-caps")
        dialog.on("hide", dialog.delete)
        dialog.open()

    async def _send(
        self,
        dialog: Any,  # noqa: ANN401  # NiceGUI has no types here
        failure: Any,  # noqa: ANN401
        action: Action,
        values: dict[str, str],
        attempt: Attempt,
    ) -> None:
        try:
            revision = await self._actions.run(action, values, attempt)
        except ValueError as error:
            failure.set_text(f"✖ {error}")
        except TallykeeperError as error:
            failure.set_text(f"✖ {error.message}")
        else:
            ui.notify(f"✔ {action.label}: revision {figures.number(revision)}")
            dialog.close()
