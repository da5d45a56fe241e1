"""Every metric: its name, what it means, and how the values of several processes become one.

The names follow Prometheus's conventions: base units, ``_total`` behind what only grows.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_FAST_SECONDS: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_000.0)


class Kind(StrEnum):
    """What Prometheus calls the kinds of metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric, with a series for each combination of its labels' values."""

    name: str
    kind: Kind
    text: str
    """What it tells, for those who read it."""
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Of a histogram: the greatest value of each bucket but the last, which takes all that is greater."""
    join: Callable[[Iterable[float]], float] = sum
    """Makes one number of those of several processes. Those of counters and histograms are added."""


CALLS: Final = Family(
    "tallykeeper_calls_total",
    Kind.COUNTER,
    "Calls that ended, by the status that they ended with. Unknown methods are not among them.",
    ("service", "method", "code"),
)
CALL_DURATION: Final = Family(
    "tallykeeper_call_duration_seconds",
    Kind.HISTOGRAM,
    "Time from a call's arrival to its end. Calls that are answered with a stream are not among them.",
    ("service", "method"),
    _FAST_SECONDS,
)
REFUSALS: Final = Family(
    "tallykeeper_refusals_total",
    Kind.COUNTER,
    "Calls that failed, and operations that were refused in a batch, by the reason that the caller was told.",
    ("reason",),
)
LANE_DEPTH: Final = Family(
    "tallykeeper_lane_depth",
    Kind.GAUGE,
    "What waits to be sent to the store: levels that mutations name, or queries.",
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
    "Calls that were sent to the store together.",
    ("lane",),
    _SIZES,
)
STORE_LOSSES: Final = Family(
    "tallykeeper_store_losses_total",
    Kind.COUNTER,
    "Batches for which the store was lost: unavailable, nothing happened; unknown, they may have been carried out.",
    ("lane", "outcome"),
)
STORE_RETRIES: Final = Family(
    "tallykeeper_store_retries_total",
    Kind.COUNTER,
    "Calls that were kept to be sent again after the store was lost.",
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
    "Requests that had come before and got their first outcome again. Of a large batch, each part counts.",
)
REVISIONS_LOST: Final = Family(
    "tallykeeper_revisions_lost_total",
    Kind.COUNTER,
    "Times at which a namespace's revisions were seen to go backwards: its store lost acknowledged changes.",
)
PROMISES_BROKEN: Final = Family(
    "tallykeeper_promises_broken",
    Kind.GAUGE,
    "Promises that the store's settings, role or version do not keep now, as they were checked last.",
    join=max,
)
RESERVATIONS_OPEN: Final = Family(
    "tallykeeper_reservations_open",
    Kind.GAUGE,
    "Active reservations in all namespaces of the store, as they were counted last.",
    join=max,
)
RESERVATIONS_EXPIRED: Final = Family(
    "tallykeeper_reservations_expired_total",
    Kind.COUNTER,
    "Reservations that this server expired because their time was up.",
)
WATCHERS: Final = Family("tallykeeper_watchers", Kind.GAUGE, "Watches of ledgers that are open.")
WATCH_ENTRIES: Final = Family(
    "tallykeeper_watch_entries_total", Kind.COUNTER, "Entries of ledgers that were given to watchers."
)
WATCHERS_CUT_OFF: Final = Family(
    "tallykeeper_watchers_cut_off_total",
    Kind.COUNTER,
    "Watches that were ended because changes came faster than they were read.",
)
UNREAD_ANSWERS: Final = Family(
    "tallykeeper_unread_answer_bytes",
    Kind.GAUGE,
    "Memory held by large answers that their callers have yet to read.",
)
WORKERS: Final = Family("tallykeeper_workers", Kind.GAUGE, "Workers that run, where there are several.")
WORKER_RESTARTS: Final = Family(
    "tallykeeper_worker_restarts_total", Kind.COUNTER, "Workers that were started again after one had ended."
)
BUILD: Final = Family(
    "tallykeeper_build_info", Kind.GAUGE, "Always 1; the labels say what runs.", ("version", "python"), join=max
)
PROCESS: Final = (
    Family("process_cpu_seconds_total", Kind.COUNTER, "CPU time that the server's processes took."),
    Family("process_virtual_memory_bytes", Kind.GAUGE, "Virtual memory of the server's processes."),
    Family("process_resident_memory_bytes", Kind.GAUGE, "Resident memory of the server's processes."),
    Family("process_start_time_seconds", Kind.GAUGE, "When the first process started, since 1970.", join=min),
    Family("process_open_fds", Kind.GAUGE, "File descriptors that the server's processes hold."),
    Family("process_max_fds", Kind.GAUGE, "File descriptors that they may hold."),
)
"""What Prometheus's clients say of every process, by the names that dashboards know."""

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
        *(WORKERS, WORKER_RESTARTS),
        BUILD,
        *PROCESS,
    )
}
