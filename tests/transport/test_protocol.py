"""The rules of gRPC over HTTP/2 that no well-behaved client breaks."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import ngh2
import pytest

from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.methods import direct
from tallykeeper_server.transport.server import TransportServer
from tests.transport.handlers import DEADLINE_SECONDS, serving, until

_UNARY = "/test.Echo/Unary"
_JOIN = "/test.Echo/Join"


class Answer(NamedTuple):
    """Everything that a server sends for one stream."""

    fields: dict[str, str]
    data: bytes
    reset: int | None

    @property
    def code(self) -> int:
        return int(self.fields["grpc-status"])


class Client:
    """A client that sends any bytes and understands all answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http2 = ngh2.Connection(ngh2.Role.CLIENT)
        self._http2.initiate_connection()

    async def ask(self, path: str, body: bytes | None = None, *, ends: bool = True, **changed: str | None) -> Answer:
        """Send a request. Names with ``_`` change header fields, and None removes a field."""
        fields: dict[str, str | None] = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "a"}
        fields |= {"te": "trailers", "content-type": "application/grpc"}
        fields |= {name.replace("__", ":").replace("_", "-"): value for name, value in changed.items()}
        headers = [(name.encode(), value.encode()) for name, value in fields.items() if value is not None]
        stream = self._http2.send_request(headers, end_stream=ends and body is None)
        if body is not None:
            self._http2.send_data(stream, body, end_stream=ends)
        self._writer.write(self._http2.data_to_send())
        return await self._answer(stream)

    async def _answer(self, stream: int) -> Answer:
        fields: dict[str, str] = {}
        data, reset, closed = b"", None, False
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not closed:
                received = await self._reader.read(1 << 16)
                assert received, "the server has closed the connection"
                self._http2.receive_data(received)
                for event in self._http2.events():
                    match event:
                        case ngh2.ResponseReceived() | ngh2.TrailersReceived():
                            fields |= {name.decode(): value.decode() for name, value in event.headers}
                            closed = closed or "grpc-status" in fields or fields[":status"] == "405"
                        case ngh2.DataReceived():
                            data += event.data
                        case ngh2.StreamReset():
                            reset = event.error_code
                        case ngh2.StreamClosed():
                            closed = closed or event.stream_id == stream
                self._writer.write(self._http2.data_to_send())
        return Answer(fields, data, reset)


