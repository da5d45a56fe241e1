"""The records of spans that have ended, as a worker hands them to its exporter process.

They are plain tuples of bytes, numbers and strings, because `marshal` writes these in C, and a shared tuple only once.
"""

import struct
from typing import Any, Final, TypeAlias

HEAD: Final = struct.Struct("!I")
"""The size of the chunk that follows on the pipe, in bytes."""

TRACE_BYTES: Final = 16
"""The length of a trace id."""
SPAN_BYTES: Final = 8
"""The length of the id of a span in its trace."""
NO_STREAM: Final = -1
"""The number of responses of a call that is no stream."""

Shared: TypeAlias = Any
"""The type of a tuple that several records share, where its identity counts. Compiled code takes apart a tuple whose
items have types, and builds another one when it hands the tuple on."""

SpanIds: TypeAlias = tuple[bytes, bytes, str]
"""The trace id and the span id in one, the parent's span id (empty without a parent), and the trace state."""

Batch: TypeAlias = tuple[int, list[SpanIds]]
"""The calls in a batch, and the spans of calls to the store that they share with other traced calls. The number of
calls is 0 if the call was not sent to the store."""

CallKind: TypeAlias = tuple[str, str, str, str, str, bool]
"""The system of the RPC, the path of the method, the namespace, the code, the reason of an error, and whether the call
was a repeat."""

CallRecord: TypeAlias = tuple[CallKind, SpanIds, float, float, float, Batch, int, str]
"""The kind, the ids, the beginning and the end as times of ``perf_counter``, the seconds in the lane, the batch, the
responses of a stream (NO_STREAM for other calls), and the message of an error."""

StoreRecord: TypeAlias = tuple[SpanIds, str, float, float, int, int, list[SpanIds], str]
"""A call to the store: the ids, the operation, the beginning and the end as times of ``perf_counter``, the calls and
the mutations in it, the spans of the calls that share it (empty if the parent is the only one), and the reason of an
error."""

Chunk: TypeAlias = tuple[int, list[CallRecord], list[StoreRecord]]
"""The calendar's time at the zero of ``perf_counter`` in nanoseconds, the calls, and the calls to the store."""


def spans_in(chunk: Chunk) -> int:
    """Return the number of spans in a chunk."""
    _, calls, store_calls = chunk
    return len(calls) + len(store_calls)
