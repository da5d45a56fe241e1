"""The Helm chart renders for each values file, as Kubernetes' schemas ask, and refuses values that cannot work."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tallykeeper_server.settings import Settings
from tests.deploy.tools import KUBERNETES_VERSIONS, ROOT

CHART: Final = ROOT / "deploy" / "helm" / "tallykeeper"
VALUES: Final = sorted((CHART / "ci").glob("*-values.yaml"))
OPEN: Final = ("--set", "tls.allowPlaintext=true,access.allowAnonymous=true")
HTTP_SETTINGS: Final = {"http_listen"}
"""The settings of the HTTP port."""
Tool = Callable[[str], Path]


def template(helm: Path, *options: str, kubernetes: str = KUBERNETES_VERSIONS[-1]) -> subprocess.CompletedProcess[str]:
    """Render the chart as a release shop in a namespace of the same name."""
    command: list[str | Path] = [
        helm,
        "template",
        "shop",
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


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_helm_lint_passes(tool: Tool, values: Path) -> None:
    linted = subprocess.run(
        [tool("helm"), "lint", CHART, "--strict", "--values", values], capture_output=True, text=True, check=False
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("kubernetes", KUBERNETES_VERSIONS)
def test_every_object_is_as_the_schemas_of_kubernetes_ask(tool: Tool, tmp_path: Path, kubernetes: str) -> None:
    helm, kubeconform, schemas = tool("helm"), tool("kubeconform"), tool("schemas")
    for values in VALUES:
        rendered = template(helm, "--values", str(values), kubernetes=kubernetes)
        assert rendered.returncode == 0, rendered.stderr
        (tmp_path / values.name).write_text(rendered.stdout)
    location = f"{schemas / kubernetes}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    options = ["-strict", "-summary", "-schema-location", location, "-skip", "ServiceMonitor,PrometheusRule"]

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run([kubeconform, *options, tmp_path], capture_output=True, text=True, check=False)

    checked = check()
    assert checked.returncode == 0, checked.stdout
    assert re.search(r"Valid: 2\d, Invalid: 0, Errors: 0, Skipped: 4", checked.stdout)

    mistyped = (tmp_path / VALUES[0].name).read_text().replace("periodSeconds:", "periodSecond:", 1)
    (tmp_path / VALUES[0].name).write_text(mistyped)
    assert "periodSecond" in check().stdout


def test_the_objects_of_the_prometheus_operator_have_its_fields(tool: Tool) -> None:
    helm, crds = tool("helm"), tool("crds")
    rendered = ""
    for values in VALUES:
        rendered = template(helm, "--values", str(values)).stdout
        checked = subprocess.run([crds], input=rendered, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        assert int(checked.stdout) == (2 if "kind: ServiceMonitor" in rendered else 0)

    mistyped = rendered.replace("jobLabel:", "jobLabels:")
    assert subprocess.run([crds], input=mistyped, capture_output=True, text=True, check=False).returncode == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "tls.secretName is empty"),
        (("--set", "tls.allowPlaintext=true"), "access.secretName is empty"),
        ((*OPEN, "--set", "store.kind=external"), "urlSecret"),
        ((*OPEN, "--set", "autoscaling.enabled=true"), "an embedded store has one server"),
        ((*OPEN, "--set", "tls.clientCA.secretName=ca"), "only TLS has client certificates"),
        ((*OPEN, "--set", "tls.secretName=a,tls.clientCA.secretName=ca"), "probeSecretName is empty"),
        ((*OPEN, "--set", "settings.drain_seconds=55.5"), "terminationGracePeriodSeconds must be more"),
        ((*OPEN, "--set", "settings.listen=x"), "listen"),
        ((*OPEN, "--set", "replica=3"), "replica"),
        ((*OPEN, "--set", "store.kind=memory"), "kind"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(tool: Tool, options: tuple[str, ...], message: str) -> None:
    refused = template(tool("helm"), *options)

    assert refused.returncode != 0
    assert message in refused.stderr


def test_an_embedded_store_is_one_server_with_a_volume(tool: Tool) -> None:
    found = objects(tool("helm"), *OPEN)
    spec = found["StatefulSet"]["spec"]

    assert spec["replicas"] == 1
    assert spec["podManagementPolicy"] == "OrderedReady"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert found["NetworkPolicy"]["spec"]["egress"] == []
    assert not {"Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"} & set(found)


def test_an_external_store_is_a_deployment_that_grows(tool: Tool) -> None:
    found = objects(tool("helm"), "--values", str(CHART / "ci" / "external-values.yaml"))

    assert "replicas" not in found["Deployment"]["spec"]
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["kind"] == "Deployment"
    assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] == "34%"
    assert {"ServiceMonitor", "PrometheusRule"} <= set(found)
    assert "StatefulSet" not in found


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_no_secret_is_in_the_objects(tool: Tool, values: Path) -> None:
    variables = environment(tool("helm"), "--values", str(values))

    assert "Secret" not in objects(tool("helm"), "--values", str(values))
    store = variables.get("TALLYKEEPER_STORE")
    assert store is None or set(store) == {"secretKeyRef"}


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_pod_is_restricted(tool: Tool, values: Path) -> None:
    found = objects(tool("helm"), "--values", str(values))
    pod = (found.get("StatefulSet") or found["Deployment"])["spec"]["template"]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_variable_is_a_setting_and_has_a_value_that_the_server_takes(tool: Tool, values: Path) -> None:
    types = {setting.name: setting.metadata["type"] for setting in fields(Settings)}
    variables = environment(tool("helm"), "--values", str(values))

    assert variables
    for variable, value in variables.items():
        name = variable.removeprefix("TALLYKEEPER_").lower()
        assert name in set(types) | HTTP_SETTINGS
        if name in types and isinstance(value, str):
            types[name].convert(value, None, None)


def test_large_numbers_are_written_out(tool: Tool) -> None:
    variables = environment(tool("helm"), *OPEN, "--set", "settings.ledger_revisions_max=10000000")

    assert variables["TALLYKEEPER_LEDGER_REVISIONS_MAX"] == "10000000"


def test_probes_speak_grpc_in_plaintext_and_the_command_with_tls(tool: Tool) -> None:
    plain = container(tool("helm"), *OPEN)
    secured = container(tool("helm"), "--values", str(CHART / "ci" / "embedded-secure-values.yaml"))

    assert plain["readinessProbe"]["grpc"] == {"port": 50051}
    assert [
        each["startupProbe"]["failureThreshold"] * each["startupProbe"]["periodSeconds"] for each in (plain, secured)
    ] == [300, 300]
    command = secured["readinessProbe"]["exec"]["command"]
    assert command[:2] == ["tallykeeper", "health"]
    assert "--target=tallykeeper.shop.svc:50051" in command
    assert "--certificate=/etc/tallykeeper/probe/tls.crt" in command
    for each in (plain, secured):
        assert set(each["livenessProbe"]) & {"grpc", "exec"} == set()
