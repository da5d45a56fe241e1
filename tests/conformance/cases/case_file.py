"""Reads ``cases.yaml``, and refuses a faulty case."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests.conformance.cases.case_checks import problems
from tests.conformance.cases.match import Matcher
from tests.conformance.cases.steps import EXPECTING, STEPS, Case, Step

PATH: Final = Path(__file__).parent.parent / "cases.yaml"


class CaseFileError(Exception):
    """The case file cannot be used. The message has the position and the reason."""


_REST: Final = "<rest>"
_WRITTEN: Final = re.compile(r"<(?:(any|absent)|save ([a-z][a-z0-9_]*)|(-?[0-9]+) to (-?[0-9]+)|like (.+))>")


def _expectation(node: Any) -> Any:  # noqa: ANN401  # YAML
    """Return a node in which matchers replace the texts that stand for them.

    :raises CaseFileError: a text looks like a matcher and is none.
    """
    if isinstance(node, Mapping):
        fields = {name: _expectation(value) for name, value in node.items() if name != _REST}
        return Matcher("partial", fields) if _REST in node else fields
    if isinstance(node, list):
        return [_expectation(value) for value in node]
    if isinstance(node, str) and node.startswith("<") and node.endswith(">"):
        return _matcher(node)
    return node


def _matcher(text: str) -> Matcher:
    found = _WRITTEN.fullmatch(text)
    if found is None:
        message = f"there is no matcher {text}; there are <any>, <absent>, <save NAME>, <LEAST to MOST>, <like REGEX>"
        raise CaseFileError(message)
    plain, saved, least, most, pattern = found.groups()
    if plain:
        return Matcher(plain, None)
    if saved:
        return Matcher("save", saved)
    return Matcher("matches", pattern) if pattern else Matcher("range", (int(least), int(most)))


def load(path: Path = PATH) -> list[Case]:
    """Read and check all cases.

    :raises CaseFileError: the file has a fault.
    """
    with path.open(encoding="utf-8") as file:
        return read(yaml.safe_load(file))


def read(values: Any) -> list[Case]:  # noqa: ANN401  # YAML
    """Check the values of a case file and return its cases.

    :raises CaseFileError: a value is wrong.
    """
    cases = [_case(value) for value in values]
    names = [case.name for case in cases]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        message = f"names of several cases: {', '.join(repeated)}"
        raise CaseFileError(message)
    return cases


def _case(value: Mapping[str, Any]) -> Case:
    name = str(value.get("name"))
    unknown = value.keys() - {"name", "about", "server", "steps"}
    if unknown or not value.keys() >= {"name", "about", "steps"}:
        message = f"{name}: a case has name, about and steps, and may have server; not {', '.join(sorted(unknown))}"
        raise CaseFileError(message)
    case = Case(name, value["about"], value.get("server", "plain"), [_step(name, step) for step in value["steps"]])
    for problem in problems(case):
        message = f"{name}: {problem}"
        raise CaseFileError(message)
    return case


def _step(name: str, value: Mapping[str, Any]) -> Step:
    kinds = [kind for kind in value if kind in STEPS]
    if not kinds:
        message = f"{name}: a step of {', '.join(value)} has no kind; there are {', '.join(STEPS)}"
        raise CaseFileError(message)
    kind = kinds[0]
    try:
        options = {key: _expectation(option) for key, option in value.items() if key != kind}
        expected = _expectation(value[kind]) if kind in EXPECTING else value[kind]
    except CaseFileError as error:
        message = f"{name}: {error}"
        raise CaseFileError(message) from error
    unknown = options.keys() - STEPS[kind]
    if unknown:
        message = f"{name}: a step of the kind {kind} has unknown options: {', '.join(sorted(unknown))}"
        raise CaseFileError(message)
    return Step(kind, expected, options)
