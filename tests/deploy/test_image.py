"""The Dockerfile passes its lint, and its steps make a program that serves. `make image-check` builds it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from tallykeeper_server.settings import Settings
from tests.conformance.build_tools import NoPackagesError, build
from tests.deploy.image.__main__ import main as image_check
from tests.deploy.image.podman import PodmanError
from tests.deploy.tools import ROOT
from tests.support.server import PATIENCE_SECONDS, ServerProcess
from tools.compiled_server import MODULES, lacks_to_compile

DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
PLACES: Final = ("/build", "/installer", "/opt/tallykeeper", "/source", "/wheel")
"""The folders of the stages that build."""
VARIABLES: Final = {f"TALLYKEEPER_{setting.name.upper()}" for setting in fields(Settings)} | {"TALLYKEEPER_HTTP_LISTEN"}


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


def copies(stage: list[tuple[str, str]]) -> Iterator[tuple[list[str], str]]:
    """Yield the sources and the target of each COPY of a stage that takes files of the repository."""
    for name, rest in stage:
        *sources, target = shlex.split(rest)
        if name == "COPY" and not rest.startswith("--from="):
            yield sources, target


def test_hadolint_finds_nothing(tool: Callable[[str], Path]) -> None:
    ran = subprocess.run([tool("hadolint"), DOCKERFILE], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout


def test_the_image_runs_as_a_user_with_a_check_and_a_clean_stop() -> None:
    *_, last = stages()
    image = dict(last)

    assert image["USER"] == "10001:10001"
    assert image["STOPSIGNAL"] == "SIGTERM"
    assert image["ENTRYPOINT"] == '["tallykeeper"]'
    assert image["CMD"] == '["serve"]'
    assert image["HEALTHCHECK"].endswith('CMD ["tallykeeper", "health"]')
    assert image["VOLUME"] == "/data"


def test_every_variable_of_the_image_is_a_setting() -> None:
    named = set(re.findall(r"TALLYKEEPER_[A-Z_]+", DOCKERFILE.read_text()))

    assert named
    assert named <= VARIABLES


def test_what_the_image_copies_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [source for stage in stages() for sources, _ in copies(stage) for source in sources]

    assert copied
    assert [
        source for source in copied if not any(each == source or each.startswith(f"{source}/") for each in sent)
    ] == []
    assert [each for each in sent if not (ROOT / each).exists()] == []


def test_every_package_of_the_wheel_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert [each for each in packages if not {each, each.partition("/")[0]} & sent] == []


def test_the_check_of_the_image_says_why_it_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert image_check([]) == 0
    assert capsys.readouterr().out == "The image is not checked: podman is not on PATH\n"


def test_the_check_of_the_image_says_why_there_is_no_base(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    podman = tmp_path / "podman"
    podman.write_text("#!/bin/sh\ntest $1 = pull && echo 'dial tcp: lookup registry: no such host' >&2\nexit 1\n")
    podman.chmod(0o755)
    monkeypatch.setattr("tests.deploy.image.podman.RUNTIME", ())
    monkeypatch.setenv("PATH", str(tmp_path))

    assert image_check([]) == 0
    assert "no registry gives the base, and a stand-in needs root and debootstrap" in capsys.readouterr().out


def test_a_podman_that_does_not_work_is_no_reason_to_leave_the_check_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    podman = tmp_path / "podman"
    podman.write_text("#!/bin/sh\necho 'the storage is damaged' >&2\nexit 125\n")
    podman.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PodmanError, match="the storage is damaged"):
        image_check([])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program folder of the image, made by the steps of its first stages in a folder of the test.

    Both stages have the same folders here, so that what one copies from the other is there already. The modules are
    compiled without optimization, which would take a minute.
    """
    root = tmp_path_factory.mktemp("image")
    places = {each: root / each.rpartition("/")[2] for each in PLACES}

    def here(text: str) -> str:
        pattern = "|".join(f"(?<![\\w.-]){re.escape(place)}(?![\\w-])" for place in places)
        return re.sub(pattern, lambda found: str(places[found[0]]), text)

    places["/source"].mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # `python` is this one
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_QUIET": "1"}
    environment = {**os.environ, **quiet, "PATH": path, "MYPYC_OPT_LEVEL": "0"}
    try:
        for name, rest in chain.from_iterable(stages()[:-1]):
            for sources, target in copies([(name, rest)]):
                _copy(sources, places["/source"] / target)
            if name == "ARG":
                argument, _, default = rest.partition("=")
                environment[argument] = default if argument != "COMPILED" or not lacks_to_compile() else "false"
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
    kept = {"tallykeeper_cli", "tallykeeper_client", "tallykeeper_console"}
    return (name for name in names if name == "__pycache__" or (is_client and name not in kept))


@pytest.mark.long
def test_the_steps_of_the_image_compile_the_modules_if_there_is_a_compiler(built: Path) -> None:
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    (package,) = built.glob("lib/*/site-packages/tallykeeper_server")

    compiled = {str(path.relative_to(package)).removesuffix(suffix) + ".py" for path in package.rglob(f"*{suffix}")}

    assert compiled == (set(MODULES) if not lacks_to_compile() else set())


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
