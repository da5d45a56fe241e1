"""The call of BatchService: what it takes, and the request that it becomes.

It becomes a method of both clients. `operations` makes the operations that it takes.
"""

from collections.abc import Iterable
from typing import Unpack

from tallykeeper.v1 import batch_pb2 as pb
from tallykeeper_client._calls.base import Call, Defaults, MutationOptions, Rpc, mutation


class BatchMutations:
    """The mutations of BatchService."""

    @Rpc
    def apply(
        defaults: Defaults,
        operations: Iterable[pb.Operation],
        *,
        atomic: bool,
        **options: Unpack[MutationOptions],
    ) -> Call[pb.ApplyResponse]:
        """Apply 1 to 1,000 operations in their order: all of them or none, or each independently of the others.

        Args:
            operations: What `operations` makes; together they may have up to 10,000 lines.
            atomic: True to apply all operations or none. False to apply each one that can be applied.
            **options: See `MutationOptions`. The reason and the reference apply to operations that have none.

        Returns:
            One result for each operation. If ``atomic`` is false, ``failed_count`` counts the operations that failed,
            and `error_of_result` makes the exception of one of them.

        Raises:
            BatchRefused: The batch is atomic and an operation failed. Nothing was changed.
            BatchTooLarge: There are too many operations or lines. Nothing was changed.

        Example:
            >>> with Client(target) as client:
            ...     client.increment_copies("dune", copies=3)
            ...     client.apply([operations.increment("sales"), operations.decrement_copies("dune")], atomic=True)

        """
        mode = pb.BATCH_MODE_ATOMIC if atomic else pb.BATCH_MODE_INDEPENDENT
        request = pb.ApplyRequest(operations=operations, mode=mode)
        return mutation(defaults, "BatchService/Apply", request, pb.ApplyResponse, **options)
