"""The compose file is valid, opens nothing to the network, and its services find each other and their files."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import pytest
import yaml

from tallykeeper_server.store.embedded.valkey import find_binary
from tests.deploy.test_image import VARIABLES
from tests.deploy.tools import ROOT
from tests.support.server import PATIENCE_SECONDS, ServerProcess, store_process

COMPOSE: Final = ROOT / "deploy" / "compose.yaml"
GRAFANA: Final = ROOT / "deploy" / "grafana" / "provisioning"
CONSOLE_VARIABLES: Final = {"TALLYKEEPER_TARGET", "TALLYKEEPER_CONSOLE_LISTEN"}
Tool = Callable[[str], Path]


def services() -> dict[str, Any]:
    """Return the services of the compose file."""
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def mounts(service: str) -> dict[str, str]:
    """Return the mounts of a service: the place in the container, and the file, folder or volume."""
    return {target: source for source, target, *_ in (each.split(":") for each in services()[service]["volumes"])}


def load(compose: Path, file: Path) -> subprocess.CompletedProcess[str]:
    """Load a file with compose-go, as docker compose does."""
    return subprocess.run([compose, file], capture_output=True, text=True, check=False)


def test_the_file_follows_the_compose_specification(tool: Tool) -> None:
    loaded = load(tool("compose_spec"), COMPOSE)

    assert loaded.returncode == 0, loaded.stderr
    project = json.loads(loaded.stdout)
    assert set(project["services"]) == set(services())
    assert project["services"]["console"]["build"]["dockerfile"] == "deploy/Dockerfile"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("stop_grace_period: 30s", "stop_grace_time: 30s"),
        ("networks: [store]", "networks: [stores]"),
        ("valkey: {condition: service_healthy}", "redis: {condition: service_healthy}"),
        ("valkey-data: {}", ""),
    ],
)
def test_a_fault_in_the_file_is_found(tool: Tool, tmp_path: Path, right: str, wrong: str) -> None:
    text = COMPOSE.read_text()
    assert right in text
    broken = tmp_path / COMPOSE.name
    broken.write_text(text.replace(right, wrong, 1))

    assert load(tool("compose_spec"), broken).returncode == 1


def test_ports_are_open_on_loopback_alone_and_services_are_restricted() -> None:
    for service in services().values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert ":" in service["image"]
        assert not service["image"].endswith(":latest")
    assert services()["tallykeeper"]["read_only"] is True
    assert services()["console"]["read_only"] is True
    assert services()["valkey"]["networks"] == ["store"]


def test_every_variable_is_a_setting() -> None:
    assert set(services()["tallykeeper"]["environment"]) <= VARIABLES
    assert set(services()["console"]["environment"]) <= CONSOLE_VARIABLES


def test_the_files_that_it_mounts_exist() -> None:
    mounted = [source for name in services() if "volumes" in services()[name] for source in mounts(name).values()]
    files = [source for source in mounted if source[0] == "."]

    assert len(files) == 4
    assert [path for path in files if not (COMPOSE.parent / path).exists()] == []


def test_prometheus_scrapes_the_http_port_of_the_server() -> None:
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]

    assert job["job_name"] == "tallykeeper"
    assert job["static_configs"] == [{"targets": ["tallykeeper:50080"]}]
    assert set(services()["prometheus"]["networks"]) & set(services()["tallykeeper"]["networks"])


def test_grafana_finds_its_dashboard_and_prometheus() -> None:
    (provider,) = yaml.safe_load((GRAFANA / "dashboards" / "tallykeeper.yaml").read_text())["providers"]
    (source,) = yaml.safe_load((GRAFANA / "datasources" / "prometheus.yaml").read_text())["datasources"]
    mounted = mounts("grafana")

    assert mounted["/etc/grafana/provisioning"] == "./grafana/provisioning"
    dashboards = {Path(target).parent: file for target, file in mounted.items() if target.endswith(".json")}
    assert json.loads((COMPOSE.parent / dashboards[Path(provider["options"]["path"])]).read_text())["title"]
    assert source["url"] == "http://prometheus:9090"
    assert services()["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    assert set(services()["prometheus"]["networks"]) & set(services()["grafana"]["networks"])


def test_the_console_is_in_its_image_and_calls_the_server() -> None:
    console, server = services()["console"], services()["tallykeeper"]

    assert console["build"]["args"] == {"LOCK": "console"}
    assert (console["image"], console["build"]) == (server["image"], server["build"])
    assert console["command"][0] == "console"
    assert console["environment"]["TALLYKEEPER_TARGET"] == "tallykeeper:50051"
    assert set(console["networks"]) & set(server["networks"])


def test_the_server_serves_on_the_valkey_of_the_file_and_keeps_every_promise(tmp_path: Path) -> None:
    program, *options = services()["valkey"]["command"]
    environment = services()["tallykeeper"]["environment"]
    assert program == "valkey-server"

    with store_process(find_binary(None), tmp_path, *options) as url:
        variables = {**environment, "TALLYKEEPER_STORE": url, "PATH": "/usr/bin:/bin"}
        with ServerProcess(workers=None, cwd=tmp_path, environment=variables) as server:
            with urlopen(f"{server.http_url}/metrics", timeout=PATIENCE_SECONDS) as page:  # noqa: S310  # http
                metrics = page.read().decode()
            assert server.stop() == 0

    assert [line for line in metrics.splitlines() if line.startswith("tallykeeper_promises_broken")] == [
        "tallykeeper_promises_broken 0.0"
    ]
    assert server.events("serving")[0]["workers"] == int(environment["TALLYKEEPER_WORKERS"])
