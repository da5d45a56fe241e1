"""Comparison of a runner's results with a case's expectations: exact values, matchers, and saved values."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_VARIABLE: Final = re.compile(r"\$(?:\{([a-z][a-z0-9_.-]*)\}|([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*))")


class UnknownVariableError(Exception):
    """A case uses a variable that no step has saved."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """A node of an expectation that is a rule instead of a value, such as ``<any>``."""

    kind: str
    value: Any


def filled(node: Any, variables: Mapping[str, str]) -> Any:  # noqa: ANN401  # YAML
    """Return a node with ``$name`` and ``${name}`` replaced in its texts.

    :raises UnknownVariableError: there is no variable with a name.
    """
    if isinstance(node, str):
        return _VARIABLE.sub(lambda found: _value(found[1] or found[2], variables), node)
    if isinstance(node, Mapping):
        return {name: filled(value, variables) for name, value in node.items()}
    if isinstance(node, Sequence):
        return [filled(value, variables) for value in node]
    if isinstance(node, Matcher) and node.kind != "save":
        return Matcher(node.kind, filled(node.value, variables))
    return node


def variables_in(node: Any) -> Iterator[str]:  # noqa: ANN401  # YAML
    """Return the names of the variables in the texts of a node."""
    if isinstance(node, str):
        yield from (found[1] or found[2] for found in _VARIABLE.finditer(node))
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from variables_in(value)
    elif isinstance(node, Sequence):
        for value in node:
            yield from variables_in(value)
    elif isinstance(node, Matcher) and node.kind != "save":
        yield from variables_in(node.value)


def _value(name: str, variables: Mapping[str, str]) -> str:
    try:
        return variables[name]
    except KeyError:
        message = f"no step has saved ${name}"
        raise UnknownVariableError(message) from None


class Comparison:
    """One comparison: the differences that it finds, and the values that it saves."""

    def __init__(self) -> None:
        self.differences: list[str] = []
        self.saved: dict[str, str] = {}

    def message(self, expected: Any, full: Any, given: Any, path: str = "") -> None:  # noqa: ANN401  # JSON
        """Compare a node of a message.

        ``full`` has the defaults of fields, ``given`` only the fields that are set. An unexpected field that is set
        differs, unless the expectation is partial.
        """
        if isinstance(expected, Matcher):
            self._matched(expected, full, given, path)
        elif isinstance(expected, Mapping):
            self._fields(expected, full, given, path, partial=False)
        elif isinstance(expected, Sequence) and not isinstance(expected, str):
            self._items(expected, full, given, path)
        elif not _same(expected, full):
            self._differ(path, repr(expected), full)

    def _fields(self, expected: Mapping[str, Any], full: Any, given: Any, path: str, *, partial: bool) -> None:  # noqa: ANN401  # JSON
        if not isinstance(full, Mapping):
            self._differ(path, "a message", full)
            return
        given = given if isinstance(given, Mapping) else {}
        for name, value in expected.items():
            self.message(value, full.get(name), given.get(name), f"{path}.{name}" if path else name)
        if not partial:
            for name in given.keys() - expected.keys():
                self._differ(f"{path}.{name}" if path else name, "nothing", given[name])

    def _items(self, expected: Sequence[Any], full: Any, given: Any, path: str) -> None:  # noqa: ANN401  # JSON
        if not isinstance(full, list) or len(full) != len(expected):
            self._differ(path, f"a list of {len(expected)}", full)
            return
        given = given or full
        for index, value in enumerate(expected):
            self.message(value, full[index], given[index], f"{path}[{index}]")

    def _matched(self, expected: Matcher, full: Any, given: Any, path: str) -> None:  # noqa: ANN401  # JSON
        match = _MATCHERS[expected.kind]
        match(self, expected.value, full, given, path)

    def _any(self, _: Any, full: Any, given: Any, path: str) -> None:  # noqa: ANN401  # JSON
        if given is None:
            self._differ(path, "any value", full)

    def _absent(self, _: Any, full: Any, given: Any, path: str) -> None:  # noqa: ANN401  # JSON
        if given is not None:
            self._differ(path, "nothing", full)

    def _save(self, name: str, full: Any, _: Any, path: str) -> None:  # noqa: ANN401  # JSON
        if full is None or isinstance(full, Mapping | list):
            self._differ(path, "a value to be saved", full)
        else:
            self.saved[name] = str(full)

    def _range(self, bounds: Sequence[int], full: Any, _: Any, path: str) -> None:  # noqa: ANN401  # JSON
        least, most = bounds
        if not _is_integer(full) or not least <= int(full) <= most:
            self._differ(path, f"{least} to {most}", full)

    def _matches(self, pattern: str, full: Any, _: Any, path: str) -> None:  # noqa: ANN401  # JSON
        if not isinstance(full, str) or re.fullmatch(pattern, full) is None:
            self._differ(path, f"a text like {pattern!r}", full)

    def _partial(self, expected: Mapping[str, Any], full: Any, given: Any, path: str) -> None:  # noqa: ANN401  # JSON
        self._fields(expected, full, given, path, partial=True)

    def _differ(self, path: str, expected: str, actual: Any) -> None:  # noqa: ANN401  # JSON
        self.differences.append(f"{path or 'the reply'}: expected {expected}, got {actual!r}")


_MATCHERS: Final[Mapping[str, Callable[..., None]]] = {
    "any": Comparison._any,  # noqa: SLF001  # the class's own table
    "absent": Comparison._absent,  # noqa: SLF001  # the same
    "save": Comparison._save,  # noqa: SLF001  # the same
    "range": Comparison._range,  # noqa: SLF001  # the same
    "matches": Comparison._matches,  # noqa: SLF001  # the same
    "partial": Comparison._partial,  # noqa: SLF001  # the same
}


def _same(expected: Any, actual: Any) -> bool:  # noqa: ANN401  # JSON
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, int) and _is_integer(actual):
        return expected == int(actual)
    if isinstance(actual, int):
        return str(expected) == str(actual)
    return bool(expected == actual)


def _is_integer(value: Any) -> bool:  # noqa: ANN401  # JSON
    return isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value) is not None)
