"""Every metric: its name, its meaning, and the rule by which the values of several processes become one.

The names follow Prometheus's conventions: base units, and ``_total`` at the end of counters.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_FAST_SECONDS: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_000.0)


class Kind(StrEnum):
    """The kinds of metrics by Prometheus's names."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric, with a series for each combination of its labels' values."""

    name: str
    kind: Kind
    text: str
    """The meaning, for people."""
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """The upper bounds of a histogram's buckets, without the last bucket, which has none."""
    join: Callable[[Iterable[float]], float] = sum
    """The function that makes one number of those of several processes. Counters and histograms are added."""


CALLS: Final = Family(
    "tallykeeper_calls_total",
    Kind.COUNTER,
    "Calls that ended, by their status, without calls of unknown methods.",
    ("service", "method", "code"),
)
CALL_DURATION: Final = Family(
    "tallykeeper_call_duration_seconds",
    Kind.HISTOGRAM,
    "Time from a call's arrival to its end, without calls that stream responses.",
    ("service", "method"),
    _FAST_SECONDS,
)
REFUSALS: Final = Family(
    "tallykeeper_refusals_total",
    Kind.COUNTER,
    "Calls that failed and operations of batches that were refused, by the reason in the error.",
    ("reason",),
)
LANE_DEPTH: Final = Family(
    "tallykeeper_lane_depth",
    Kind.GAUGE,
    "Work that waits for the store: the levels of mutations, or queries.",
    ("lane",),
)
LANE_WAIT: Final = Family(
    "tallykeeper_lane_wait_seconds",
    Kind.HISTOGRAM,
    "Time for which a call waited before it was sent to the store.",
    ("lane",),
    _FAST_SECONDS,
)
LANE_BATCH: Final = Family(
    "tallykeeper_lane_batch_calls",
    Kind.HISTOGRAM,
    "Calls in one batch to the store.",
    ("lane",),
    _SIZES,
)
STORE_LOSSES: Final = Family(
    "tallykeeper_store_losses_total",
    Kind.COUNTER,
    "Batches during which the connection to the store was lost. unavailable: nothing was changed; unknown: the"
    " changes may have been made.",
    ("lane", "outcome"),
)
STORE_RETRIES: Final = Family(
    "tallykeeper_store_retries_total",
    Kind.COUNTER,
    "Calls that were sent again after the connection to the store was lost.",
    ("lane",),
)
STORE_ROUND_TRIP: Final = Family(
    "tallykeeper_store_round_trip_seconds",
    Kind.HISTOGRAM,
    "Time that the store took to answer the PING of a health check, with the wait for the connection.",
    (),
    _FAST_SECONDS,
)
SCRIPT_DURATION: Final = Family(
    "tallykeeper_script_duration_seconds",
    Kind.HISTOGRAM,
    "Time from sending a script call to its reply, as the server sees it.",
    (),
    _FAST_SECONDS,
)
SCRIPT_MUTATIONS: Final = Family(
    "tallykeeper_script_mutations",
    Kind.HISTOGRAM,
    "Mutations in one script call.",
    (),
    _SIZES,
)
REPLAYS: Final = Family(
    "tallykeeper_replays_total",
    Kind.COUNTER,
    "Repeated requests that got their first outcome again. Each part of a large batch counts.",
)
REVISIONS_LOST: Final = Family(
    "tallykeeper_revisions_lost_total",
    Kind.COUNTER,
    "Times at which a namespace's revision went backwards, because its store lost acknowledged changes.",
)
PROMISES_BROKEN: Final = Family(
    "tallykeeper_promises_broken",
    Kind.GAUGE,
    "Promises that the store's settings, role or version did not keep at the last check.",
    join=max,
)
RESERVATIONS_OPEN: Final = Family(
    "tallykeeper_reservations_open",
    Kind.GAUGE,
    "Active reservations in all namespaces of the store at the last count.",
    join=max,
)
RESERVATIONS_EXPIRED: Final = Family(
    "tallykeeper_reservations_expired_total",
    Kind.COUNTER,
    "Reservations that this server expired.",
)
WATCHERS: Final = Family("tallykeeper_watchers", Kind.GAUGE, "Watches of ledgers that are open.")
WATCH_ENTRIES: Final = Family(
    "tallykeeper_watch_entries_total", Kind.COUNTER, "Entries of ledgers that were sent to watchers."
)
WATCHERS_CUT_OFF: Final = Family(
    "tallykeeper_watchers_cut_off_total",
    Kind.COUNTER,
    "Watches that ended because their clients read more slowly than changes came.",
)
UNREAD_ANSWERS: Final = Family(
    "tallykeeper_unread_answer_bytes",
    Kind.GAUGE,
    "Memory of large responses that their callers have not read.",
)
SPANS: Final = Family(
    "tallykeeper_spans_total",
    Kind.COUNTER,
    "Spans of traces. exported: the backend has them; dropped: too many waited; failed: the backend did not take them;"
    " lost: the process that exports them ended.",
    ("outcome",),
)
SPANS_WAITING: Final = Family("tallykeeper_spans_waiting", Kind.GAUGE, "Spans of traces that wait for their export.")
WORKERS: Final = Family("tallykeeper_workers", Kind.GAUGE, "Workers that run, if there are several.")
WORKER_RESTARTS: Final = Family(
    "tallykeeper_worker_restarts_total", Kind.COUNTER, "Workers that were started again after an unexpected end."
)
BUILD: Final = Family(
    "tallykeeper_build_info", Kind.GAUGE, "Always 1. The labels name the versions.", ("version", "python"), join=max
)
PROCESS: Final = (
    Family("process_cpu_seconds_total", Kind.COUNTER, "CPU time of the server's processes."),
    Family("process_virtual_memory_bytes", Kind.GAUGE, "Virtual memory of the server's processes."),
    Family("process_resident_memory_bytes", Kind.GAUGE, "Resident memory of the server's processes."),
    Family(
        "process_start_time_seconds",
        Kind.GAUGE,
        "Time at which the first process started, in seconds since 1970.",
        join=min,
    ),
    Family("process_open_fds", Kind.GAUGE, "Open file descriptors of the server's processes."),
    Family("process_max_fds", Kind.GAUGE, "Maximum number of open file descriptors of the server's processes."),
)
"""The metrics of processes under the names that Prometheus's clients and dashboards use."""

FAMILIES: Final = {
    family.name: family
    for family in (
        *(CALLS, CALL_DURATION, REFUSALS),
        *(LANE_DEPTH, LANE_WAIT, LANE_BATCH),
        *(STORE_LOSSES, STORE_RETRIES, STORE_ROUND_TRIP),
        *(SCRIPT_DURATION, SCRIPT_MUTATIONS, REPLAYS),
        *(REVISIONS_LOST, PROMISES_BROKEN),
        *(RESERVATIONS_OPEN, RESERVATIONS_EXPIRED),
        *(WATCHERS, WATCH_ENTRIES, WATCHERS_CUT_OFF),
        UNREAD_ANSWERS,
        *(SPANS, SPANS_WAITING),
        *(WORKERS, WORKER_RESTARTS),
        BUILD,
        *PROCESS,
    )
}
