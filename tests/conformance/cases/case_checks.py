"""Finds the faults of a case before it runs, by the contract and by the abilities of the harness."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from google.protobuf.json_format import ParseError

from tests.conformance.cases import contract
from tests.conformance.cases.match import Matcher, filled, variables_in
from tests.conformance.cases.steps import EXPECTATIONS, SERVERS, Case, Step

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

_ERROR_FIELDS: Final = frozenset(
    {"code", "reason", "message", "values", "shortages", "field_violations", "retry_after_ms"}
)


def problems(case: Case) -> Iterator[str]:
    """Return the faults of a case."""
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
            yield from _shape_problems(contract.METHODS["LedgerService.ListEntries"].output_type, {"entries": [entry]})
    elif step.kind == "levels":
        yield from _shape_problems(contract.METHODS["LedgerService.Watch"].output_type, step.value)
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
    if ("at_once" in step.options) != ("outcomes" in step.options):
        yield "at_once goes together with outcomes"
    if "ok" in step.options:
        yield from _shape_problems(method.output_type, step.options["ok"])
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
        yield from _shape_problems(contract.METHODS["BatchService.Apply"].output_type, step.options["ok"])
    yield from _error_problems(step)


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


def _shape_problems(message: Any, expected: Any) -> Iterator[str]:  # noqa: ANN401  # a descriptor, YAML
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
                yield from _shape_problems(field.message_type, item)
