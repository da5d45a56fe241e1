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

    mistyped = rendered.replace("relabelings:", "relabeling:")
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
        ((*OPEN, "--set", "autoscaling.minReplicas=11"), "is more than autoscaling.maxReplicas 10"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(tool: Tool, options: tuple[str, ...], message: str) -> None:
    refused = template(tool("helm"), *options)

    assert refused.returncode != 0
    assert message in refused.stderr


WRONG: Final = {
    "workers=two": "workers",
    "workers=0": "workers",
    "replicas=-1": "replicas",
    "service.port=0": "port",
    "service.port=70000": "port",
    "service.type=External": "type",
    "service.ports=1": "ports",
    "http.port=http": "port",
    "http.service=sometimes": "service",
    "listenHost=localhost": "listenHost",
    "image.digest=sha256:12": "digest",
    "image.pullPolicy=Sometimes": "pullPolicy",
    "store.embedded.size=10GB": "size",
    "store.embedded.whenDeleted=Keep": "whenDeleted",
    "store.external.ports={redis}": "ports",
    "podDisruptionBudget.maxUnavailable=0": "maxUnavailable",
    "podDisruptionBudget.enabled=yes": "enabled",
    "autoscaling.targetCPUUtilizationPercentage=101": "targetCPUUtilizationPercentage",
    "settings.log-level=info": "log-level",
    "settings.store=redis://user:password@host": "store",
    "settings.log_level={info}": "log_level",
    "tls.secretName=Not_A_Name": "secretName",
    "access.allowAnonymous=1": "allowAnonymous",
    "networkPolicy.clients=all": "clients",
    "networkPolicy.egress[0]=all": "egress",
    "serviceMonitor.interval=15": "interval",
    "terminationGracePeriodSeconds=1m": "terminationGracePeriodSeconds",
    "preStopSeconds=-1": "preStopSeconds",
    "extraEnv[0].value=x": "extraEnv",
    "extraVolumes.name=x": "extraVolumes",
    "podLabels.a.b=c": "podLabels",
    "serviceAccount.automount=true": "automount",
}
"""Values of a wrong type, range or name, and the key that the message must name."""


@pytest.mark.parametrize("values", WRONG)
def test_a_wrong_type_or_range_is_refused_and_the_key_is_named(tool: Tool, values: str) -> None:
    refused = template(tool("helm"), *OPEN, "--set", values)

    assert refused.returncode != 0
    assert "values don't meet the specifications of the schema" in refused.stderr
    assert WRONG[values] in refused.stderr


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
        if not variable.startswith("TALLYKEEPER_"):
            continue  # added by extraEnv, for a library
        name = variable.removeprefix("TALLYKEEPER_").lower()
        assert name in set(types) | HTTP_SETTINGS
        if name in types and isinstance(value, str):
            types[name].convert(value, None, None)


def test_large_numbers_are_written_out(tool: Tool) -> None:
    variables = environment(tool("helm"), *OPEN, "--set", "settings.ledger_revisions_max=10000000")

    assert variables["TALLYKEEPER_LEDGER_REVISIONS_MAX"] == "10000000"


def probes(helm: Path, values: str) -> dict[str, Any]:
    """Return the three probes of the server's container for one of the values files."""
    found = container(helm, "--values", str(CHART / "ci" / f"{values}-values.yaml"))
    return {name: found[name] for name in ("startupProbe", "readinessProbe", "livenessProbe")}


def test_probes_ask_the_health_service_in_the_way_that_the_kubelet_can(tool: Tool) -> None:
    plain, tls, mutual = (probes(tool("helm"), each) for each in ("embedded", "external", "embedded-secure"))

    for probe in ("startupProbe", "readinessProbe"):
        assert plain[probe]["grpc"] == {"port": 50051}
        assert tls[probe]["httpGet"] == {"path": "/readyz", "port": "http", "scheme": "HTTPS"}
        command = mutual[probe]["exec"]["command"]
        assert command[:2] == ["tallykeeper", "health"]
        assert "--target=tallykeeper.shop.svc:50051" in command
        assert "--certificate=/etc/tallykeeper/probe/tls.crt" in command
    for each in (plain, tls, mutual):
        assert each["startupProbe"]["failureThreshold"] * each["startupProbe"]["periodSeconds"] == 300


def test_liveness_never_asks_for_health(tool: Tool) -> None:
    plain, tls, mutual = (
        probes(tool("helm"), each)["livenessProbe"] for each in ("embedded", "external", "embedded-secure")
    )

    assert plain["httpGet"] == {"path": "/healthz", "port": "http", "scheme": "HTTP"}
    assert tls["httpGet"] == {"path": "/healthz", "port": "http", "scheme": "HTTPS"}
    assert mutual["tcpSocket"] == {"port": "grpc"}
    assert all(set(each) & {"grpc", "exec"} == set() for each in (plain, tls, mutual))


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_a_pod_has_time_to_leave_the_load_balancers_and_to_drain(tool: Tool, values: Path) -> None:
    found = objects(tool("helm"), "--values", str(values))
    pod = (found.get("StatefulSet") or found["Deployment"])["spec"]["template"]["spec"]
    (sleep, seconds) = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]

    assert sleep == "sleep"
    assert pod["terminationGracePeriodSeconds"] > int(seconds) + Settings().drain_seconds


