"""``/openapi.json``: the contract for tools that know OpenAPI, with the comments of the protos."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from importlib.metadata import version
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from tallykeeper_server.http.event_stream import PATH as WATCH
from tallykeeper_server.http.rpcs import Rpc

_DESCRIBED: Final = ("tallykeeper", "described_protos.binpb")
"""The protos as protoc describes them, with their comments. ``make gen`` writes the file."""
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
"""The numbers of these fields in FileDescriptorProto, of which the paths of comments consist."""
_FIELDS, _NESTED, _METHODS, _VALUES = 2, 3, 2, 2
_INT64: Final = {"type": ["string", "integer"], "format": "int64"}
_INT32: Final = {"type": "integer", "format": "int32"}
_KINDS: Final[Mapping[int, Mapping[str, Any]]] = {
    FieldDescriptor.CPPTYPE_INT64: _INT64,
    FieldDescriptor.CPPTYPE_UINT64: _INT64,
    FieldDescriptor.CPPTYPE_INT32: _INT32,
    FieldDescriptor.CPPTYPE_UINT32: _INT32,
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": "number"},
}
_WELL_KNOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$", "examples": ["3600s"]},
    "google.protobuf.FieldMask": {"type": "string", "examples": ["min,max"]},
    "google.protobuf.Any": {"type": "object", "properties": {"@type": {"type": "string"}}},
}
_ERROR: Final = {
    "type": "object",
    "description": "An error of the Connect protocol.",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "string", "examples": ["failed_precondition"]},
        "message": {"type": "string"},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "examples": ["google.rpc.ErrorInfo"]},
                    "value": {"type": "string", "description": "The message in binary form, in base64."},
                    "debug": {"type": "object", "description": "The message as JSON."},
                },
            },
        },
    },
}
_FAILED: Final = {
    "description": "The error.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The request_id of a change. A repeat with the same key counts once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
}


def openapi_document(rpcs: Sequence[Rpc]) -> bytes:
    """Return the OpenAPI document of the RPCs and pages, as JSON."""
    comments = _comments()
    schemas = _Schemas(comments)
    paths: dict[str, Any] = {rpc.method.path: {"post": _operation(rpc, schemas, comments)} for rpc in rpcs}
    paths.update(_pages(comments))
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Tallykeeper", "version": version("tallykeeper"), "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, **schemas.found},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }
    return json.dumps(document, ensure_ascii=False).encode()


class _Schemas:
    """The schemas of messages and enums, each of which is described once."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self.found: dict[str, Any] = {}

    def of(self, descriptor: Descriptor | EnumDescriptor) -> Mapping[str, Any]:
        """Return a reference to the schema of a message or an enum."""
        if descriptor.full_name in _WELL_KNOWN:
            return _WELL_KNOWN[descriptor.full_name]
        name = descriptor.full_name
        if name not in self.found:
            self.found[name] = {}  # a message may have itself as a field
            described = self._enum(descriptor) if isinstance(descriptor, EnumDescriptor) else self._message(descriptor)
            self.found[name] = described
        return {"$ref": f"#/components/schemas/{name}"}

    def _message(self, descriptor: Descriptor) -> Mapping[str, Any]:
        properties = {field.json_name: self._field(field) for field in descriptor.fields}
        return {"type": "object", **self._description(descriptor.full_name), "properties": properties}

    def _field(self, field: FieldDescriptor) -> Mapping[str, Any]:
        kind = self._kind(field)
        schema = {"type": "array", "items": kind} if field.is_repeated else kind
        return {**schema, **self._description(field.full_name)}

    def _kind(self, field: FieldDescriptor) -> Mapping[str, Any]:
        if field.message_type is not None:
            return self.of(field.message_type)
        if field.enum_type is not None:
            return self.of(field.enum_type)
        return _KINDS.get(field.cpp_type, {"type": "string"})

    def _enum(self, descriptor: EnumDescriptor) -> Mapping[str, Any]:
        return {"type": "string", "enum": list(descriptor.values_by_name), **self._description(descriptor.full_name)}

    def _description(self, name: str) -> Mapping[str, str]:
        comment = self._comments.get(name, "")
        return {"description": comment} if comment else {}


