"""Requests over HTTP, as any client makes them, and their responses."""

import json
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, Final, NamedTuple

from tests.support.server import PATIENCE_SECONDS

JSON: Final = {"Content-Type": "application/json"}
COUNTERS: Final = "/tallykeeper.v1.CounterService"
INVENTORY: Final = "/tallykeeper.v1.InventoryService"
LEDGER: Final = "/tallykeeper.v1.LedgerService"
_END_OF_STREAM: Final = 2


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # as JSON is
        """The body."""
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """The reason in the error's ErrorInfo."""
        return str(self.info["reason"])

    @property
    def info(self) -> Any:  # noqa: ANN401  # JSON
        """The error's ErrorInfo."""
        return self.detail("google.rpc.ErrorInfo")

    def detail(self, kind: str) -> Any:  # noqa: ANN401  # JSON
        """Return a detail of the error, as JSON."""
        (found,) = [each["debug"] for each in self.json["details"] if each["type"] == kind]
        return found

    @property
    def violations(self) -> dict[str, str]:
        """The fields that break a rule, each with the rule."""
        found = self.detail("google.rpc.BadRequest")["fieldViolations"]
        return {each.get("field", ""): each["description"] for each in found}


def connect(address: str, tls: ssl.SSLContext | None = None) -> HTTPConnection:
    """Return a connection to a server."""
    host, _, port = address.rpartition(":")
    if tls is not None:
        return HTTPSConnection(host, int(port), timeout=PATIENCE_SECONDS, context=tls)
    return HTTPConnection(host, int(port), timeout=PATIENCE_SECONDS)


def request(  # noqa: PLR0917  # as in a command line of curl
    address: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Make one request. A body that is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection = connect(address, tls)
    try:
        verb = method or ("GET" if body is None else "POST")
        connection.request(verb, path, data, {**(JSON if body is not None else {}), **(headers or {})})
        return answer_of(connection.getresponse())
    finally:
        connection.close()


def answer_of(response: HTTPResponse) -> Answer:
    """Return a response that has arrived."""
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


@contextmanager
def raw(address: str) -> Iterator[socket.socket]:
    """Give a bare connection."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        yield connection


def ends(connection: socket.socket) -> bytes:
    """Return all that comes until the server ends the connection."""
    received = b""
    try:
        while data := connection.recv(65_536):
            received += data
    except ConnectionResetError:
        pass
    return received


def envelope(message: bytes) -> bytes:
    """Return a message as Connect's streams and gRPC-Web send it."""
    return struct.pack(">BI", 0, len(message)) + message


def next_envelope(response: HTTPResponse) -> tuple[int, bytes]:
    """Return the flags and the message of the next envelope of a response."""
    flags, size = struct.unpack(">BI", response.read(5))
    return flags, response.read(size)


def stream(response: HTTPResponse) -> Iterator[Any]:
    """Yield the messages of a Connect stream as JSON, and at last the end of the stream."""
    flags = 0
    while not flags & _END_OF_STREAM:
        flags, message = next_envelope(response)
        yield json.loads(message)


def value_of(address: str, namespace: str, counter: str) -> int | None:
    """Return the value of a counter; None if there is none."""
    answer = request(address, f"{COUNTERS}/GetCounter", {"namespace": namespace, "counter": counter})
    return int(answer.json["counter"]["value"]) if answer.status == 200 else None
