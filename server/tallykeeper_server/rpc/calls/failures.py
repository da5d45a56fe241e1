"""The errors that callers get, and the codes of calls that were abandoned."""

from typing import Final

import structlog
from google.protobuf.descriptor import MethodDescriptor

from tallykeeper_server.domain.errors import DefectError, InvalidFieldError, TallyError
from tallykeeper_server.rpc.admission import Context
from tallykeeper_server.rpc.calls.texts import broken_text_fields
from tallykeeper_server.transport.status import Code, StatusError

ABANDONED: Final = StatusError(Code.UNAVAILABLE, "the server stops")
"""The status of a call whose work was cancelled. A caller gets it only if the server itself has cancelled."""
_INTERNAL_MESSAGE: Final = "the server has a defect, and has logged it"
_DEADLINE_SLACK_SECONDS: Final = 0.01
"""The time that the server's clock may lag behind a caller's when the caller gives up at its deadline."""

log = structlog.get_logger()


def code_of_abandoned(context: Context, now: float) -> str:
    """Return the code of a cancelled call: its caller has left, or has waited until its deadline."""
    expired = context.deadline - now < _DEADLINE_SLACK_SECONDS
    return (Code.DEADLINE_EXCEEDED if expired else Code.CANCELLED).name


def failure_of(method: MethodDescriptor, error: Exception) -> TallyError:
    """Return the error that the caller gets. A defect is logged, and its caller learns no details.

    The error loses its traceback. A traceback would keep the request, which may be large, until the garbage collector
    runs.
    """
    if isinstance(error, TallyError) and not isinstance(error, DefectError):
        return error.with_traceback(None)
    shown = error.message if isinstance(error, DefectError) else repr(error)
    log.error("defect", method=method.full_name, error=shown, exc_info=error)
    return DefectError(_INTERNAL_MESSAGE)


def undecodable(method: MethodDescriptor, raw: bytes) -> InvalidFieldError:
    """Return the error for bytes that are no request of a method. It names the texts that are not UTF-8."""
    broken = broken_text_fields(method.input_type, raw)
    if not broken:
        return InvalidFieldError([("", f"the request is not a {method.input_type.full_name}")])
    return InvalidFieldError([(field, "must be UTF-8") for field in broken])