def _operation(rpc: Rpc, schemas: _Schemas, comments: Mapping[str, str]) -> Mapping[str, Any]:
    method = rpc.descriptor
    comment = comments.get(method.full_name, "")
    content_type = "application/connect+json" if rpc.method.streams_responses else "application/json"
    return {
        "operationId": f"{method.containing_service.name}_{method.name}",
        "tags": [method.containing_service.name],
        "summary": _first_sentence(comment),
        "description": comment,
        "parameters": [_KEY] if _has_request_id(method) else [],
        "requestBody": {"required": True, "content": {content_type: {"schema": schemas.of(method.input_type)}}},
        "responses": {
            "200": {
                "description": "A stream of messages." if rpc.method.streams_responses else "The response.",
                "content": {content_type: {"schema": schemas.of(method.output_type)}},
            },
            "default": _FAILED,
        },
    }


def _has_request_id(method: MethodDescriptor) -> bool:
    return "request_id" in method.input_type.fields_by_name and "replayed" in method.output_type.fields_by_name


def _pages(comments: Mapping[str, str]) -> Mapping[str, Any]:
    lists = ("items", "counters", "reservation_ids", "locations")
    parameters = [
        *(
            _parameter(name, comments, {"type": "array", "items": {"type": "string"}} if name in lists else kind)
            for name, kind in (
                ("namespace", {"type": "string"}),
                *((name, {}) for name in lists),
                ("after_revision", {"type": "integer", "format": "int64"}),
                ("include_levels", {"type": "boolean"}),
            )
        ),
        {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}},
    ]
    watched = {
        "summary": "Follows the ledger as server-sent events.",
        "description": "Each event has the revision as its id, and a tallykeeper.v1.WatchResponse as its data.",
        "operationId": "watch",
        "parameters": parameters,
        "responses": {"200": {"description": "Events.", "content": {"text/event-stream": {}}}, "default": _FAILED},
    }
    return {
        WATCH: {"get": watched},
        "/healthz": _text_page("healthz", "Answers while the process serves HTTP."),
        "/readyz": _text_page("readyz", "Answers 200 while changes and reads are possible, and else 503."),
        "/metrics": _text_page("metrics", "The metrics of all processes, for Prometheus."),
    }


def _parameter(name: str, comments: Mapping[str, str], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    description = comments.get(f"tallykeeper.v1.WatchRequest.{name}", "")
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _text_page(name: str, summary: str) -> Mapping[str, Any]:
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "responses": {"200": {"description": "OK", "content": {"text/plain": {}}}},
        }
    }


def _first_sentence(comment: str) -> str:
    return re.split(r"(?<=\.)\s", comment, maxsplit=1)[0].replace("\n", " ")


def _comments() -> Mapping[str, str]:
    """Return the comment of everything in the protos, by its full name."""
    package, name = _DESCRIBED
    files = FileDescriptorSet.FromString(resources.files(package).joinpath(name).read_bytes())
    return dict(pair for file in files.file for pair in _comments_in(file))


def _comments_in(file: FileDescriptorProto) -> Iterable[tuple[str, str]]:
    names = dict(_names_in(file))
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        if name is not None and location.leading_comments:
            lines = location.leading_comments.splitlines()
            yield name, "\n".join(line.removeprefix(" ") for line in lines).strip()


def _names_in(file: FileDescriptorProto) -> Iterable[tuple[tuple[int, ...], str]]:
    """Return the full name of everything that can have a comment, by its path in the descriptor."""
    for number, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield (_SERVICES, number), name
        for index, method in enumerate(service.method):
            yield (_SERVICES, number, _METHODS, index), f"{name}.{method.name}"
    for number, enum in enumerate(file.enum_type):
        yield (_ENUMS, number), f"{file.package}.{enum.name}"
    for number, message in enumerate(file.message_type):
        yield from _names_in_message(message, (_MESSAGES, number), f"{file.package}.{message.name}")


def _names_in_message(message: Any, path: tuple[int, ...], name: str) -> Iterable[tuple[tuple[int, ...], str]]:  # noqa: ANN401  # DescriptorProto's stub has no nested type
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, _FIELDS, index), f"{name}.{field.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _names_in_message(nested, (*path, _NESTED, index), f"{name}.{nested.name}")
