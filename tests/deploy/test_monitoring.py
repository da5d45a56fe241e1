"""The dashboard and the alerts name metrics that exist, every metric is documented, and every alert has a runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tallykeeper_server.metrics.families import FAMILIES, Family, Kind
from tests.deploy.tools import ROOT
from tests.docs.markdown import anchors
from tools import dashboard

FILES: Final = ROOT / "deploy" / "helm" / "tallykeeper" / "files"
ALERTS: Final = FILES / "alerts.yml"
PROMETHEUS: Final = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RULE_TESTS: Final = Path(__file__).parent / "alerts_test.yml"
ON_CALL: Final = ROOT / "docs" / "on-call.md"
_METRIC: Final = re.compile(r"\b(?:tallykeeper|process)_[a-z_]+(?=[{\[ ,)])")
_SELECTOR: Final = re.compile(r"\b((?:tallykeeper|process)_[a-z_]+)\{([^}]*)\}")
_LABEL: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_TARGET_LABELS: Final = {"job", "instance", "le"}
Tool = Callable[[str], Path]


def rules() -> list[dict[str, Any]]:
    """Return the alerts."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """Yield the expressions of the alerts and of the dashboard, with its variables' queries."""
    yield from (rule["expr"] for rule in rules())
    board = json.loads((FILES / "dashboard.json").read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (each["definition"] for each in board["templating"]["list"] if "definition" in each)


def family_of(series: str) -> Family | None:
    """Return the metric that a series belongs to. A histogram has three series."""
    for name, family in FAMILIES.items():
        endings = ("_bucket", "_count", "_sum") if family.kind is Kind.HISTOGRAM else ("",)
        if series in {name + ending for ending in endings}:
            return family
    return None


@pytest.mark.parametrize("expression", [pytest.param(each, id=str(n)) for n, each in enumerate(expressions())])
def test_every_metric_in_an_expression_exists_with_its_labels(expression: str) -> None:
    names = set(_METRIC.findall(expression))

    assert names or "up{" in expression
    assert {name for name in names if family_of(name) is None} == set()
    for name, selector in _SELECTOR.findall(expression):
        family = family_of(name)
        assert family is not None
        assert set(_LABEL.findall(selector)) <= {*family.labels, *_TARGET_LABELS}


def test_a_metric_that_does_not_exist_is_noticed() -> None:
    assert family_of("tallykeeper_calls") is None
    assert family_of("tallykeeper_calls_total_bucket") is None
    assert family_of("tallykeeper_call_duration_seconds_bucket") is not None


def test_every_metric_is_documented_and_nothing_else() -> None:
    section = (ROOT / "README.md").read_text().partition("### Metrics\n")[2].partition("\n#")[0]
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))

    assert documented == {name.removeprefix("tallykeeper_") for name in FAMILIES if not name.startswith("process_")}
    assert "| `process_…` |" in section


def test_every_metric_of_the_server_is_on_the_dashboard() -> None:
    shown = {family.name for text in expressions() for name in _METRIC.findall(text) if (family := family_of(name))}

    assert {name for name in FAMILIES if name.startswith("tallykeeper_")} <= shown


def test_the_dashboard_is_what_its_source_gives() -> None:
    assert (ROOT / dashboard.TARGET).read_text() == dashboard.text(), "run: python -m tools.dashboard"


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    cells = [
        (x, y)
        for panel in dashboard.dashboard()["panels"]
        for position in [panel["gridPos"]]
        for x in range(position["x"], position["x"] + position["w"])
        for y in range(position["y"], position["y"] + position["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_has_a_severity_a_text_and_a_runbook(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    where = "$labels.job" if rule["expr"].startswith("absent(") else "$labels.instance"
    assert where in rule["annotations"]["description"]
    assert page.endswith("/blob/main/docs/on-call.md")
    assert anchor == rule["alert"].lower()
    assert anchor in anchors(ON_CALL)


def test_every_alert_is_tested_to_fire_and_to_be_silent_before_and_after() -> None:
    quiet, *faults = yaml.safe_load(RULE_TESTS.read_text())["tests"]
    names = [rule["alert"] for rule in rules()]

    assert [case["alertname"] for case in quiet["alert_rule_test"]] == names
    assert not any("exp_alerts" in case for case in quiet["alert_rule_test"])
    fired = {case["alertname"] for fault in faults for case in fault["alert_rule_test"] if case.get("exp_alerts")}
    assert fired == set(names)
    for fault in faults:
        *_, before, after = fault["alert_rule_test"]
        assert before["exp_alerts"]
        assert "exp_alerts" not in after
        assert before["alertname"] == after["alertname"]


def test_promtool_accepts_the_rules_and_the_configuration(tool: Tool, tmp_path: Path) -> None:
    promtool = tool("promtool")
    for file in (ALERTS, PROMETHEUS):
        shutil.copy(file, tmp_path)
    checks: list[list[str]] = [["rules", "--lint=all", "--lint-fatal", "alerts.yml"], ["config", "prometheus.yml"]]
    for check in checks:
        ran = subprocess.run([promtool, "check", *check], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_rules_pass_their_tests(tool: Tool, tmp_path: Path) -> None:
    promtool = tool("promtool")
    for file in (ALERTS, RULE_TESTS):
        shutil.copy(file, tmp_path)

    def run() -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [promtool, "test", "rules", RULE_TESTS.name]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    ran = run()
    assert ran.returncode == 0, ran.stdout + ran.stderr

    wrong = ALERTS.read_text().replace("tallykeeper_promises_broken{", "tallykeeper_promises_kept{")
    (tmp_path / ALERTS.name).write_text(wrong)
    assert run().returncode != 0
