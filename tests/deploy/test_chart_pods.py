"""The pods of the chart: their probes, rights, variables and volumes, and the time that they have to stop."""

import re
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from tallykeeper_server.settings import Settings
from tallykeeper_server.tracing.collector import Collector
from tallykeeper_server.tracing.environment import TraceSettings
from tallykeeper_server.tracing.sampler import NAMES, Sampler
from tests.deploy.chart import CHART, OPEN, VALUES, Tool, container, environment, objects
from tests.deploy.tools import KUBERNETES_VERSIONS, ROOT


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


def test_a_port_below_1024_is_free_for_a_server_without_rights(tool: Tool) -> None:
    others = ("--set", "podSecurityContext.sysctls[0].name=net.core.somaxconn")
    free = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
    contexts = [
        objects(tool("helm"), *OPEN, *options)["StatefulSet"]["spec"]["template"]["spec"]["securityContext"]
        for options in ((), ("--set", "service.port=443"), ("--set", "http.port=80", *others))
    ]

    assert [each.get("sysctls") for each in contexts] == [None, [free], [free, {"name": "net.core.somaxconn"}]]


@pytest.mark.parametrize("key", ["settings", "podSecurityContext", "resources", "extraEnv", "podLabels"])
def test_a_key_without_a_value_is_as_good_as_none(tool: Tool, key: str) -> None:
    assert container(tool("helm"), *OPEN, "--set", f"{key}=null")["args"] == ["serve"]


def test_a_cluster_can_choose_the_user_of_the_pod(tool: Tool) -> None:
    options = ("--set", "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null")
    pod = objects(tool("helm"), *OPEN, *options)["StatefulSet"]["spec"]["template"]["spec"]

    assert not {"runAsUser", "runAsGroup"} & set(pod["securityContext"])
    assert pod["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_variable_is_a_setting_and_has_a_value_that_the_server_takes(tool: Tool, values: Path) -> None:
    types = {setting.name: setting.metadata["type"] for setting in fields(Settings)}
    variables = environment(tool("helm"), "--values", str(values))

    assert variables
    for variable, value in variables.items():
        if not variable.startswith("TALLYKEEPER_"):
            continue  # added by extraEnv, for a library
        name = variable.removeprefix("TALLYKEEPER_").lower()
        assert name in types
        if isinstance(value, str):
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


def test_traces_are_variables_that_the_server_takes(tool: Tool) -> None:
    variables = environment(tool("helm"), "--values", str(CHART / "ci" / "embedded-traces-values.yaml"))
    traces = {name: value for name, value in variables.items() if name.startswith("OTEL_")}

    assert variables["TALLYKEEPER_TRACES"] == "true"
    assert traces == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.example.com:4317",
        "OTEL_EXPORTER_OTLP_HEADERS": {"secretKeyRef": {"name": "tallykeeper-otlp", "key": "otlp-headers"}},
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
    }
    given = {name: value if isinstance(value, str) else "api-key=x" for name, value in traces.items()}
    Collector(given)
    assert TraceSettings.from_environment(given).sampler == Sampler.of("parentbased_traceidratio", 0.1)


def test_traces_need_only_an_endpoint(tool: Tool) -> None:
    endpoint = ("--set", "traces.endpoint=http://collector:4317")
    off = environment(tool("helm"), *OPEN, *endpoint)
    on = environment(tool("helm"), *OPEN, *endpoint, "--set", "traces.enabled=true")

    assert set(on.items()) - set(off.items()) == {
        ("TALLYKEEPER_TRACES", "true"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
    }


def test_the_share_of_traces_may_be_given_on_the_command_line(tool: Tool) -> None:
    traces = "traces.enabled=true,traces.endpoint=http://collector:4317,traces.sampler=traceidratio"
    variables = environment(tool("helm"), *OPEN, "--set", f"{traces},traces.samplerArgument=0.01")

    assert variables["OTEL_TRACES_SAMPLER_ARG"] == "0.01"


@pytest.mark.parametrize("sampler", NAMES)
def test_every_sampler_of_the_server_may_be_chosen(tool: Tool, sampler: str) -> None:
    traces = f"traces.enabled=true,traces.endpoint=http://collector:4317,traces.sampler={sampler}"

    assert environment(tool("helm"), *OPEN, "--set", traces)["OTEL_TRACES_SAMPLER"] == sampler


def test_an_account_that_exists_is_used(tool: Tool) -> None:
    account = ("--set", "serviceAccount.create=false,serviceAccount.name=shared")
    found = objects(tool("helm"), *OPEN, *account)

    assert "ServiceAccount" not in found
    assert found["StatefulSet"]["spec"]["template"]["spec"]["serviceAccountName"] == "shared"


def test_the_pod_that_restores_has_the_rights_and_the_volume_of_the_server(tool: Tool, tmp_path: Path) -> None:
    found = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL)
    (documented,) = found
    restoring = yaml.safe_load(documented)["spec"]
    workload = objects(tool("helm"), *OPEN)["StatefulSet"]["spec"]
    serving = workload["template"]["spec"]
    (used,), (server,) = restoring["containers"], serving["containers"]

    assert used["image"] == server["image"]
    assert used["securityContext"] == server["securityContext"]
    assert restoring["securityContext"].items() <= serving["securityContext"].items()
    assert {each["name"]: each for each in used["volumeMounts"]} == {
        each["name"]: each for each in server["volumeMounts"]
    }
    (claim,) = workload["volumeClaimTemplates"]
    volumes = {volume["name"]: volume for volume in restoring["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == f"{claim['metadata']['name']}-tallykeeper-0"

    (tmp_path / "pod.yaml").write_text(documented)
    location = f"{tool('schemas') / KUBERNETES_VERSIONS[0]}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    command: list[str | Path] = [tool("kubeconform"), "-strict", "-schema-location", location, tmp_path / "pod.yaml"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
