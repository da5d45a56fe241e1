"""A listing of the API, one page at a time: it holds the rows of the page that is shown, and never a whole listing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

PAGE_SIZE: Final = 100
"""The number of rows of a page."""

KEY: Final = "key"
"""The field of a row that identifies it."""

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing: its rows, and the token of the page after it, which is empty on the last page."""

    rows: list[Row]
    next_token: str


Fetch: TypeAlias = Callable[[str], Awaitable[Page]]
"""Reads the page with a token; the first page has the empty token."""


class Listing:
    """The page of a listing that is shown, with the way back to the first one.

    If a search or a step to another page begins while another one waits for its answer, only the later one's answer
    counts: the rows never show an older search or page. `refresh` reads nothing while one of them waits.
    """

    def __init__(self, fetch: Fetch) -> None:
        self.rows: list[Row] = []
        self.loaded = False
        self._fetch = fetch
        self._tokens = [""]
        self._next_token = ""
        self._calls = 0
        self._moves = 0
        """The number of searches and steps that wait for their answers."""

    @property
    def number(self) -> int:
        """The number of the page that is shown, from 1."""
        return len(self._tokens)

    @property
    def has_next(self) -> bool:
        """True if a page follows."""
        return bool(self._next_token)

    @property
    def has_previous(self) -> bool:
        """True if a page precedes."""
        return len(self._tokens) > 1

    async def search(self, fetch: Fetch) -> bool:
        """Show the first page of another listing. Return True unless a later call replaced this one."""
        self._fetch = fetch
        return await self._move([""])

    async def refresh(self) -> bool:
        """Read the page that is shown again. Return True unless it is replaced by another one."""
        return not self._moves and await self._show(self._tokens)

    async def next(self) -> bool:
        """Show the page that follows; nothing changes on the last one."""
        return self.has_next and await self._move([*self._tokens, self._next_token])

    async def previous(self) -> bool:
        """Show the page that precedes; nothing changes on the first one."""
        return self.has_previous and await self._move(self._tokens[:-1])

    async def _move(self, tokens: list[str]) -> bool:
        self._moves += 1
        try:
            return await self._show(tokens)
        finally:
            self._moves -= 1

    async def _show(self, tokens: list[str]) -> bool:
        self._calls += 1
        call = self._calls
        page = await self._fetch(tokens[-1])
        if call != self._calls:
            return False
        self.rows, self._tokens, self._next_token, self.loaded = page.rows, tokens, page.next_token, True
        return True
