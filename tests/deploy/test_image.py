"""The Dockerfile passes its lint, its steps make a program that serves, and compose opens nothing to the network."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tallykeeper_server.settings import Settings
from tests.conformance.building import NoPackagesError, build
from tests.deploy.tools import ROOT
from tests.support.server import PATIENCE_SECONDS, ServerProcess

DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
COMPOSE: Final = ROOT / "deploy" / "compose.yaml"
VARIABLES: Final = {f"TALLYKEEPER_{setting.name.upper()}" for setting in fields(Settings)} | {"TALLYKEEPER_HTTP_LISTEN"}
_OURS: Final = {"tallykeeper"}


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments, each on one line."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE))
    return [(name, rest) for line in joined.splitlines() if line for name, _, rest in [line.partition(" ")]]


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage."""
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        elif found:
            found[-1].append((name, rest))
    return found


def services() -> dict[str, Any]:
    """Return the services of the compose file."""
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def test_hadolint_finds_nothing(tool: Callable[[str], Path]) -> None:
    ran = subprocess.run([tool("hadolint"), DOCKERFILE], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout


def test_the_image_runs_as_a_user_with_a_check_and_a_clean_stop() -> None:
    _, last = stages()
    image = dict(last)

    assert image["USER"] == "10001:10001"
    assert image["STOPSIGNAL"] == "SIGTERM"
    assert image["ENTRYPOINT"] == '["tallykeeper"]'
    assert image["CMD"] == '["serve"]'
    assert image["HEALTHCHECK"].endswith('CMD ["tallykeeper", "health"]')
    assert image["VOLUME"] == "/data"


def test_every_variable_of_the_image_and_of_compose_is_a_setting() -> None:
    named = set(re.findall(r"TALLYKEEPER_[A-Z_]+", DOCKERFILE.read_text()))
    given = set(services()["tallykeeper"]["environment"])

    assert named
    assert given
    assert named | given <= VARIABLES


def test_what_the_image_copies_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [source for name, rest in stages()[0] if name == "COPY" for source in shlex.split(rest)[:-1]]

    assert copied
    assert [
        source for source in copied if not any(each == source or each.startswith(f"{source}/") for each in sent)
    ] == []
    assert [each for each in sent if not (ROOT / each).exists()] == []


def test_compose_opens_ports_on_loopback_alone_and_restricts_its_services() -> None:
    for service in services().values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert ":" in service["image"]
        assert not service["image"].endswith(":latest")
    assert services()["tallykeeper"]["read_only"] is True
    assert services()["valkey"]["networks"] == ["store"]


def test_the_files_that_compose_mounts_exist() -> None:
    mounted = [
        volume.split(":")[0]
        for service in services().values()
        for volume in service.get("volumes", ())
        if volume[0] == "."
    ]

    assert mounted
    assert [path for path in mounted if not (COMPOSE.parent / path).exists()] == []


def test_prometheus_scrapes_the_http_port() -> None:
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]

    assert job["job_name"] == "tallykeeper"
    assert job["static_configs"] == [{"targets": ["tallykeeper:50080"]}]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program folder of the image, made by the steps of its first stage in a folder of the test."""
    root = tmp_path_factory.mktemp("image")
    places = {"/build": root / "build", "/opt/tallykeeper": root / "opt", "/source": root / "source"}

    def here(text: str) -> str:
        pattern = "|".join(f"(?<![\\w.-]){re.escape(place)}(?![\\w-])" for place in places)
        return re.sub(pattern, lambda found: str(places[found[0]]), text)

    places["/source"].mkdir()
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_QUIET": "1"}
    try:
        for name, rest in stages()[0]:
            if name == "COPY":
                *sources, target = shlex.split(rest)
                _copy(sources, places["/source"] / target)
            elif name == "RUN":
                build(["bash", "-ec", here(rest)], folder=places["/source"], environment=environment)
    except NoPackagesError as error:
        pytest.skip(f"the packages of the image cannot be had: {error}")
    return places["/opt/tallykeeper"]


def _copy(sources: list[str], target: Path) -> None:
    for source in sources:
        path = ROOT / source
        if path.is_dir():
            shutil.copytree(path, target, ignore=_not_sent)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def _not_sent(folder: str, names: list[str]) -> Iterator[str]:
    """Yield what .dockerignore keeps from the builder."""
    is_client = Path(folder) == ROOT / "client"
    kept = {"tallykeeper_cli", "tallykeeper_client"}
    return (name for name in names if name == "__pycache__" or (is_client and name not in kept))


@pytest.mark.long
def test_the_steps_of_the_image_make_a_server_that_is_healthy(built: Path, tmp_path: Path) -> None:
    tallykeeper = built / "bin" / "tallykeeper"
    before = set(built.rglob("*"))
    environment = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}
    with ServerProcess(
        "--data-dir", str(tmp_path / "data" / "tallykeeper"), program=tallykeeper, environment=environment, cwd=tmp_path
    ) as server:
        checked = subprocess.run(
            [tallykeeper, "health", "--target", server.target],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
            env=environment,
        )
        assert server.stop() == 0

    assert (checked.returncode, checked.stdout) == (0, "serving\n")
    assert set(built.rglob("*")) == before
    assert not (built / "bin" / "pip").exists()
    assert list(built.rglob("tallykeeper_server/__pycache__/*.pyc"))
