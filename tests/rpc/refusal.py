"""A refusal of a mutation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import Message
from grpc import StatusCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that is refused, the requests before it, and the requests after which it succeeds, if there are any."""

    before: Sequence[Message] = ()
    refused: Message
    code: StatusCode
    reason: str
    metadata: Mapping[str, str]
    preconditions: tuple[tuple[str, str], ...] = ()
    remedy: Sequence[Message] = field(default=())
