"""The call of BatchService: the function that builds its request.

Both clients turn it into a method. `operations` makes the operations that it takes.
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
            operations: The operations, made by `operations`. Together they may have up to 10,000 lines.
            atomic: True to apply all operations or none. False to apply each operation that can be applied.
            **options: See `MutationOptions`. The reason and the reference apply to operations that have none.

        Returns:
            One of ``results`` for each operation. If ``atomic`` is false, ``failed_count`` is the number of operations
            that failed. `error_of_result` returns the exception of a result.

        Raises:
            BatchRefused: The batch is atomic and an operation failed. Nothing was changed.
            BatchTooLarge: The batch has more than 1,000 operations or more than 10,000 lines. Nothing was changed.

        Example:
            >>> delivery = [operations.increment_copies("dune", copies=3), operations.increment("deliveries")]
            >>> client.apply(delivery, atomic=True).results[0].increment_copies.stock_level.available
            3
            >>> sales = [operations.decrement_copies("dune"), operations.decrement_copies("emma")]
            >>> response = client.apply(sales, atomic=False)
            >>> error_of_result(response.results[1]).reason
            'ITEM_NOT_FOUND'

        """
        mode = pb.BATCH_MODE_ATOMIC if atomic else pb.BATCH_MODE_INDEPENDENT
        request = pb.ApplyRequest(operations=operations, mode=mode)
        return mutation(defaults, "BatchService/Apply", request, pb.ApplyResponse, **options)