def every_object(helm: Path, *options: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return all rendered objects by kind and name."""
    rendered = template(helm, *options)
    assert rendered.returncode == 0, rendered.stderr
    found = [each for each in yaml.safe_load_all(rendered.stdout) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


@pytest.mark.parametrize(
    ("options", "in_service", "in_policy"),
    [
        ((), True, True),
        (("--set", "service.type=LoadBalancer"), False, True),
        (("--set", "service.type=LoadBalancer,http.service=always"), True, True),
        (("--set", "http.service=never"), False, False),
    ],
)
def test_clients_reach_http_unless_it_would_show_the_metrics_outside(
    tool: Tool, options: tuple[str, ...], *, in_service: bool, in_policy: bool
) -> None:
    found = every_object(tool("helm"), *OPEN, *options)
    clients, scrapers = found["NetworkPolicy", "shop-tallykeeper"]["spec"]["ingress"]

    def ports(service: str) -> set[str]:
        return {port["name"] for port in found["Service", service]["spec"]["ports"]}

    assert ports("shop-tallykeeper") == ({"grpc", "http"} if in_service else {"grpc"})
    assert {port["port"] for port in clients["ports"]} == ({"grpc", "http"} if in_policy else {"grpc"})
    assert ports("shop-tallykeeper-headless") == {"grpc", "http"}
    assert [port["port"] for port in scrapers["ports"]] == ["http"]


def test_the_policy_lets_the_server_reach_its_store_the_dns_and_what_is_named(tool: Tool) -> None:
    collector = "networkPolicy.egress[0].ports[0].port=4317"
    external = ("--values", str(CHART / "ci" / "external-values.yaml"))

    def egress(*options: str) -> list[Any]:
        return list(objects(tool("helm"), *options)["NetworkPolicy"]["spec"]["egress"])

    dns, store, named = egress(*external, "--set", collector)
    assert [port["port"] for port in dns["ports"]] == [53, 53]
    assert dns["to"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kube-system"}
    assert [port["port"] for port in store["ports"]] == [6379, 26379]
    assert named == {"ports": [{"port": 4317}]}
    assert egress(*OPEN, "--set", collector) == [named]
    assert "to" not in egress(*external, "--set-json", "networkPolicy.dns=[]")[0]


def test_prometheus_scrapes_over_tls_with_a_certificate_where_the_server_asks_for_one(tool: Tool) -> None:
    def endpoint(values: str) -> dict[str, Any]:
        found = objects(tool("helm"), "--values", str(CHART / "ci" / f"{values}-values.yaml"))
        return dict(found["ServiceMonitor"]["spec"]["endpoints"][0])

    tls, mutual = endpoint("external"), endpoint("embedded-secure")

    assert tls["scheme"] == mutual["scheme"] == "https"
    assert tls["tlsConfig"] == {
        "serverName": "localhost",
        "ca": {"secret": {"name": "tallykeeper-tls", "key": "ca.crt"}},
    }
    assert mutual["tlsConfig"]["keySecret"] == {"name": "tallykeeper-probe", "key": "tls.key"}
    plain = objects(tool("helm"), *OPEN, "--set", "serviceMonitor.enabled=true")["ServiceMonitor"]
    assert "tlsConfig" not in plain["spec"]["endpoints"][0]


def test_every_release_is_the_job_of_the_rules_and_the_dashboard(tool: Tool) -> None:
    found = objects(tool("helm"), *OPEN, "--set", "serviceMonitor.enabled=true,nameOverride=counts")
    (endpoint,) = found["ServiceMonitor"]["spec"]["endpoints"]

    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "tallykeeper"}]
    assert 'job="tallykeeper"' in (CHART / "files" / "alerts.yml").read_text()


def test_servers_are_spread_over_nodes_unless_the_values_say_how(tool: Tool) -> None:
    def spread(*options: str) -> list[Any]:
        found = objects(tool("helm"), *options)
        workload = found.get("Deployment") or found["StatefulSet"]
        return list(workload["spec"]["template"]["spec"].get("topologySpreadConstraints", ()))

    (default,) = spread("--values", str(CHART / "ci" / "external-plain-values.yaml"))
    (given,) = spread("--values", str(CHART / "ci" / "external-values.yaml"))

    assert default["topologyKey"] == "kubernetes.io/hostname"
    assert default["labelSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "shop"
    assert given["topologyKey"] == "topology.kubernetes.io/zone"
    assert spread(*OPEN) == []


def test_variables_and_volumes_can_be_added_by_reference(tool: Tool) -> None:
    values = str(CHART / "ci" / "external-plain-values.yaml")
    found = container(tool("helm"), "--values", values)
    pod = objects(tool("helm"), "--values", values)["Deployment"]["spec"]["template"]["spec"]

    assert {"name": "store-ca", "mountPath": "/etc/store-ca", "readOnly": True} in found["volumeMounts"]
    assert {"name": "store-ca", "secret": {"secretName": "redis-ca"}} in pod["volumes"]
    (variable,) = [each for each in found["env"] if each["name"] == "SSL_CERT_FILE"]
    assert variable["value"] == "/etc/store-ca/ca.crt"


def test_an_account_that_exists_is_used(tool: Tool) -> None:
    account = ("--set", "serviceAccount.create=false,serviceAccount.name=shared")
    found = objects(tool("helm"), *OPEN, *account)

    assert "ServiceAccount" not in found
    assert found["StatefulSet"]["spec"]["template"]["spec"]["serviceAccountName"] == "shared"
