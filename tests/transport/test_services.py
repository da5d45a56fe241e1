"""Health and reflection, with the clients that their packages generate."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import (
    ExtensionRequest,
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from tallykeeper_server.transport.health import SERVICE, Health
from tallykeeper_server.transport.reflection import SERVICES, Reflection
from tallykeeper_server.transport.server import TransportServer
from tests.transport.handlers import DEADLINE_SECONDS, Channel, connected

_HEALTH = "grpc.health.v1.Health"


@pytest.fixture
def health() -> Health:
    return Health(["shop.Shop"])


@pytest.fixture
async def channel(health: Health) -> AsyncIterator[Channel]:
    reflection = Reflection([SERVICE, "google.protobuf.None"])
    server = TransportServer([*health.methods(), *reflection.methods()])
    async with connected(await server.listen("127.0.0.1:0")) as one:
        yield one
    await server.stop(0.0)


async def _status(channel: Channel, service: str) -> str:
    request = HealthCheckRequest(service=service).SerializeToString()
    response = await channel.unary_unary(f"/{_HEALTH}/Check")(request, timeout=DEADLINE_SECONDS)
    return str(HealthCheckResponse.ServingStatus.Name(HealthCheckResponse.FromString(response).status))


async def test_check_and_list_report_the_current_status(health: Health, channel: Channel) -> None:
    assert await _status(channel, "") == "NOT_SERVING"
    health.tell(serves=True)
    assert [await _status(channel, service) for service in ("", "shop.Shop")] == ["SERVING"] * 2
    response = await channel.unary_unary(f"/{_HEALTH}/List")(b"")
    listed = health_pb2.HealthListResponse.FromString(response)  # type: ignore[attr-defined]  # the stubs lag
    assert {name: status.status for name, status in listed.statuses.items()} == {"": 1, "shop.Shop": 1}
    health.leave()
    health.tell(serves=True)
    assert await _status(channel, "shop.Shop") == "NOT_SERVING"


async def test_check_knows_no_other_service(channel: Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _status(channel, "shop.None")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert "shop.None" in str(raised.value.details())


@pytest.mark.parametrize("path", [f"/{_HEALTH}/Check", f"/{SERVICES[0]}/ServerReflectionInfo"])
async def test_bytes_that_are_no_request_are_refused(channel: Channel, path: str) -> None:
    code = await channel.stream_stream(path)(iter([b"\xff"])).code()
    assert code is grpc.StatusCode.INTERNAL


async def test_watch_reports_each_change_and_the_end(health: Health, channel: Channel) -> None:
    request = HealthCheckRequest(service="shop.Shop").SerializeToString()
    watch = channel.unary_stream(f"/{_HEALTH}/Watch")(request)
    unknown = channel.unary_stream(f"/{_HEALTH}/Watch")(HealthCheckRequest(service="other").SerializeToString())

    async def next_of(stream: Channel) -> int:
        return int(HealthCheckResponse.FromString(await stream.read()).status)

    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await next_of(watch) == HealthCheckResponse.NOT_SERVING
        assert await next_of(unknown) == HealthCheckResponse.SERVICE_UNKNOWN
        health.tell(serves=True)
        assert await next_of(watch) == HealthCheckResponse.SERVING
        health.tell(serves=True)
        health.close()
        assert await next_of(watch) == HealthCheckResponse.NOT_SERVING
        assert await watch.code() is grpc.StatusCode.UNAVAILABLE
        assert await unknown.code() is grpc.StatusCode.UNAVAILABLE


async def _ask(channel: Channel, service: str, *requests: ServerReflectionRequest) -> list[ServerReflectionResponse]:
    def serialized() -> Iterator[bytes]:
        return (request.SerializeToString() for request in requests)

    answers = channel.stream_stream(f"/{service}/ServerReflectionInfo")(serialized())
    return [ServerReflectionResponse.FromString(answer) async for answer in answers]


@pytest.mark.parametrize("service", SERVICES)
async def test_reflection_lists_services(channel: Channel, service: str) -> None:
    (response,) = await _ask(channel, service, ServerReflectionRequest(host="here", list_services="*"))
    assert [one.name for one in response.list_services_response.service] == sorted(
        ["google.protobuf.None", _HEALTH, *SERVICES]
    )
    assert response.valid_host == "here"
    assert response.original_request.list_services == "*"


@pytest.mark.parametrize("symbol", [_HEALTH, f"{_HEALTH}.Check", "google.rpc.Status", *SERVICES])
async def test_reflection_describes_symbols_with_all_their_imports(channel: Channel, symbol: str) -> None:
    request = ServerReflectionRequest(file_containing_symbol=symbol)
    (response,) = await _ask(channel, SERVICES[0], request)
    files = [FileDescriptorProto.FromString(file) for file in response.file_descriptor_response.file_descriptor_proto]
    pool = DescriptorPool()
    for file in reversed(files):
        pool.Add(file)
    assert pool.FindFileContainingSymbol(symbol.removesuffix(".Check")).name == files[0].name
    by_name = ServerReflectionRequest(file_by_filename=files[0].name)
    (again,) = await _ask(channel, SERVICES[1], by_name)
    assert again.file_descriptor_response == response.file_descriptor_response


async def test_reflection_knows_extensions_and_reports_unknown_symbols(channel: Channel) -> None:
    responses = await _ask(
        channel,
        SERVICES[0],
        ServerReflectionRequest(all_extension_numbers_of_type="google.protobuf.FieldOptions"),
        ServerReflectionRequest(file_containing_symbol="shop.None"),
        ServerReflectionRequest(file_by_filename="none.proto"),
        ServerReflectionRequest(all_extension_numbers_of_type="shop.None"),
        ServerReflectionRequest(
            file_containing_extension=ExtensionRequest(
                containing_type="google.protobuf.FieldOptions", extension_number=999_999
            )
        ),
        ServerReflectionRequest(),
    )
    assert responses[0].all_extension_numbers_response.base_type_name == "google.protobuf.FieldOptions"
    assert [response.error_response.error_code for response in responses[1:]] == [5, 5, 5, 5, 3]
