"""Writes the Grafana dashboard from the short descriptions below: ``python -m tools.dashboard``, or ``make gen``.

A panel of Grafana has thirty lines of JSON, of which three say what it shows. Only those are kept by hand.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path("deploy/helm/tallykeeper/files/dashboard.json")
_SELECTED: Final = 'job=~"$job",instance=~"$instance"'
_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS: Final = 3
_WIDTH: Final = 24 // _COLUMNS
_HEIGHT: Final = 8


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph: its title, its unit in Grafana's words, and its expressions with the legends of their series."""

    title: str
    unit: str
    series: tuple[tuple[str, str], ...]
    text: str = ""


def _rate(metric: str, by: str, labels: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{_SELECTED}{labels}}}[$__rate_interval]))"


def _quantile(quantile: float, metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({quantile}, {_rate(f'{metric}_bucket', labels)})"


def _quantiles(metric: str, by: str = "") -> tuple[tuple[str, str], ...]:
    legend = f" {{{{{by}}}}}" if by else ""
    return tuple((_quantile(quantile, metric, by), f"p{quantile * 100:g}{legend}") for quantile in (0.5, 0.99))


def _gauge(metric: str, function: str = "sum", by: str = "instance") -> str:
    return f"{function} by ({by}) ({metric}{{{_SELECTED}}})"


ROWS: Final = {
    "Calls": (
        Panel("Calls per second", "reqps", ((_rate("tallykeeper_calls_total", "method"), "{{method}}"),)),
        Panel(
            "Failed calls per second",
            "reqps",
            ((_rate("tallykeeper_calls_total", "code", ',code!="OK"'), "{{code}}"),),
            "Refusals that the contract describes count too, such as too few copies.",
        ),
        Panel("Time of a call", "s", _quantiles("tallykeeper_call_duration_seconds"), "Without streams."),
        Panel("Refusals per second", "ops", ((_rate("tallykeeper_refusals_total", "reason"), "{{reason}}"),)),
        Panel(
            "Slowest methods", "s", ((_quantile(0.99, "tallykeeper_call_duration_seconds", "method"), "{{method}}"),)
        ),
        Panel(
            "Repeated requests per second", "ops", ((_rate("tallykeeper_replays_total", "instance"), "{{instance}}"),)
        ),
    ),
    "Lanes and batches": (
        Panel("Waiting for the store", "short", ((_gauge("tallykeeper_lane_depth", by="lane"), "{{lane}}"),)),
        Panel("Time in the lane", "s", _quantiles("tallykeeper_lane_wait_seconds", "lane")),
        Panel("Calls in a batch", "short", _quantiles("tallykeeper_lane_batch_calls", "lane")),
        Panel("Script call", "s", _quantiles("tallykeeper_script_duration_seconds")),
        Panel("Mutations in a script call", "short", _quantiles("tallykeeper_script_mutations")),
        Panel(
            "Script calls per second",
            "ops",
            ((_rate("tallykeeper_script_mutations_count", "instance"), "{{instance}}"),),
        ),
    ),
    "Store and durability": (
        Panel("PING of the store", "s", _quantiles("tallykeeper_store_round_trip_seconds")),
        Panel(
            "Batches lost per second",
            "ops",
            ((_rate("tallykeeper_store_losses_total", "lane, outcome"), "{{lane}} {{outcome}}"),),
        ),
        Panel("Calls sent again per second", "ops", ((_rate("tallykeeper_store_retries_total", "lane"), "{{lane}}"),)),
        Panel("Promises broken", "short", ((_gauge("tallykeeper_promises_broken", "max"), "{{instance}}"),)),
        Panel(
            "Not durable in time, per second",
            "ops",
            ((_rate("tallykeeper_refusals_total", "instance", ',reason="NOT_DURABLE_YET"'), "{{instance}}"),),
        ),
        Panel(
            "Revisions lost in an hour",
            "short",
            ((f"sum by (instance) (increase(tallykeeper_revisions_lost_total{{{_SELECTED}}}[1h]))", "{{instance}}"),),
        ),
    ),
    "Watchers and reservations": (
        Panel("Open watches", "short", ((_gauge("tallykeeper_watchers"), "{{instance}}"),)),
        Panel(
            "Entries to watchers per second",
            "ops",
            ((_rate("tallykeeper_watch_entries_total", "instance"), "{{instance}}"),),
        ),
        Panel(
            "Watches cut off per second",
            "ops",
            ((_rate("tallykeeper_watchers_cut_off_total", "instance"), "{{instance}}"),),
        ),
        Panel(
            "Active reservations",
            "short",
            ((f"max by (job) (tallykeeper_reservations_open{{{_SELECTED}}})", "{{job}}"),),
            "Of the whole store, as each server counts it.",
        ),
        Panel(
            "Reservations expired per second",
            "ops",
            ((_rate("tallykeeper_reservations_expired_total", "instance"), "{{instance}}"),),
        ),
        Panel("Unread responses", "bytes", ((_gauge("tallykeeper_unread_answer_bytes"), "{{instance}}"),)),
    ),
    "Processes": (
        Panel("CPU cores in use", "short", ((_rate("process_cpu_seconds_total", "instance"), "{{instance}}"),)),
        Panel("Memory", "bytes", ((_gauge("process_resident_memory_bytes"), "{{instance}}"),)),
        Panel(
            "File descriptors",
            "percentunit",
            (
                (
                    f"{_gauge('process_open_fds')} / {_gauge('process_max_fds')}",
                    "{{instance}}",
                ),
            ),
        ),
        Panel("Workers", "short", ((_gauge("tallykeeper_workers"), "{{instance}}"),)),
        Panel(
            "Spans of traces per second",
            "ops",
            ((_rate("tallykeeper_spans_total", "outcome"), "{{outcome}}"),),
            "With --traces. Spans that are dropped, failed or lost are missing in the traces.",
        ),
        Panel("Spans that wait for their export", "short", ((_gauge("tallykeeper_spans_waiting"), "{{instance}}"),)),
        Panel(
            "Workers started again in an hour",
            "short",
            ((f"sum by (instance) (increase(tallykeeper_worker_restarts_total{{{_SELECTED}}}[1h]))", "{{instance}}"),),
        ),
        Panel(
            "Versions",
            "short",
            (
                (
                    f"count by (version, python) (tallykeeper_build_info{{{_SELECTED}}})",
                    "{{version}} on Python {{python}}",
                ),
            ),
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON."""
    return {
        "uid": "tallykeeper",
        "title": "Tallykeeper",
        "tags": ["tallykeeper"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
                _variable("job", "tallykeeper_build_info"),
                _variable("instance", 'tallykeeper_build_info{job=~"$job"}'),
            ]
        },
        "panels": _panels(),
    }


def _variable(name: str, metric: str) -> dict[str, Any]:
    query = f"label_values({metric},{name})"
    return {
        "name": name,
        "type": "query",
        "datasource": _DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        position = {"x": 0, "y": top, "w": 24, "h": 1}
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": position,
                "panels": [],
            }
        )
        top += 1
        for index, panel in enumerate(row):
            y, x = divmod(index, _COLUMNS)
            position = {"x": x * _WIDTH, "y": top + y * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            panels.append(_panel(panel, len(panels) + 1, position))
        top += -(-len(row) // _COLUMNS) * _HEIGHT
    return panels


def _panel(panel: Panel, identifier: int, position: dict[str, int]) -> dict[str, Any]:
    return {
        "id": identifier,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": _DATASOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _DATASOURCE, "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(panel.series)
        ],
    }


def text() -> str:
    """Return the dashboard as the text of its file."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
