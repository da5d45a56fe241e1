"""The Helm chart renders for each values file, as Kubernetes' schemas ask, and refuses values that cannot work."""

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Final

import pytest
import yaml

from tallykeeper_server.settings import Settings
from tests.deploy.chart import CHART, OPEN, VALUES, Tool, every_object, objects, template
from tests.deploy.tools import KUBERNETES_VERSIONS

EXTERNAL: Final = ("--set", "store.kind=external,store.external.urlSecret.name=store")


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
        ((*OPEN, "--set", "replicas=3"), "replicas 3 needs store.kind external"),
        ((*OPEN, "--set", "autoscaling.enabled=true"), "an embedded store has one server"),
        ((*OPEN, "--set", "tls.clientCA.secretName=ca"), "only TLS has client certificates"),
        ((*OPEN, "--set", "tls.secretName=a,tls.clientCA.secretName=ca"), "probeSecretName is empty"),
        ((*OPEN, "--set", "settings.drain_seconds=55.5"), "terminationGracePeriodSeconds must be more"),
        ((*OPEN, "--set", "settings.listen=x"), "listen"),
        ((*OPEN, "--set", "replica=3"), "replica"),
        ((*OPEN, "--set", "store.kind=memory"), "kind"),
        (
            (*OPEN, *EXTERNAL, "--set", "autoscaling.enabled=true,resources.requests.cpu=null"),
            "autoscaling.enabled needs resources.requests.cpu",
        ),
        ((*OPEN, "--set", "autoscaling.minReplicas=11"), "is more than autoscaling.maxReplicas 10"),
        ((*OPEN, "--set", "service.port=50080"), "service.port and http.port are both 50080"),
        ((*OPEN, "--set", "traces.enabled=true"), "traces.endpoint is empty"),
        (
            (*OPEN, "--set", "traces.sampler=always_on,traces.samplerArgument=0.5"),
            "traces.samplerArgument 0.5 needs traces.sampler traceidratio",
        ),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(tool: Tool, options: tuple[str, ...], message: str) -> None:
    refused = template(tool("helm"), *options)

    assert refused.returncode != 0
    assert message in refused.stderr


SET_BY_THE_CHART: Final = {
    *("access_file", "allow_anonymous", "allow_plaintext", "data_dir", "http_listen", "listen", "store"),
    *("tls_certificate", "tls_client_ca", "tls_key", "traces", "workers"),
}
"""The settings that have their own values in the chart."""

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
    "settings.durabilty=memory": "durabilty",
    "settings.log_level={info}": "log_level",
    "tls.secretName=Not_A_Name": "secretName",
    "access.allowAnonymous=1": "allowAnonymous",
    "networkPolicy.clients=all": "clients",
    "networkPolicy.egress[0]=all": "egress",
    "settings.traces=true": "traces",
    "traces.enabled=yes": "enabled",
    "traces.endpoint=collector:4317": "endpoint",
    "traces.endpoint=http://collector": "endpoint",
    "traces.sampler=sometimes": "sampler",
    "traces.samplerArgument=1.5": "samplerArgument",
    "traces.headers=api-key": "headers",
    "traces.headersSecret.name=Not_A_Name": "name",
    "traces.peers=all": "peers",
    "serviceMonitor.interval=15": "interval",
    "terminationGracePeriodSeconds=1m": "terminationGracePeriodSeconds",
    "preStopSeconds=-1": "preStopSeconds",
    "extraEnv[0].value=x": "extraEnv",
    "extraVolumes.name=x": "extraVolumes",
    "podSecurityContext=none": "podSecurityContext",
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


NUMBERS: Final = (
    *("--set-string", "store.kind=external,store.external.urlSecret.name=1,store.external.urlSecret.key=2"),
    *("--set-string", "tls.secretName=3,tls.serverName=4,tls.clientCA.secretName=5,tls.clientCA.probeSecretName=6"),
    *("--set-string", "access.secretName=7,priorityClassName=8,serviceAccount.name=9,traces.headersSecret.name=10"),
    *("--set", "traces.enabled=true,traces.endpoint=http://c:1,serviceMonitor.enabled=true,dashboard.enabled=true"),
    *("--set", "prometheusRule.enabled=true,autoscaling.enabled=true"),
)
"""Names that YAML takes for numbers if they have no quotes."""
NAME_KEYS: Final = re.compile("(.*[nN]ame|key|app.kubernetes.io/.*)")


