"""One call of an RPC: its request, its deadline and its request id, and the methods that clients make of it.

The modules beside this one name the calls. The clients send them.
"""

import inspect
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, Self, TypedDict, TypeVar, get_args, overload

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from tallykeeper.v1.batch_pb2 import Operation

ResponseT = TypeVar("ResponseT", bound=Message)
MethodT = TypeVar("MethodT", bound=Callable[..., object])
ValueT = TypeVar("ValueT")
P = ParamSpec("P")


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""Leaves a field as it is, where a number sets it and ``None`` clears it."""


class ReadOptions(TypedDict, total=False):
    """What every call takes besides its own arguments; ``None`` is the same as not given.

    ``namespace`` and ``timeout_seconds`` take the place of the client's own. The timeout, more than 0, is the
    deadline of the call with all its retries.
    """

    namespace: str | None
    timeout_seconds: float | None


class MutationOptions(ReadOptions, total=False):
    """What every mutation takes besides its own arguments and `ReadOptions`.

    ``request_id`` (1 to 64 printable ASCII characters) makes a mutation count once however often it is sent;
    when none is given, the client makes a fresh one. ``reason`` (a word, at most 64 bytes) and ``reference``
    (an order or a user, at most 256 bytes) are kept in the ledger.
    """

    request_id: str | None
    reason: str
    reference: str


def fresh_request_id() -> str:
    """Make a request id that no one has used: 32 hexadecimal digits."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a client puts into a call that does not say it itself."""

    namespace: str
    timeout_seconds: float
    new_request_id: Callable[[], str] = fresh_request_id


class Request(Protocol):
    """What every request has."""

    def SerializeToString(self) -> bytes:  # noqa: N802  # the name that protobuf gives it
        """Encode it for the wire."""


class ReadRequest(Request, Protocol):
    """What the request of a call within a namespace has."""

    namespace: str


class MutationRequest(ReadRequest, Protocol):
    """What the request of every mutation has."""

    request_id: str
    reason: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[ResponseT]):
    """One call, ready to be sent: ``path`` names its RPC, ``request_id`` is empty for a read."""

    path: str
    request: Request
    response: type[ResponseT]
    timeout_seconds: float
    request_id: str


def look(
    defaults: Defaults, rpc: str, request: Request, response: type[ResponseT], *, timeout_seconds: float | None = None
) -> Call[ResponseT]:
    """Complete a read across namespaces. ``rpc`` is its service and method, as in ``CounterService/GetCounter``."""
    return Call(
        path=f"/tallykeeper.v1.{rpc}",
        request=request,
        response=response,
        timeout_seconds=defaults.timeout_seconds if timeout_seconds is None else timeout_seconds,
        request_id="",
    )


def read(
    defaults: Defaults,
    rpc: str,
    request: ReadRequest,
    response: type[ResponseT],
    *,
    namespace: str | None = None,
    timeout_seconds: float | None = None,
) -> Call[ResponseT]:
    """Complete a read within a namespace."""
    request.namespace = namespace or defaults.namespace
    return look(defaults, rpc, request, response, timeout_seconds=timeout_seconds)


def mutation(
    defaults: Defaults,
    rpc: str,
    request: MutationRequest,
    response: type[ResponseT],
    *,
    namespace: str | None = None,
    timeout_seconds: float | None = None,
    request_id: str | None = None,
    reason: str = "",
    reference: str = "",
) -> Call[ResponseT]:
    """Complete a mutation, so that sending it again changes nothing twice."""
    request.namespace = namespace or defaults.namespace
    request.request_id = request_id or defaults.new_request_id()
    request.reason = reason
    request.reference = reference
    return Call(
        path=f"/tallykeeper.v1.{rpc}",
        request=request,
        response=response,
        timeout_seconds=defaults.timeout_seconds if timeout_seconds is None else timeout_seconds,
        request_id=request.request_id,
    )


def value_or_none(value: ValueT | Unchanged | None) -> ValueT | None:
    """Return what to put into a field that is set, cleared or left as it is."""
    return None if isinstance(value, Unchanged) else value


def mask_of(**fields: object) -> FieldMask:
    """Name the fields that are set or cleared, in the order given."""
    return FieldMask(paths=[name for name, value in fields.items() if value is not UNCHANGED])


class Rpc(Generic[P, ResponseT]):
    """A function that builds the call of an RPC, as an attribute of a class that clients inherit.

    It is written once for all classes that have the method. The overloads give a type checker the method's type in
    each of them; `MethodHost` makes the methods.
    """

    def __init__(self, build: Callable[Concatenate[Defaults, P], Call[ResponseT]]) -> None:
        """``build`` takes the client's defaults and the method's arguments."""
        self.build = build

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: "Blocking", owner: type) -> Callable[P, ResponseT]: ...

    @overload
    def __get__(self, instance: "Awaited", owner: type) -> Callable[P, Coroutine[Any, Any, ResponseT]]: ...

    @overload
    def __get__(self, instance: "Describing", owner: type) -> Callable[P, Operation]: ...

    def __get__(self, instance: object, owner: type) -> object:
        """Return this object itself: a class without a `MethodHost` has the builders."""
        return self


class MethodHost:
    """The base of the classes that turn each `Rpc` that they inherit into a method of their own kind."""

    @classmethod
    def _method_of(cls, build: Callable[..., Call[Any]]) -> Callable[..., object]:
        """Return a method that does with a call what this class does with calls."""
        raise NotImplementedError

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401  # the arguments of any base
        """Replace the `Rpc`s by functions, which look like any other method to `help` and to an editor."""
        super().__init_subclass__(**kwargs)
        for name in dir(cls):
            rpc = inspect.getattr_static(cls, name)
            if isinstance(rpc, Rpc):
                method = cls._method_of(rpc.build)
                document(method, rpc.build)
                setattr(cls, name, method)


class Blocking(MethodHost):
    """A client whose methods return the response."""


class Awaited(MethodHost):
    """A client whose methods are awaited, or a batch of it."""


class Describing(MethodHost):
    """A class whose methods return the operation of a batch."""


def document(
    method: Callable[..., object],
    build: Callable[..., Call[Any]],
    *,
    name: str | None = None,
    text: str | None = None,
    returns: object = None,
) -> None:
    """Give a client's method the name, text and signature of the function that builds its call.

    The method's own object stands where the builder has its defaults, and it returns the response; unless it is
    said that it has another name, another text, or returns something else.
    """
    signature = inspect.signature(build)
    _, *others = signature.parameters.values()
    (response,) = get_args(signature.return_annotation)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__name__ = method.__qualname__ = name or build.__name__
    method.__doc__ = text or inspect.cleandoc(build.__doc__ or "")
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[own, *others], return_annotation=returns or response
    )
