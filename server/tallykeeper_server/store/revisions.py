"""How far each namespace has come, as this process has seen it: so that a revision that goes backwards is noticed."""

from collections.abc import Iterable, Mapping
from typing import Final

_NAMESPACES_MAX: Final = 100_000


class SeenRevisions:
    """The last revision seen of each namespace.

    A store that lost writes, as after a failover or a restore, gives revisions once more that it gave before. Calls
    overlap, so what a change got is compared with what had been seen when it was sent, and not when it came back.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def of(self, namespaces: Iterable[str]) -> dict[str, int]:
        """Return what has been seen of these namespaces, 0 where nothing was."""
        return {namespace: self._last.get(namespace, 0) for namespace in namespaces}

    def note(self, first: Mapping[str, int], last: Mapping[str, int], seen_before: Mapping[str, int]) -> list[str]:
        """Note the first and the last new revision that a call made in each namespace; return those that went back."""
        back = [namespace for namespace, revision in first.items() if revision <= seen_before[namespace]]
        if len(self._last) + len(last) > _NAMESPACES_MAX:
            self._last.clear()
        for namespace, revision in last.items():
            if namespace in back or revision > self._last.get(namespace, 0):
                self._last[namespace] = revision
        return back
