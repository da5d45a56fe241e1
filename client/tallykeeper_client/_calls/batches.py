"""The call of BatchService: what it takes, and the request that it becomes.

It is a method of both clients, which put their defaults in its first place. `operations` makes what it takes.
"""

from collections.abc import Iterable
from typing import Unpack

from tallykeeper.v1 import batch_pb2 as pb
from tallykeeper_client._calls.base import Call, Defaults, MutationOptions, mutation


def apply(
    defaults: Defaults,
    operations: Iterable[pb.Operation],
    *,
    atomic: bool,
    **options: Unpack[MutationOptions],
) -> Call[pb.ApplyResponse]:
    """Apply 1 to 1,000 operations in order: if ``atomic`` all of them or none, else each for itself.

    If ``atomic``, raises `BatchRefused` if an operation fails. Else the call succeeds even if operations fail:
    ``failed_count`` says how many did, ``results`` has the answer to each, and `error_of_result` makes an exception of
    one that failed. The reason and the reference are for the operations that have none of their own. Raises
    `BatchTooLarge` if there are more operations, or more than 10,000 lines in them together.

        client.apply([operations.increment("sales"), operations.decrement_copies("dune")], atomic=True)
    """
    mode = pb.BATCH_MODE_ATOMIC if atomic else pb.BATCH_MODE_INDEPENDENT
    request = pb.ApplyRequest(operations=operations, mode=mode)
    return mutation(defaults, "BatchService/Apply", request, pb.ApplyResponse, **options)
