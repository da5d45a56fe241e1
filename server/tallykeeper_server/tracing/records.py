"""The records of spans that have ended, as a worker hands them to its exporter process.

They are plain tuples of numbers and strings, because `marshal` writes these in C, and a shared tuple only once.
"""

import struct
from typing import Final, TypeAlias

HEAD: Final = struct.Struct("!I")
"""The size of the chunk that follows on the pipe, in bytes. A chunk is a pair of the calendar's time at the zero of
``perf_counter`` in nanoseconds, and a list of records."""
CALL: Final = 0
"""The first value of the record of a call."""
STORE: Final = 1
"""The first value of the record of a call to the store."""

NO_STREAM: Final = -1
"""The number of responses of a call that is no stream."""

SpanIds: TypeAlias = tuple[int, int, int, str]
"""The trace id (128 bits), the span id (64 bits), the parent's span id (0 without a parent), and the trace state."""

Lane: TypeAlias = tuple[float, int, list[SpanIds]]
"""The seconds for which a call waited in its lane, the calls in its batch, and the spans of calls to the store that it
shared with other traced calls. The number of calls is 0 if the call was not sent to the store."""

CallRecord: TypeAlias = tuple[int, SpanIds, str, str, str, float, float, Lane, str, str, str, bool, int]
"""CALL, the ids, the system of the RPC, the path of the method, the namespace, the beginning and the end as times of
``perf_counter``, the lane, the code, the reason and the message of an error, whether the call was a repeat, and the
responses of a stream (NO_STREAM for other calls)."""

StoreRecord: TypeAlias = tuple[int, SpanIds, str, float, float, int, int, list[SpanIds], str]
"""STORE, the ids, the operation, the beginning and the end as times of ``perf_counter``, the calls and the mutations in
it, the spans of the calls that share it (empty if the parent is the only one), and the reason of an error."""

Record: TypeAlias = CallRecord | StoreRecord
