"""The recorders of each layer of the server, made and named once, before the first call."""

import platform
from collections.abc import Sequence
from time import perf_counter
from typing import Final

from tallykeeper_server.metrics import families
from tallykeeper_server.metrics.registry import Metrics

_OK: Final = "OK"


class CallMeter:
    """The recorders of one RPC."""

    __slots__ = ("_codes", "_durations", "_refusals")

    def __init__(self, calls: "CallMeters", service: str, method: str, *, streams: bool) -> None:
        self._codes = calls.metrics.counts(families.CALLS, service, method, known=(_OK,))
        self._refusals = calls.refusals
        self._durations = None if streams else calls.metrics.histogram(families.CALL_DURATION, service, method)

    def succeeded(self, began_at: float) -> None:
        """Record the end of a call that succeeded. ``began_at`` is a time of ``perf_counter``."""
        self._codes.add(_OK)
        if self._durations is not None:
            self._durations.observe(perf_counter() - began_at)

    def failed(self, began_at: float, code: str, reason: str = "") -> None:
        """Record the end of a call that failed with a gRPC code. ``began_at`` is a time of ``perf_counter``.

        ``reason`` is the reason in its error, if there is one.
        """
        self._codes.add(code)
        if self._durations is not None:
            self._durations.observe(perf_counter() - began_at)
        if reason:
            self._refusals.add(reason)


class ExemplarCallMeter(CallMeter):
    """The recorders of one RPC whose calls may have spans, which are the exemplars of its durations."""

    __slots__ = ("_traced_durations",)

    def __init__(self, calls: "CallMeters", service: str, method: str, *, streams: bool) -> None:
        super().__init__(calls, service, method, streams=True)
        if not streams:
            histogram = calls.metrics.exemplar_histogram(families.CALL_DURATION, service, method)
            self._durations = self._traced_durations = histogram

    def succeeded_in(self, span: bytes, began_at: float, ended_at: float) -> None:
        """Record a call that succeeded. ``span`` is the id of its trace (16 bytes) and that of its span (8 bytes)."""
        self._codes.add(_OK)
        self._traced_durations.observe_traced(ended_at - began_at, span, ended_at)

    def failed_in(self, span: bytes, began_at: float, ended_at: float, code: str, reason: str = "") -> None:
        """Record a call that failed, as ``failed`` does. ``span`` is as in ``succeeded_in``."""
        self._codes.add(code)
        self._traced_durations.observe_traced(ended_at - began_at, span, ended_at)
        if reason:
            self._refusals.add(reason)


class CallMeters:
    """The recorders of all RPCs, and of their refusals."""

    def __init__(
        self, metrics: Metrics, *, reasons: Sequence[str] = (), meter_class: type[CallMeter] = CallMeter
    ) -> None:
        """``reasons`` are the reasons that an error can have. ``meter_class`` is the class of the meters of RPCs."""
        self.metrics = metrics
        self._meter_class = meter_class
        self.refusals = metrics.counts(families.REFUSALS, known=reasons)
        self.unread_bytes = metrics.gauge(families.UNREAD_ANSWERS)

    def of(self, service: str, method: str, *, streams: bool) -> CallMeter:
        """Return the meter of an RPC. The duration of an RPC that streams responses is not recorded."""
        return self._meter_class(self, service, method, streams=streams)


class LaneMeter:
    """The recorders of one lane."""

    __slots__ = ("batches", "depth", "losses", "retries", "waits")

    def __init__(self, metrics: Metrics, lane: str) -> None:
        self.depth = metrics.gauge(families.LANE_DEPTH, lane)
        self.waits = metrics.histogram(families.LANE_WAIT, lane)
        self.batches = metrics.histogram(families.LANE_BATCH, lane)
        self.losses = metrics.counts(families.STORE_LOSSES, lane, known=("unavailable", "unknown"))
        self.retries = metrics.counter(families.STORE_RETRIES, lane)


class StoreMeter:
    """The recorders of the store and its script."""

    __slots__ = (
        *("expired", "open_reservations", "promises_broken", "replays", "revisions_lost", "round_trips"),
        *("script_mutations", "scripts"),
    )

    def __init__(self, metrics: Metrics) -> None:
        self.round_trips = metrics.histogram(families.STORE_ROUND_TRIP)
        self.scripts = metrics.histogram(families.SCRIPT_DURATION)
        self.script_mutations = metrics.histogram(families.SCRIPT_MUTATIONS)
        self.replays = metrics.counter(families.REPLAYS)
        self.revisions_lost = metrics.counter(families.REVISIONS_LOST)
        self.promises_broken = metrics.gauge(families.PROMISES_BROKEN)
        self.expired = metrics.counter(families.RESERVATIONS_EXPIRED)
        self.open_reservations = metrics.gauge(families.RESERVATIONS_OPEN)


class WatchMeter:
    """The recorders of watches."""

    __slots__ = ("cut_off", "entries", "watchers")

    def __init__(self, metrics: Metrics) -> None:
        self.watchers = metrics.gauge(families.WATCHERS)
        self.entries = metrics.counter(families.WATCH_ENTRIES)
        self.cut_off = metrics.counter(families.WATCHERS_CUT_OFF)


class PoolMeter:
    """The recorders of the workers."""

    __slots__ = ("restarts", "workers")

    def __init__(self, metrics: Metrics) -> None:
        self.workers = metrics.gauge(families.WORKERS)
        self.restarts = metrics.counter(families.WORKER_RESTARTS)


def note_build(metrics: Metrics, version: str) -> None:
    """Record the versions of this server and of Python."""
    metrics.gauge(families.BUILD, version, platform.python_version()).read = lambda: 1


class SpanMeter:
    """The recorders of spans, if traces are recorded."""

    __slots__ = ("_counts", "waiting")

    def __init__(self, metrics: Metrics) -> None:
        self._counts = metrics.counts(families.SPANS, known=("dropped", "exported", "failed", "lost"))
        self.waiting = metrics.gauge(families.SPANS_WAITING)

    def add(self, outcome: str, spans: int) -> None:
        """Record the outcome of a number of spans."""
        self._counts.values[outcome] += spans