@asynccontextmanager
async def client_of(address: str) -> AsyncIterator[Client]:
    """Connect to a server."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


def framed(message: bytes, *, flag: int = 0) -> bytes:
    return bytes((flag,)) + len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "application/grpc; v=1"])
async def test_grpc_content_types_are_served(content_type: str) -> None:
    async with serving() as served, client_of(served.address) as client:
        answer = await client.ask(_UNARY, framed(b"x"), content_type=content_type)
        assert answer.fields[":status"] == "200"
        assert answer.fields["content-type"] == "application/grpc"
        assert (answer.code, answer.data) == (0, framed(b"x"))
        assert answer.reset is None


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/grpc+json", "application/grpcx"])
async def test_other_content_types_are_415(content_type: str | None) -> None:
    async with serving() as served, client_of(served.address) as client:
        answer = await client.ask(_UNARY, framed(b"x"), content_type=content_type)
        assert answer.fields[":status"] == "415"
        assert answer.fields["accept"] == "application/grpc"
        assert b"content-type of a request is application/grpc" in answer.data
        assert not served.handlers.calls


async def test_other_methods_are_405() -> None:
    async with serving() as served, client_of(served.address) as client:
        answer = await client.ask(_UNARY, __method="GET")
        assert (answer.fields[":status"], answer.fields["allow"]) == ("405", "POST")


async def test_a_request_without_te_is_refused() -> None:
    async with serving() as served, client_of(served.address) as client:
        answer = await client.ask(_UNARY, framed(b"x"), te=None)
        assert (answer.fields[":status"], answer.code) == ("400", 13)
        assert "te: trailers" in answer.fields["grpc-message"]


@pytest.mark.parametrize("text", ["", "1", "1x", "x", "-1S", "1.5S", "123456789S", "S", "\u0661S"])
async def test_a_timeout_that_cannot_be_read_is_refused(text: str) -> None:
    async with serving() as served, client_of(served.address) as client:
        answer = await client.ask(_UNARY, framed(b"x"), grpc_timeout=text)
        assert answer.code == 13
        assert "grpc-timeout" in answer.fields["grpc-message"]
        assert not served.handlers.calls


@pytest.mark.parametrize(
    ("text", "seconds"), [("1H", 3600), ("2M", 120), ("99999999S", 99999999), ("5000m", 5), ("9000000u", 9)]
)
async def test_timeouts_become_deadlines(text: str, seconds: float) -> None:
    async with serving() as served, client_of(served.address) as client:
        assert (await client.ask(_UNARY, framed(b"x"), grpc_timeout=text)).code == 0
        remaining = served.handlers.calls[0].time_remaining()
        assert remaining is not None
        assert seconds - DEADLINE_SECONDS < remaining <= seconds


async def test_a_timeout_of_zero_has_passed_already() -> None:
    async with serving() as served, client_of(served.address) as client:
        assert (await client.ask("/test.Echo/Wait", framed(b"x"), grpc_timeout="0n")).code == 4


@pytest.mark.parametrize(
    ("path", "body", "code", "text"),
    [
        (_UNARY, b"", 12, "one request message"),
        (_UNARY, framed(b"a") + framed(b"b"), 12, "one request message"),
        (_UNARY, framed(b"abc")[:-1], 13, "ends within a message"),
        (_UNARY, b"\0\0", 13, "ends within a message"),
        (_JOIN, framed(b"a") + b"\0\0", 13, "ends within a message"),
        (_UNARY, framed(b"x", flag=1), 13, "grpc-encoding"),
        (_UNARY, framed(b"x", flag=2), 13, "flag 2"),
        (_JOIN, framed(b"x", flag=7), 13, "flag 7"),
        (_UNARY, b"\0\xff\xff\xff\xff", 8, "4294967295"),
    ],
)
async def test_bodies_without_one_request_are_refused(path: str, body: bytes, code: int, text: str) -> None:
    async with serving() as served, client_of(served.address) as client:
        answer = await client.ask(path, body)
        assert answer.code == code
        assert text in answer.fields["grpc-message"]
        assert (await client.ask(_UNARY, framed(b"well"))).data == framed(b"well")
        assert served.server.waiting_request_bytes == 0


async def test_a_request_without_a_body_is_no_message() -> None:
    async with serving() as served, client_of(served.address) as client:
        assert (await client.ask(_UNARY)).code == 12
        assert (await client.ask(_JOIN)).data == framed(b"")


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"x" * 100, mtime=0)[:-9], b""])
async def test_bytes_that_are_not_gzip_are_refused(body: bytes) -> None:
    async with serving() as served, client_of(served.address) as client:
        answer = await client.ask(_UNARY, framed(body, flag=1), grpc_encoding="gzip")
        assert answer.code == 13
        assert "gzip" in answer.fields["grpc-message"]


async def test_compressed_and_plain_messages_may_alternate() -> None:
    body = framed(b"a") + framed(gzip.compress(b"b"), flag=1) + framed(b"c")
    async with serving() as served, client_of(served.address) as client:
        answer = await client.ask(_JOIN, body, grpc_encoding="gzip")
        assert (answer.code, answer.data) == (0, framed(b"a,b,c"))
        assert "grpc-encoding" not in answer.fields


async def test_answers_are_compressed_if_the_request_was_and_it_helps() -> None:
    long = bytes(10_000)
    async with serving() as served, client_of(served.address) as client:
        for message in (long, b"x"):
            body = framed(gzip.compress(message), flag=1)
            answer = await client.ask(_UNARY, body, grpc_encoding="gzip", grpc_accept_encoding="identity,gzip")
            assert answer.fields["grpc-encoding"] == "gzip"
            flag, received = answer.data[0], answer.data[5:]
            assert (gzip.decompress(received) if flag else received) == message
            assert flag == (message is long)


async def test_binary_metadata_that_is_not_base64_fails_where_it_is_read() -> None:
    def read(_: bytes, call: Call) -> None:
        assert call.metadata

    server = TransportServer([direct(_UNARY, read)])
    address = await server.listen("127.0.0.1:0")
    async with client_of(address) as client:
        answer = await client.ask(_UNARY, framed(b"x"), x_raw_bin="not base64!")
        assert answer.code == 13
        assert "metadata" in answer.fields["grpc-message"]
    await server.stop(0.0)


async def test_one_field_may_have_several_binary_values() -> None:
    async with serving() as served, client_of(served.address) as client:
        await client.ask(_UNARY, framed(b"x"), x_raw_bin="AAE=,/w,")
        metadata = served.handlers.calls[0].metadata
        assert [value for name, value in metadata if name == "x-raw-bin"] == [b"\x00\x01", b"\xff", b""]


async def test_an_answer_before_the_end_of_the_request_stops_the_request() -> None:
    async with serving() as served, client_of(served.address) as client:
        answer = await client.ask("/test.Echo/None", framed(b"x"), ends=False)
        assert answer.code == 12
        await until(lambda: served.server.unread_response_bytes == 0)
        assert (await client.ask(_UNARY, framed(b"next"))).data == framed(b"next")
