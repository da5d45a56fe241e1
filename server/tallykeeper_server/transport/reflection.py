"""The standard reflection service, in its two versions. Clients such as grpcurl learn a server's services from it.

https://github.com/grpc/grpc/blob/master/doc/server-reflection.md defines it. The messages of both versions are the
same, except for the package in their names.
"""

from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Final

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2 import (
    ErrorResponse,
    ExtensionNumberResponse,
    FileDescriptorResponse,
    ListServiceResponse,
    ServerReflectionRequest,
    ServerReflectionResponse,
    ServiceResponse,
)

from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.methods import Method, stream
from tallykeeper_server.transport.requests import Requests
from tallykeeper_server.transport.status import Code, StatusError

_ALPHA: Final = "grpc.reflection.v1alpha"
_STABLE: Final = "grpc.reflection.v1"
SERVICES: Final = (f"{_STABLE}.ServerReflection", f"{_ALPHA}.ServerReflection")
_STABLE_FILE: Final = "grpc/reflection/v1/reflection.proto"


class Reflection:
    """Lists the services, and describes the messages and services of a descriptor pool."""

    def __init__(self, services: Iterable[str], pool: DescriptorPool | None = None) -> None:
        """Take the services' full names, without reflection itself, and a pool in place of the default one."""
        self._services = sorted((*services, *SERVICES))
        self._pool: DescriptorPool = pool or Default()
        self._stable = _stable_file()
        self._answers: dict[str, Callable[[ServerReflectionRequest], ServerReflectionResponse]] = {
            "list_services": self._list_services,
            "file_by_filename": self._file_by_filename,
            "file_containing_symbol": self._file_containing_symbol,
            "file_containing_extension": self._file_containing_extension,
            "all_extension_numbers_of_type": self._all_extension_numbers,
        }

    def methods(self) -> tuple[Method, ...]:
        """Return the methods of the service in both versions."""
        return tuple(stream(f"/{service}/ServerReflectionInfo", self._info) for service in SERVICES)

    async def _info(self, requests: Requests, _: Call) -> AsyncGenerator[bytes, None]:
        async for payload in requests:
            try:
                request = ServerReflectionRequest.FromString(payload)
            except DecodeError as error:
                message = "the request is not a ServerReflectionRequest"
                raise StatusError(Code.INTERNAL, message) from error
            response = self._answer(request)
            response.valid_host = request.host
            response.original_request.CopyFrom(request)
            yield response.SerializeToString()

    def _answer(self, request: ServerReflectionRequest) -> ServerReflectionResponse:
        answer = self._answers.get(request.WhichOneof("message_request") or "")
        if answer is None:
            return _error(Code.INVALID_ARGUMENT, "the request has no question that this server knows")
        try:
            return answer(request)
        except KeyError:
            return _error(Code.NOT_FOUND, "the server knows nothing of that name")

    def _list_services(self, _: ServerReflectionRequest) -> ServerReflectionResponse:
        services = [ServiceResponse(name=name) for name in self._services]
        return ServerReflectionResponse(list_services_response=ListServiceResponse(service=services))

    def _file_by_filename(self, request: ServerReflectionRequest) -> ServerReflectionResponse:
        if request.file_by_filename == _STABLE_FILE:
            return _files([self._stable])
        return _files(_with_dependencies(self._pool.FindFileByName(request.file_by_filename)))

    def _file_containing_symbol(self, request: ServerReflectionRequest) -> ServerReflectionResponse:
        symbol = request.file_containing_symbol
        if symbol.startswith(f"{_STABLE}."):
            return _files([self._stable])
        try:
            file = self._pool.FindFileContainingSymbol(symbol)
        except KeyError:  # it does not find methods
            file = self._pool.FindMethodByName(symbol).containing_service.file
        return _files(_with_dependencies(file))

    def _file_containing_extension(self, request: ServerReflectionRequest) -> ServerReflectionResponse:
        asked = request.file_containing_extension
        message = self._pool.FindMessageTypeByName(asked.containing_type)
        extension = self._pool.FindExtensionByNumber(message, asked.extension_number)
        return _files(_with_dependencies(self._pool.FindFileContainingSymbol(extension.full_name)))

    def _all_extension_numbers(self, request: ServerReflectionRequest) -> ServerReflectionResponse:
        message = self._pool.FindMessageTypeByName(request.all_extension_numbers_of_type)
        numbers = sorted(extension.number for extension in self._pool.FindAllExtensions(message))
        return ServerReflectionResponse(
            all_extension_numbers_response=ExtensionNumberResponse(
                base_type_name=message.full_name, extension_number=numbers
            )
        )


def _with_dependencies(file: FileDescriptor) -> list[bytes]:
    """Return a file and all that it imports, each once, serialized."""
    found = {file.name: file}
    remaining = [file]
    while remaining:
        for dependency in remaining.pop().dependencies:
            if dependency.name not in found:
                found[dependency.name] = dependency
                remaining.append(dependency)
    return [one.serialized_pb for one in found.values()]


def _stable_file() -> bytes:
    """Return the description of version 1, made from version v1alpha, because no package has it."""
    file = FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    file.name = _STABLE_FILE
    file.package = _STABLE
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(f".{_ALPHA}.", f".{_STABLE}.")
    for method in file.service[0].method:
        method.input_type = method.input_type.replace(f".{_ALPHA}.", f".{_STABLE}.")
        method.output_type = method.output_type.replace(f".{_ALPHA}.", f".{_STABLE}.")
    return file.SerializeToString()


def _files(serialized: list[bytes]) -> ServerReflectionResponse:
    return ServerReflectionResponse(file_descriptor_response=FileDescriptorResponse(file_descriptor_proto=serialized))


def _error(code: Code, message: str) -> ServerReflectionResponse:
    return ServerReflectionResponse(error_response=ErrorResponse(error_code=code, error_message=message))
