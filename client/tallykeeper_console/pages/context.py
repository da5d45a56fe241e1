"""Everything that the pages of one console share: the client of the API, the pulses, and the permission to change."""

from tallykeeper_client import AsyncClient
from tallykeeper_console.views.actions import Actions
from tallykeeper_console.views.pulse import Pulses


class Console:
    """One console. `open` gives it its client, in the event loop that serves the pages."""

    client: AsyncClient
    pulses: Pulses

    def __init__(self, *, namespace: str, target: str, allow_changes: bool) -> None:
        self.namespace = namespace
        self.target = target
        self.allow_changes = allow_changes

    def open(self, client: AsyncClient) -> None:
        """Use a client from now on."""
        self.client = client
        self.pulses = Pulses(client)

    async def close(self) -> None:
        """End all reads that go on by themselves."""
        await self.pulses.close()

    def actions(self, namespace: str) -> Actions | None:
        """Return the changes of a namespace; None if this console only reads."""
        return Actions(self.client, namespace) if self.allow_changes else None
