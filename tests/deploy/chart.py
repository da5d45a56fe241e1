"""The Helm chart, rendered for values: all objects, or those that tests look at."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from tests.deploy.tools import KUBERNETES_VERSIONS, ROOT

CHART: Final = ROOT / "deploy" / "helm" / "tallykeeper"
VALUES: Final = sorted((CHART / "ci").glob("*-values.yaml"))
OPEN: Final = ("--set", "tls.allowPlaintext=true,access.allowAnonymous=true")
Tool = Callable[[str], Path]


def template(
    helm: Path, *options: str, kubernetes: str = KUBERNETES_VERSIONS[-1], release: str = "shop"
) -> subprocess.CompletedProcess[str]:
    """Render the chart as a release in the namespace shop."""
    command: list[str | Path] = [
        helm,
        "template",
        release,
        CHART,
        "--namespace",
        "shop",
        "--kube-version",
        kubernetes,
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def objects(helm: Path, *options: str) -> dict[str, dict[str, Any]]:
    """Return the rendered objects by their kind; of two Services, the first."""
    rendered = template(helm, *options)
    assert rendered.returncode == 0, rendered.stderr
    found = [each for each in yaml.safe_load_all(rendered.stdout) if each]
    return {each["kind"]: each for each in reversed(found)}


def container(helm: Path, *options: str) -> dict[str, Any]:
    """Return the server's container."""
    found = objects(helm, *options)
    workload = found.get("StatefulSet") or found["Deployment"]
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    return dict(only)


def environment(helm: Path, *options: str) -> dict[str, Any]:
    """Return the environment of the server's container."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container(helm, *options)["env"]}


def every_object(helm: Path, *options: str, release: str = "shop") -> dict[tuple[str, str], dict[str, Any]]:
    """Return all rendered objects by kind and name."""
    rendered = template(helm, *options, release=release)
    assert rendered.returncode == 0, rendered.stderr
    found = [each for each in yaml.safe_load_all(rendered.stdout) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}
