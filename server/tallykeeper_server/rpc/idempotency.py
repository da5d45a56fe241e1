"""Request ids of mutations: those that come beside a request, in a header, and the rule that there must be one."""

from collections.abc import Sequence
from typing import Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from tallykeeper_server.access.roles import Role
from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.rpc.permissions import ROLES

_MUTATING: Final = (Role.WRITE, Role.ADMINISTER)
_FIELD: Final = "request_id"
_SHOWN_CHARACTERS_MAX: Final = 80
_QUOTED_CHARACTERS_MIN: Final = 2


def is_mutation(method: MethodDescriptor) -> bool:
    """Tell whether a method changes something."""
    return ROLES.get(f"{method.containing_service.name}.{method.name}") in _MUTATING


def require_request_id(request: Message) -> None:
    """Check that a mutation has a request id.

    :raises InvalidFieldError: it has none.
    """
    if not getattr(request, _FIELD):
        rule = "is absent; this server applies no change without one, so that a repeat counts once"
        raise InvalidFieldError([(_FIELD, rule)])


def with_request_id(method: MethodDescriptor, request: Message | bytes, keys: Sequence[str]) -> bytes:
    """Return a request in binary form, with the value of its Idempotency-Key header as request id if it is a mutation.

    The header is ignored for other methods, because some clients send it with every POST. A value in double quotes is
    taken without them, as draft-ietf-httpapi-idempotency-key-header writes it.

    :raises InvalidFieldError: the key is empty, there are two, or the request has another id.
    """
    if not is_mutation(method):
        return request if isinstance(request, bytes) else request.SerializeToString()
    if isinstance(request, bytes):
        raw = request
        try:
            request = GetMessageClass(method.input_type).FromString(raw)
        except DecodeError:
            return raw  # its handler says what is wrong with it
    if "" in map(_unquoted, keys):
        raise InvalidFieldError([(_FIELD, "is empty in Idempotency-Key; send 1 to 64 characters, or no such header")])
    sent = sorted({_unquoted(key) for key in keys} | {getattr(request, _FIELD)} - {""})
    if len(sent) > 1:
        shown = " and ".join(repr(each[:_SHOWN_CHARACTERS_MAX]) for each in sent)
        rule = f"has two values, {shown}, in the body and in Idempotency-Key; send one of them, or the same in both"
        raise InvalidFieldError([(_FIELD, rule)])
    setattr(request, _FIELD, sent[0])
    return request.SerializeToString()


def _unquoted(key: str) -> str:
    quoted = len(key) >= _QUOTED_CHARACTERS_MIN and key[0] == key[-1] == '"'
    return key[1:-1] if quoted else key
