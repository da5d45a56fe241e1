"""The changes of the console: each is made once, with its reason, and a bad field changes nothing."""

import pytest

from tallykeeper_client import AsyncClient, InsufficientStock, MutationOptions, StockLine, TallykeeperError, Unavailable
from tallykeeper_console.pages.context import Console
from tallykeeper_console.views.actions import Action, Actions, Attempt, Values, integer
from tests.support.server import ThreadedServer


def named(actions: tuple[Action, ...], label: str) -> Action:
    """Return the action with a label."""
    return next(action for action in actions if action.label == label)


async def test_stock_is_added_taken_and_set(server: ThreadedServer, namespace: str) -> None:
    async with AsyncClient(server.target, namespace=namespace) as client:
        actions = Actions(client, namespace)
        offered = actions.of_stock("dune", "main")
        await actions.run(named(offered, "Add copies"), {"copies": "5", "reference": "van-1"}, Attempt())
        await actions.run(named(offered, "Take copies"), {"copies": "2"}, Attempt())
        revision = await actions.run(
            named(offered, "Set on hand"), {"on hand": " 9 ", "reason": "stocktake"}, Attempt()
        )
        found = await client.get_stock("dune", location="main")
        entries = (await client.list_entries()).entries

    assert (found.stock_level.on_hand, revision) == (9, 3)
    assert [(entry.reason, entry.reference) for entry in entries] == [
        ("console", "van-1"),
        ("console", ""),
        ("stocktake", ""),
    ]


async def test_a_counter_is_changed_and_set(server: ThreadedServer, namespace: str) -> None:
    async with AsyncClient(server.target, namespace=namespace) as client:
        actions = Actions(client, namespace)
        offered = actions.of_counter("visits")
        await actions.run(named(offered, "Set value"), {"value": "40"}, Attempt())
        await actions.run(named(offered, "Add"), {"change": "-3"}, Attempt())
        assert (await client.get_counter("visits")).counter.value == 37


async def test_a_reservation_is_extended_committed_and_released(server: ThreadedServer, namespace: str) -> None:
    async with AsyncClient(server.target, namespace=namespace) as client:
        await client.set_stock("dune", 5)
        for name in ("basket-1", "basket-2"):
            await client.reserve([StockLine(item="dune")], reservation_id=name)
        actions = Actions(client, namespace)
        await actions.run(named(actions.of_reservation("basket-1"), "Extend"), {"minutes": "60"}, Attempt())
        await actions.run(named(actions.of_reservation("basket-1"), "Commit"), {}, Attempt())
        await actions.run(named(actions.of_reservation("basket-2"), "Release"), {}, Attempt())
        found = (await client.get_stock("dune")).stock_level

    assert (found.on_hand, found.reserved) == (4, 0)


@pytest.mark.parametrize("text", ["", "three", "1.5", "0", "9007199254740992"])
async def test_a_bad_number_names_its_field_and_changes_nothing(
    server: ThreadedServer, namespace: str, text: str
) -> None:
    async with AsyncClient(server.target, namespace=namespace) as client:
        actions = Actions(client, namespace)
        with pytest.raises(ValueError, match=f"copies = {text or 'nothing'} is not an integer from 1 to"):
            await actions.run(named(actions.of_stock("dune", ""), "Add copies"), {"copies": text}, Attempt())
        assert (await client.get_namespace()).namespace.revision == 0


def test_a_number_may_be_negative() -> None:
    assert integer({"change": "-7"}, "change") == -7


async def test_a_form_keeps_its_request_id_until_the_outcome_is_known(server: ThreadedServer, namespace: str) -> None:
    sent: list[str | None] = []
    failures: list[TallykeeperError] = []

    async def call(_: Values, options: MutationOptions) -> int:
        sent.append(options["request_id"])
        if failures:
            raise failures.pop()
        return 1

    attempt, action = Attempt(), Action("Test", (), call)
    async with AsyncClient(server.target, namespace=namespace) as client:
        actions = Actions(client, namespace)
        failures.append(await _unavailable())
        with pytest.raises(TallykeeperError):
            await actions.run(action, {"copies": "1"}, attempt)
        await actions.run(action, {"copies": "1"}, attempt)
        await actions.run(action, {"copies": "1"}, attempt)
        await actions.run(action, {"copies": "2"}, attempt)

    assert sent[0] == sent[1]
    assert len(set(sent)) == 3


async def test_a_refused_change_may_be_tried_again(server: ThreadedServer, namespace: str) -> None:
    async with AsyncClient(server.target, namespace=namespace) as client:
        await client.set_stock("dune", 0)
        actions, attempt = Actions(client, namespace), Attempt()
        take = named(actions.of_stock("dune", ""), "Take copies")
        with pytest.raises(InsufficientStock):
            await actions.run(take, {"copies": "1"}, attempt)
        await client.set_stock("dune", 1)
        await actions.run(take, {"copies": "1"}, attempt)
        assert (await client.get_stock("dune")).stock_level.on_hand == 0


@pytest.mark.parametrize("allow_changes", [False, True])
async def test_only_a_console_that_may_change_has_actions(server: ThreadedServer, *, allow_changes: bool) -> None:
    console = Console(namespace="shop", target=server.target, allow_changes=allow_changes)
    async with AsyncClient(server.target) as client:
        console.open(client)
        assert (console.actions("shop") is not None) is allow_changes
        await console.close()


async def _unavailable() -> TallykeeperError:
    """Return the error of a server that is away."""
    async with AsyncClient("127.0.0.1:1") as client:
        with pytest.raises(Unavailable) as failure:
            await client.wait_until_ready(timeout_seconds=0.1)
    return failure.value
