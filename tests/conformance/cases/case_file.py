"""Reads ``cases.yaml``: the cases, and what is wrong with one before it runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from google.protobuf.json_format import ParseError

from tests.conformance.cases import contract
from tests.conformance.cases.matching import Matcher, filled, variables_in

PATH: Final = Path(__file__).parent.parent / "cases.yaml"

CLIENT: Final = "main"
"""The client of a step that names none."""

EXPECTATIONS: Final = frozenset({"ok", "error", "outcomes"})
_CALL_OPTIONS: Final = frozenset({"client", "timeout_ms", "begin", "eventually", "repeat", "at_once"})
STEPS: Final[Mapping[str, frozenset[str]]] = {
    "connect": frozenset(),
    "call": frozenset({"request"}) | _CALL_OPTIONS | EXPECTATIONS,
    "batch": frozenset({"mode", "client", "ok", "error"}),
    "answer": frozenset({"ok", "error"}),
    "watch": frozenset({"client", "name"}),
    "entries": frozenset({"of"}),
    "levels": frozenset({"of"}),
    "stop": frozenset(),
    "ended": frozenset({"error"}),
    "request_id": frozenset(),
    "close": frozenset(),
    "fault": frozenset({"key", "closed_seconds"}),
}
"""The kinds of steps, each with the options that it may have beside its own key."""

_EXPECTING: Final = frozenset({"entries", "levels"})
"""The kinds whose own value is an expectation."""

FAULTS: Final[Mapping[str, str]] = {
    "stop-server": "the server ends by SIGTERM and its port is closed",
    "kill-server": "all processes of the server are killed and its port is closed",
    "start-server": "the server is started again on its port",
    "kill-workers": "the workers are killed, and the supervisor starts others",
    "stop-store": "the store is away",
    "freeze-store": "the store answers nothing",
    "start-store": "the store answers again",
    "expire-key": "an API key expires while the server runs",
    "revoke-grant": "the grants of an identity are taken back while the server runs",
}
SERVERS: Final[Mapping[str, frozenset[str]]] = {
    "plain": frozenset(),
    "tls": frozenset(),
    "mutual-tls": frozenset(),
    "access": frozenset(),
    "short-ledger": frozenset(),
    "restarting": frozenset({"stop-server", "kill-server", "start-server"}),
    "several-workers": frozenset({"kill-workers"}),
    "restarting-tls": frozenset({"stop-server", "kill-server", "start-server"}),
    "store-outside": frozenset({"stop-store", "freeze-store", "start-store", "kill-server", "start-server"}),
    "changing-access": frozenset({"expire-key", "revoke-grant", "stop-server", "start-server"}),
}
"""The kinds of servers, each with the faults that it allows."""

GIVEN: Final = frozenset(
    {
        "namespace",
        "address",
        *(
            f"key.{name}"
            for name in ("reader", "writer", "administrator", "stranger", "late", "limited", "slowed", "expiring")
        ),
        *(f"jwt.{name}" for name in ("writer", "expired", "unsigned", "elsewhere")),
        *(f"file.{name}" for name in ("ca", "other_ca", "writer_cert", "writer_key", "stranger_cert", "stranger_key")),
    }
)
"""The variables that the harness gives to each case."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its kind, its own value, and its options."""

    kind: str
    value: Any
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One case."""

    name: str
    about: str
    server: str
    steps: Sequence[Step]

    @property
    def has_fault(self) -> bool:
        """Something fails in the middle of it."""
        return any(step.kind == "fault" for step in self.steps)


class CaseFileError(Exception):
    """The case file cannot be used. The message says where in it and why."""


_REST: Final = "<rest>"
_WRITTEN: Final = re.compile(r"<(?:(any|absent)|save ([a-z][a-z0-9_]*)|(-?[0-9]+) to (-?[0-9]+)|like (.+))>")


def _expectation(node: Any) -> Any:  # noqa: ANN401  # YAML
    """Return a node with the texts that stand for matchers replaced by these.

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

    :raises CaseFileError: something in the file is wrong.
    """
    with path.open(encoding="utf-8") as file:
        return read(yaml.safe_load(file))


def read(values: Any) -> list[Case]:  # noqa: ANN401  # YAML
    """Check the values of a case file and return its cases.

    :raises CaseFileError: something is wrong.
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
    for problem in _problems(case):
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
        expected = _expectation(value[kind]) if kind in _EXPECTING else value[kind]
    except CaseFileError as error:
        message = f"{name}: {error}"
        raise CaseFileError(message) from error
    unknown = options.keys() - STEPS[kind]
    if unknown:
        message = f"{name}: a step of the kind {kind} has unknown options: {', '.join(sorted(unknown))}"
        raise CaseFileError(message)
    return Step(kind, expected, options)


