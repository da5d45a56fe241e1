"""The errors of connectrpc: gives each a reason and details, as every error of this server has them."""

from collections.abc import Mapping
from typing import Any, Final

import structlog
from connectrpc.code import Code as ConnectCode
from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext

from tallykeeper_server.http.requests import current_request
from tallykeeper_server.http.statuses import ReasonedError, code_of, connect_error
from tallykeeper_server.transport.status import Code

_TOO_LATE: Final = (
    "the deadline passed before the response was there; if the call changes something, send it again with the same"
    " request id to learn its outcome"
)
_TOO_LATE_TO_BEGIN: Final = "the deadline passed before the request had arrived; nothing happened"
_DEFECT: Final = "the server has a defect, and has logged it"

log = structlog.get_logger()


class ErrorDetails:
    """Refuses a request in which a header is wrong, and gives errors that connectrpc makes itself their details.

    connectrpc calls it at the beginning and at the end of each call.
    """

    async def on_start(self, _: RequestContext[Any, Any]) -> None:
        """Return if the headers are right.

        :raises ConnectError: they are not.
        """
        request = current_request()
        if request.refusal is not None:
            raise request.refuse(request.refusal)

    async def on_end(self, token: None, ctx: RequestContext[Any, Any], error: Exception | None, /) -> None:
        """Return if the call has no error, or one with details.

        :raises ConnectError: the error with details that takes the place of ``error``.
        """
        del token, ctx
        if error is None or (isinstance(error, ConnectError) and error.details):
            return
        detailed = _detailed(error)
        if detailed is not None:
            raise detailed from error


def _detailed(error: Exception) -> ConnectError | None:
    """Return the error with details for one without. Return None if nobody reads them, or the server made the error."""
    request = current_request()
    if not isinstance(error, ConnectError):
        log.error("defect", path=request.path, error=repr(error), exc_info=error)
        return _reasoned(Code.INTERNAL, "INTERNAL", _DEFECT)
    if error.code is ConnectCode.DEADLINE_EXCEEDED:
        return _reasoned(Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", _TOO_LATE if request.call else _TOO_LATE_TO_BEGIN)
    if request.call is not None or error.code is ConnectCode.CANCELED:
        return None
    rule = error.message.removeprefix("protocol error: ")
    message = f"the body is not the request that its Content-Type says: {rule}"
    facts = {"field": "body", "value": f"0x{request.body_head.hex()}", "rule": rule}
    return _reasoned(code_of(error), "INVALID_BODY", message, facts)


def _reasoned(code: Code, reason: str, message: str, facts: Mapping[str, str] | None = None) -> ConnectError:
    error = ReasonedError(code, message, reason=reason, facts=facts or {})
    return connect_error(current_request().explain(error))
