"""A store for lanes, without Redis."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class FakeStore(Generic[Item, Result]):
    """A store that notes each batch, and answers each item by a function, at once or when the test releases it."""

    def __init__(self, answer: Callable[[Item], Result]) -> None:
        self.batches: list[list[Item]] = []
        self.failures: list[Exception] = []
        """The errors of the next batches, in order."""
        self._answer = answer
        self._gate = asyncio.Event()
        self._gate.set()

    def hold(self) -> None:
        """Hold the answers to the batches under way, and to those that follow."""
        self._gate.clear()

    def release(self) -> None:
        """Answer the batches that are held, and those that follow at once."""
        self._gate.set()

    async def send(self, items: Sequence[Item]) -> list[Result]:
        """Note a batch, and return the answers to its items.

        :raises Exception: the next of ``failures``, if there is one.
        """
        self.batches.append(list(items))
        await self._gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        return [self._answer(item) for item in items]