def _problems(case: Case) -> Iterator[str]:
    if case.server not in SERVERS:
        yield f"there is no server {case.server!r}; there are {', '.join(SERVERS)}"
        return
    saved = set(GIVEN)
    for step in case.steps:
        yield from (f"no step has saved ${name}" for name in _used(step) if name not in saved)
        saved |= _saves(step)
        yield from _step_problems(case, step)


def _used(step: Step) -> Iterator[str]:
    yield from variables_in(step.value)
    yield from variables_in(step.options)


def _saves(step: Step) -> set[str]:
    if step.kind == "request_id":
        return {step.value}
    return {node.value for node in (*_matchers(step.value), *_matchers(step.options)) if node.kind == "save"}


def _matchers(node: Any) -> Iterator[Matcher]:  # noqa: ANN401  # YAML
    if isinstance(node, Matcher):
        yield node
        yield from _matchers(node.value)
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from _matchers(value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            yield from _matchers(value)


def _step_problems(case: Case, step: Step) -> Iterator[str]:
    if step.kind == "call":
        yield from _call_problems(step)
    elif step.kind == "batch":
        yield from _batch_problems(step)
    elif step.kind == "watch":
        yield from _request_problems("LedgerService.Watch", step.value)
    elif step.kind == "entries":
        for entry in step.value:
            yield from shape_problems(contract.METHODS["LedgerService.ListEntries"].output_type, {"entries": [entry]})
    elif step.kind == "levels":
        yield from shape_problems(contract.METHODS["LedgerService.Watch"].output_type, step.value)
    elif step.kind == "fault" and step.value not in SERVERS[case.server]:
        yield f"the server {case.server} allows no fault {step.value!r}"


def _call_problems(step: Step) -> Iterator[str]:
    method = contract.METHODS.get(step.value)
    if method is None:
        yield f"there is no method {step.value!r}"
        return
    if method.server_streaming:
        yield f"{step.value} answers with a stream, and a call is unary"
    yield from _request_problems(step.value, step.options.get("request", {}))
    expected = EXPECTATIONS & step.options.keys()
    if len(expected) != ("begin" not in step.options):
        yield "a call has one of ok, error and outcomes, or begin"
    if "ok" in step.options:
        yield from shape_problems(method.output_type, step.options["ok"])
    yield from _error_problems(step)


def _batch_problems(step: Step) -> Iterator[str]:
    if step.options.get("mode") not in contract.MODES:
        yield f"a batch has a mode: {', '.join(contract.MODES)}"
    for operation in step.value:
        try:
            contract.operation_json(filled(operation, dict.fromkeys(_all_names(operation), "1")))
        except ParseError as error:
            yield str(error)
    if "ok" in step.options:
        yield from shape_problems(contract.METHODS["BatchService.Apply"].output_type, step.options["ok"])
    yield from _error_problems(step)


_ERROR_FIELDS: Final = frozenset(
    {"code", "reason", "message", "values", "shortages", "field_violations", "retry_after_ms"}
)


def _error_problems(step: Step) -> Iterator[str]:
    error = step.options.get("error")
    if error is None:
        return
    if "code" not in error:
        yield "an expected error has a code"
    yield from (f"an error has no member {name!r}" for name in error.keys() - _ERROR_FIELDS)


def _request_problems(method: str, fields: Mapping[str, Any]) -> Iterator[str]:
    try:
        contract.request_json(method, filled(fields, dict.fromkeys(_all_names(fields), "1")))
    except ParseError as error:
        yield str(error)


def _all_names(node: Any) -> set[str]:  # noqa: ANN401  # YAML
    return set(variables_in(node))


def shape_problems(message: Any, expected: Any) -> Iterator[str]:  # noqa: ANN401  # a descriptor, YAML
    """Return the fields of an expected message that its descriptor does not have."""
    if isinstance(expected, Matcher):
        expected = expected.value if expected.kind == "partial" else {}
    if not isinstance(expected, Mapping):
        yield f"a {message.name} is a mapping, not {expected!r}"
        return
    for name, value in expected.items():
        field = message.fields_by_name.get(name)
        if field is None:
            yield f"{message.name} has no field {name!r}"
        elif field.message_type is not None and not field.message_type.full_name.startswith("google."):
            for item in value if isinstance(value, list) else [value]:
                yield from shape_problems(field.message_type, item)
