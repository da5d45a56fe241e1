"""The newest entries of the ledger, page by page."""

from tallykeeper_client import AsyncClient, operations
from tallykeeper_console.views.ledger_tail import newest
from tests.support.server import ThreadedServer


async def test_pages_go_back_to_the_first_entry(server: ThreadedServer, namespace: str) -> None:
    async with AsyncClient(server.target, namespace=namespace) as client:
        await client.apply([operations.increment("visits") for _ in range(7)], atomic=False)
        token, pages = "", []
        while True:
            page = await newest(client, namespace, token, page_size=3)
            pages.append([row["revision"] for row in page.rows])
            token = page.next_token
            if not token:
                break
        await client.increment("visits")
        again = await newest(client, namespace, "4", page_size=3)

    assert pages == [[7, 6, 5], [4, 3, 2], [1]]
    assert [row["revision"] for row in again.rows] == [4, 3, 2]


async def test_an_untouched_namespace_has_an_empty_page(server: ThreadedServer, namespace: str) -> None:
    async with AsyncClient(server.target) as client:
        page = await newest(client, namespace, "")

    assert (page.rows, page.next_token) == ([], "")


async def test_a_page_that_was_trimmed_is_empty(server: ThreadedServer, namespace: str) -> None:
    async with AsyncClient(server.target) as client:
        await client.increment("visits", namespace=namespace)
        page = await newest(client, namespace, "0")

    assert (page.rows, page.next_token) == ([], "")
