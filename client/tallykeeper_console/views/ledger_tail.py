"""The ledger from its newest entry back, a page at a time, without filters.

A page is read with a watch that begins just before the page and ends with it. Its cost depends on the page alone, while
a listing of the newest entries reads the last 256 scripts, each of which may have made a thousand entries.
"""

from contextlib import aclosing

from tallykeeper_client import AsyncClient, Entry
from tallykeeper_console.views.entries import entry_row
from tallykeeper_console.views.paged_list import PAGE_SIZE, Page


async def newest(client: AsyncClient, namespace: str, token: str, *, page_size: int = PAGE_SIZE) -> Page:
    """Return a page of entries, the newest first. A token is the revision of the page's newest entry."""
    now = (await client.get_namespace(namespace=namespace)).namespace
    last = int(token) if token else now.revision
    before = max(last - page_size, now.oldest_revision - 1)
    if last <= before:
        return Page([], "")
    entries = await _between(client, namespace, before, last)
    return Page([entry_row(entry) for entry in reversed(entries)], str(before) if before >= now.oldest_revision else "")


async def _between(client: AsyncClient, namespace: str, before: int, last: int) -> list[Entry]:
    """Return the entries after one revision, up to another one that exists."""
    entries: list[Entry] = []
    async with aclosing(client.watch_responses(after_revision=before, namespace=namespace)) as responses:
        async for response in responses:
            entries += [entry for entry in response.entries if entry.revision <= last]
            if response.revision >= last:
                break
    return entries
