"""The names that this repository uses of some packages: all of them are public and documented.

A private name may change its meaning in any version. Ruff forbids an underscore after a dot (SLF001); this test also
sees imports, and names without an underscore that no documentation lists.
"""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

DOCUMENTED: Final = {
    # https://grpc.github.io/grpc/python/grpc.html and grpc_asyncio.html
    "grpc": {
        *("Channel", "ChannelCredentials", "Compression", "FutureTimeoutError", "GenericRpcHandler"),
        *("HandlerCallDetails", "RpcError", "StatusCode", "UnaryStreamMultiCallable", "UnaryUnaryMultiCallable"),
        *("aio.AioRpcError", "aio.Channel", "aio.EOF", "aio.Server"),
        *("aio.insecure_channel", "aio.secure_channel", "aio.server"),
        *("ServerCredentials", "ServicerContext"),
        *("channel_ready_future", "insecure_channel", "method_handlers_generic_handler", "secure_channel", "server"),
        *("ssl_channel_credentials", "ssl_server_credentials"),
        *("stream_stream_rpc_method_handler", "stream_unary_rpc_method_handler"),
        *("unary_stream_rpc_method_handler", "unary_unary_rpc_method_handler"),
    },
    # The messages of https://github.com/grpc/grpc-proto, and
    # https://grpc.github.io/grpc/python/grpc_health_checking.html and grpc_reflection.html
    "grpc_health": {"v1.health_pb2"},
    "grpc_reflection": {
        "v1alpha.reflection_pb2",
        "v1alpha.proto_reflection_descriptor_database.ProtoReflectionDescriptorDatabase",
    },
    # https://github.com/redis/hiredis-py, and the names in its __all__
    "hiredis": {"ProtocolError", "Reader", "ReplyError", "pack_command"},
    # The names in its __all__
    "ngh2": {
        *("Configuration", "Connection", "ConnectionStateError", "DataReceived", "DenialOfServiceError", "ErrorCode"),
        *("Event", "NGH2Error", "PingAcknowledged", "PingReceived", "RequestReceived", "ResponseReceived", "Role"),
        *("Setting", "SettingsReceived", "StreamClosed", "StreamReset", "TrailersReceived", "WindowUpdated"),
    },
    # https://opentelemetry-python.readthedocs.io, and the messages of https://github.com/open-telemetry/opentelemetry-proto
    "opentelemetry": {
        *("propagate", "trace"),
        "exporter.otlp.proto.grpc.trace_exporter.OTLPSpanExporter",
        *("proto.collector.trace.v1.trace_service_pb2", "proto.collector.trace.v1.trace_service_pb2_grpc"),
        *("proto.common.v1.common_pb2", "proto.resource.v1.resource_pb2", "proto.trace.v1.trace_pb2"),
        *("sdk.resources.OTELResourceDetector", "sdk.resources.Resource"),
        *("sdk.trace.ReadableSpan", "sdk.trace.TracerProvider", "sdk.trace.sampling"),
        *("sdk.trace.export.SimpleSpanProcessor", "sdk.trace.export.in_memory_span_exporter.InMemorySpanExporter"),
    },
    # https://redis.readthedocs.io/en/stable/connections.html and exceptions.html
    "redis": {
        *("ConnectionError", "Redis", "RedisCluster", "RedisError", "asyncio.Redis"),
        *("exceptions.NoPermissionError", "exceptions.OutOfMemoryError", "exceptions.RedisError"),
        "exceptions.ResponseError",
    },
}
"""The public names of each package that the repository uses, and their members: methods, fields and values."""

_ROOT: Final = Path(__file__).parents[2]


def used_names(source: str) -> Iterator[str]:
    """Yield the names of the packages above that a module imports, with the members that it uses after dots."""
    tree = ast.parse(source)
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _package(alias.name) in DOCUMENTED:
                    bound[alias.asname or _package(alias.name)] = alias.name if alias.asname else _package(alias.name)
        elif (
            isinstance(node, ast.ImportFrom) and node.module and not node.level and _package(node.module) in DOCUMENTED
        ):
            for alias in node.names:
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}"
    inner: set[ast.expr] = set()  # ast.walk visits the whole of a dotted name before its parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            inner.add(node.value)
            if node not in inner and (name := _dotted(node, bound)):
                yield name


def undocumented(names: Iterator[str]) -> set[str]:
    """Return the names that are not in the list, or that contain an underscore."""
    return {
        name
        for name in names
        if any(part.startswith("_") for part in name.split("."))
        or not any(_is_or_has(f"{_package(name)}.{listed}", name) for listed in DOCUMENTED[_package(name)])
    }


def _package(name: str) -> str:
    return name.partition(".")[0]


def _is_or_has(listed: str, name: str) -> bool:
    """Return True if a name is in the list, a member of a listed name, or a module on the way to it."""
    return f"{name}.".startswith(f"{listed}.") or listed.startswith(f"{name}.")


def _dotted(node: ast.expr, bound: dict[str, str]) -> str | None:
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value, bound)
        return before and f"{before}.{node.attr}"
    return bound.get(node.id) if isinstance(node, ast.Name) else None


def _sources() -> Iterator[tuple[Path, str]]:
    listed = subprocess.run(["git", "ls-files", "-z", "*.py"], capture_output=True, text=True, check=True, cwd=_ROOT)  # noqa: S607
    for name in filter(None, listed.stdout.split("\0")):
        path = _ROOT / name
        if path.is_file() and not name.endswith("_pb2_grpc.py"):  # grpcio-tools writes these
            yield path, path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def used() -> dict[str, set[str]]:
    """The used names, each with the files that use it."""
    found: dict[str, set[str]] = {}
    for path, source in _sources():
        for name in used_names(source):
            found.setdefault(name, set()).add(str(path.relative_to(_ROOT)))
    return found


def test_only_documented_names_of_packages_are_used(used: dict[str, set[str]]) -> None:
    faults = {name: sorted(used[name]) for name in undocumented(iter(used))}

    assert not faults


def test_every_listed_name_is_used(used: dict[str, set[str]]) -> None:
    listed = {f"{package}.{name}" for package, names in DOCUMENTED.items() for name in names}

    assert {name for name in listed if not any(f"{each}.".startswith(f"{name}.") for each in used)} == set()


@pytest.mark.parametrize(
    "source",
    [
        "from grpc_health.v1._async import HealthServicer",
        "import redis.asyncio.connection as c\nc.parse_url('redis://h')",
        "import redis\nredis.asyncio.cluster.NodesManager",
        "from redis.crc import key_slot",
        "import hiredis\nhiredis.Reader._private",
        "from hiredis import Reader\nReader._private",
        "from hiredis.version import __version__",
        "import ngh2\nngh2.Connection._session",
        "from grpc import aio\naio._channel.Channel",
    ],
)
def test_a_private_or_undocumented_name_is_found(source: str) -> None:
    assert undocumented(used_names(source))


@pytest.mark.parametrize(
    "source",
    [
        "import grpc\ngrpc.StatusCode.OK.name",
        "import redis.asyncio\nredis.asyncio.Redis.from_url('redis://h')",
        "from grpc_health.v1 import health_pb2\nhealth_pb2.HealthCheckRequest()",
        "from grpc import aio\naio.server()",
        "redis = object()\nredis.anything",
        "from .redis import anything",
    ],
)
def test_other_names_pass(source: str) -> None:
    assert not undocumented(used_names(source))