def names_in(tree: object) -> Iterator[object]:
    """Yield the values of all keys that hold a name."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if NAME_KEYS.fullmatch(key) and not isinstance(value, (dict, list)):
                yield value
            yield from names_in(value)
    elif isinstance(tree, list):
        for each in tree:
            yield from names_in(each)


@pytest.mark.parametrize("options", [NUMBERS, (*OPEN, "--set-string", "store.embedded.storageClassName=1")])
@pytest.mark.parametrize("release", ["2024", "1e3", "true", "shop.eu", "a" * 53])
def test_names_are_texts_and_fit_whatever_the_release_is_called(
    tool: Tool, release: str, options: tuple[str, ...]
) -> None:
    found = every_object(tool("helm"), *options, release=release)

    names = list(names_in(list(found.values())))
    assert len(names) > 30
    assert [name for name in names if not isinstance(name, str)] == []
    for kind, name in found:
        assert re.fullmatch("[a-z0-9][-a-z0-9]{0,62}", name), f"{kind} {name}"


def test_the_schema_has_every_setting_that_the_chart_does_not_set_itself() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    names = schema["properties"]["settings"]["propertyNames"]["enum"]

    assert names == [setting.name for setting in fields(Settings) if setting.name not in SET_BY_THE_CHART]


def test_an_embedded_store_is_one_server_with_a_volume(tool: Tool) -> None:
    found = objects(tool("helm"), *OPEN)
    spec = found["StatefulSet"]["spec"]

    assert spec["replicas"] == 1
    assert spec["podManagementPolicy"] == "OrderedReady"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert found["NetworkPolicy"]["spec"]["egress"] == []
    assert not {"Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"} & set(found)


def test_an_external_store_has_two_servers_or_as_many_as_the_values_say(tool: Tool) -> None:
    external = ("--values", str(CHART / "ci" / "external-values.yaml"), "--set", "autoscaling.enabled=false")

    assert objects(tool("helm"), *external)["Deployment"]["spec"]["replicas"] == 2
    assert objects(tool("helm"), *external, "--set", "replicas=5")["Deployment"]["spec"]["replicas"] == 5


def test_an_external_store_is_a_deployment_that_grows(tool: Tool) -> None:
    found = objects(tool("helm"), "--values", str(CHART / "ci" / "external-values.yaml"))

    assert "replicas" not in found["Deployment"]["spec"]
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["kind"] == "Deployment"
    assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] == "34%"
    assert {"ServiceMonitor", "PrometheusRule"} <= set(found)
    assert "StatefulSet" not in found


@pytest.mark.parametrize(
    ("values", "target", "options"),
    [
        ("embedded", "127.0.0.1:50051", ""),
        ("external", "localhost:50051", " --ca ca.pem --token-file TOKEN"),
        (
            "embedded-secure",
            "tallykeeper.shop.svc:50051",
            " --ca ca.pem --certificate CERTIFICATE --key KEY --token-file TOKEN",
        ),
    ],
)
def test_the_notes_have_the_command_that_reaches_the_server(
    tool: Tool, tmp_path: Path, values: str, target: str, options: str
) -> None:
    notes = notes_of(tool("helm"), tmp_path / "chart", values)

    assert f"  tallykeeper status --target {target}{options}\n" in notes
    assert ("get secret tallykeeper-tls --output 'jsonpath={.data.ca\\.crt}'" in notes) == ("--ca" in options)
    assert ("/etc/hosts" in notes) == ("shop.svc" in target)
    assert ("speaks plaintext" in notes) == (not options)


def notes_of(helm: Path, chart: Path, values: str) -> str:
    """Return the notes of an installation. helm shows them with a cluster alone, so a copy has them in an object."""
    shutil.copytree(CHART, chart)
    notes = chart / "templates" / "NOTES.txt"
    notes.rename(chart / notes.name)
    (chart / "templates" / "notes.yaml").write_text('kind: Notes\ntext: {{ tpl (.Files.Get "NOTES.txt") . | quote }}\n')
    options = ("--values", str(CHART / "ci" / f"{values}-values.yaml"), "--show-only", "templates/notes.yaml")
    command: list[str | Path] = [helm, "template", "shop", chart, "--kube-version", KUBERNETES_VERSIONS[-1], *options]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return str(yaml.safe_load(rendered)["text"])


def test_the_package_has_what_its_users_need_and_not_the_values_of_the_tests(tool: Tool, tmp_path: Path) -> None:
    packaged = subprocess.run(
        [tool("helm"), "package", CHART, "--destination", tmp_path], capture_output=True, text=True, check=False
    )
    assert packaged.returncode == 0, packaged.stderr
    (archive,) = tmp_path.glob("tallykeeper-*.tgz")
    with tarfile.open(archive) as opened:
        names = {name.removeprefix("tallykeeper/") for name in opened.getnames()}

    files = {str(file.relative_to(CHART)) for file in CHART.rglob("*") if file.is_file()}
    assert names == {name for name in files if not name.startswith("ci/")}
    assert {"README.md", "values.schema.json", "files/alerts.yml", "files/dashboard.json"} <= names
