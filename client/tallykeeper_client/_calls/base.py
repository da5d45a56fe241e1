"""The call of an RPC: its request, its deadline and its request id; and the methods that clients make of it.

The modules beside this one build the calls. The clients send them.
"""

import inspect
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from math import inf
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, Self, TypedDict, TypeVar, get_args, overload

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from tallykeeper.v1.batch_pb2 import Operation

ResponseT = TypeVar("ResponseT", bound=Message)
MethodT = TypeVar("MethodT", bound=Callable[..., object])
ValueT = TypeVar("ValueT")
P = ParamSpec("P")

_SHOWN_CHARACTERS_MAX: Final = 200


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""The value that leaves a field as it is. A number sets the field, and ``None`` clears it."""


class ReadOptions(TypedDict, total=False):
    """The options of every call within a namespace. None is the same as an option that is not given.

    Attributes:
        namespace: The namespace of the call, ``[A-Za-z0-9][A-Za-z0-9._-]{0,62}``, instead of the client's.
        timeout_seconds: The deadline of the call with all its retries, in seconds, more than 0, instead of the
            client's.

    """

    namespace: str | None
    timeout_seconds: float | None


class MutationOptions(ReadOptions, total=False):
    """The options of every mutation, in addition to `ReadOptions`.

    Attributes:
        request_id: The id under which the mutation counts once, however often it is sent: 1 to 64 printable ASCII
            characters. By default the client makes a fresh id.
        reason: The reason for the change, which the ledger keeps: at most 64 bytes of UTF-8 without control characters.
        reference: The thing that the change belongs to, such as an order, which the ledger keeps: at most 256 bytes of
            UTF-8 without control characters.

    """

    request_id: str | None
    reason: str
    reference: str


def fresh_request_id() -> str:
    """Make a request id that nobody has used.

    Returns:
        The id, 32 hexadecimal digits.

    Example:
        >>> request_id = fresh_request_id()
        >>> first = client.increment("visitors", request_id=request_id)
        >>> second = client.increment("visitors", request_id=request_id)
        >>> (first.counter.value, second.counter.value, second.replayed)
        (1, 1, True)

    """
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The values of a client for the calls that give none."""

    namespace: str
    timeout_seconds: float
    new_request_id: Callable[[], str] = fresh_request_id

    def __post_init__(self) -> None:
        """Check the timeout."""
        self.timeout(self.timeout_seconds)

    def timeout(self, timeout_seconds: float | None) -> float:
        """Return the timeout of a call, which is the client's if the call gives none.

        gRPC would end a call without sending it, as if no answer had come.

        :raises ValueError: it is 0, less, or no finite number.
        """
        if timeout_seconds is None:
            return self.timeout_seconds
        if not 0 < timeout_seconds < inf:
            message = f"timeout_seconds is {timeout_seconds}; it must be a number of seconds, more than 0"
            raise ValueError(message)
        return timeout_seconds


class Request(Protocol):
    """A request of any call."""

    def SerializeToString(self) -> bytes:  # noqa: N802  # the name that protobuf gives it
        """Encode the request for the wire."""


class ReadRequest(Request, Protocol):
    """A request of a call within a namespace."""

    namespace: str


class MutationRequest(ReadRequest, Protocol):
    """A request of a mutation."""

    request_id: str
    reason: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[ResponseT]):
    """A call that is ready to be sent. ``path`` names its RPC, and ``request_id`` is empty for a read."""

    path: str
    request: Request
    response: type[ResponseT]
    timeout_seconds: float
    request_id: str


def look(
    defaults: Defaults, rpc: str, request: Request, response: type[ResponseT], *, timeout_seconds: float | None = None
) -> Call[ResponseT]:
    """Complete a read across namespaces. ``rpc`` is its service and method, such as ``CounterService/GetCounter``."""
    return Call(
        path=f"/tallykeeper.v1.{rpc}",
        request=request,
        response=response,
        timeout_seconds=defaults.timeout(timeout_seconds),
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
    """Complete a mutation. Its request id ensures that a repetition changes nothing."""
    request.namespace = namespace or defaults.namespace
    request.request_id = request_id or defaults.new_request_id()
    request.reason = reason
    request.reference = reference
    return Call(
        path=f"/tallykeeper.v1.{rpc}",
        request=request,
        response=response,
        timeout_seconds=defaults.timeout(timeout_seconds),
        request_id=request.request_id,
    )


def value_or_none(value: ValueT | Unchanged | None) -> ValueT | None:
    """Return the value to put into a field that is set, and None for a field that is cleared or left."""
    return None if isinstance(value, Unchanged) else value


def mask_of(**fields: object) -> FieldMask:
    """Return a mask of the fields that are set or cleared, in the order given."""
    return FieldMask(paths=[name for name, value in fields.items() if value is not UNCHANGED])


class Rpc(Generic[P, ResponseT]):
    """A function that builds the call of an RPC, as an attribute of a class that clients inherit.

    The function is written once for all classes that have the method. The overloads give a type checker the method's
    type in each of these classes. `MethodHost` makes the methods.
    """

    def __init__(self, build: Callable[Concatenate[Defaults, P], Call[ResponseT]]) -> None:
        """Take the function. ``build`` takes the client's defaults and the method's arguments."""
        self.build = _naming_arguments(build)

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


def _naming_arguments(
    build: Callable[Concatenate[Defaults, P], Call[ResponseT]],
) -> Callable[Concatenate[Defaults, P], Call[ResponseT]]:
    """Return a builder whose errors show the arguments, because those of protobuf name neither field nor value."""

    @wraps(build)
    def named(defaults: Defaults, /, *args: P.args, **kwargs: P.kwargs) -> Call[ResponseT]:
        try:
            return build(defaults, *args, **kwargs)
        except UnicodeEncodeError as error:  # a ValueError with the text, which callers may look for
            reason = f"{error.reason}, in {_shown(build, args, kwargs)}"
            raise UnicodeEncodeError(error.encoding, error.object, error.start, error.end, reason) from error
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            message = f"{_shown(build, args, kwargs)}: {error}"
            raise kind(message) from error

    return named


def _shown(build: Callable[..., object], args: Iterable[object], kwargs: Mapping[str, object]) -> str:
    """Return a call with its arguments, as a person writes it."""
    arguments = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
    line = " ".join(", ".join(arguments).split())
    return f"{build.__name__}({line[:_SHOWN_CHARACTERS_MAX]})"


class MethodHost:
    """The base of the classes that turn each inherited `Rpc` into a method of their kind."""

    @classmethod
    def _method_of(cls, build: Callable[..., Call[Any]]) -> Callable[..., object]:
        """Return a method that builds a call and uses it as this class uses calls."""
        raise NotImplementedError

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401  # the arguments of any base class
        """Replace each `Rpc` by a function, so that `help` and editors show an ordinary method."""
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
    """A client whose methods are awaited, or the batch of such a client."""


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
    """Give a client's method the name, docstring and signature of the function that builds its call.

    In the signature, ``self`` replaces the builder's defaults, and the response replaces the call. ``name``, ``text``
    and ``returns`` override the name, the docstring and the returned type.
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
