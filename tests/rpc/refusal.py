"""A refusal that a mutation can end in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import Message
from grpc import StatusCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Requests that go before, one that is then refused, and those after which it no longer is, if there are any."""

    before: Sequence[Message] = ()
    refused: Message
    code: StatusCode
    reason: str
    metadata: Mapping[str, str]
    preconditions: tuple[tuple[str, str], ...] = ()
    remedy: Sequence[Message] = field(default=())
