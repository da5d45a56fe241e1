"""Asks the server, in the model's terms: a failure is a refusal, and a listing is all its pages."""

from typing import Any, Final, cast

from google.protobuf.message import Message

from tallykeeper.v1 import batch_pb2, ledger_pb2, reservation_pb2
from tallykeeper.v1.ledger_pb2 import OperationKind
from tests.model.model import Answer, Chosen
from tests.model.refusal import Refusal
from tests.support.client import Caller, Failure, simplify
from tests.support.server import wait_until


class NamespaceCaller:
    """A caller of one namespace."""

    def __init__(self, call: Caller, namespace: str) -> None:
        self._call, self._namespace = call, namespace

    def __call__(self, request: Any) -> Any:  # noqa: ANN401  # any request, and its response
        """Return the answer, without the message that an error has for people."""
        if "namespace" in request.DESCRIPTOR.fields_by_name:
            request.namespace = self._namespace
        try:
            response = self._call(request)
        except Failure as failure:
            return Refusal(failure.code, failure.reason, failure.metadata)
        if isinstance(response, batch_pb2.ApplyResponse):
            _drop_messages(response)
        return response

    def verify(self) -> ledger_pb2.VerifyResult:
        """Return the result of a verification."""
        return self._call.verify(self._namespace)

    def listed(self, request: Any, field: str) -> list[Any]:  # noqa: ANN401  # any listing
        """Return all pages as one. ``field`` is the field of the listed values."""
        request.namespace = self._namespace
        listed = []
        for page in self._call.pages(request):
            assert len(getattr(page, field)) <= (request.page_size or 100)
            listed += getattr(page, field)
        return listed

    def watch(self, request: ledger_pb2.WatchRequest, *, through: int) -> list[ledger_pb2.Entry]:
        """Return the entries of a watch up to a revision."""
        request.namespace = self._namespace
        watched: list[ledger_pb2.Entry] = []
        with self._call.stream(request) as responses:
            for response in responses:
                watched += response.entries
                if response.revision >= through:
                    return watched
        message = "the watch has ended early"
        raise AssertionError(message)

    def expiry(self, reservation_id: str) -> ledger_pb2.Entry | None:
        """Return the ledger's entry of a reservation's expiry, or None if there is none yet."""
        request = ledger_pb2.ListEntriesRequest(
            reservation_id=reservation_id, operation=OperationKind.OPERATION_KIND_EXPIRE
        )
        entries = self.listed(request, "entries")
        assert len(entries) <= 1
        return entries[0] if entries else None

    def await_expiry(self, reservation_id: str) -> ledger_pb2.Entry:
        """Return the entry of a reservation's expiry as soon as it exists."""
        wait_until(lambda: self.expiry(reservation_id) is not None, what="the reservation expires")
        return cast("ledger_pb2.Entry", self.expiry(reservation_id))


_OPERATIONS_MAX: Final = 8
"""The greatest number of operations in a batch of the comparison."""


def _drop_messages(response: batch_pb2.ApplyResponse) -> None:
    for result in response.results:
        if result.HasField("error"):
            assert result.error.message
            simplify(result.error)


def chosen_by(answer: Answer, *, index: int = 0) -> Chosen:
    """Return the server's choices from its answer, or stand-ins if it did not apply the mutation."""
    if isinstance(answer, batch_pb2.ApplyResponse):
        operations = tuple(
            chosen_by(_result(result), index=number) for number, result in enumerate(answer.results, start=1)
        )
        return Chosen(now_ms=answer.commit_time.ToMilliseconds(), operations=operations)
    if isinstance(answer, Refusal) or "commit_time" not in answer.DESCRIPTOR.fields_by_name:
        operations = tuple(Chosen(reservation_id=f"not made {number}") for number in range(1, _OPERATIONS_MAX + 1))
        return Chosen(reservation_id=f"not made {index}", operations=() if index else operations)
    reservation_id = answer.reservation.reservation_id if isinstance(answer, reservation_pb2.ReserveResponse) else ""
    commit_time: Any = getattr(answer, "commit_time", None)
    return Chosen(now_ms=commit_time.ToMilliseconds(), reservation_id=reservation_id)


def _result(result: batch_pb2.OperationResult) -> Message:
    return cast("Message", getattr(result, result.WhichOneof("result") or ""))
