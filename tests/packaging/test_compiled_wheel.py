"""The wheel with compiled modules: its files, and a server that runs from it."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support.server import PATIENCE_SECONDS, ServerProcess
from tools.compiled_server import MODULES, lacks_to_compile

ROOT = Path(__file__).parents[2]
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(lacks_to_compile()), reason=lacks_to_compile()),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, compiled from this working tree without optimization, which would take a minute."""
    directory = tmp_path_factory.mktemp("wheel")
    command: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory]
    environment = {**os.environ, "HATCH_BUILD_HOOK_ENABLE_CUSTOM": "true", "MYPYC_OPT_LEVEL": "0"}
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env=environment)
    (built,) = directory.glob("*.whl")
    return built


def test_a_compiled_wheel_is_for_one_platform_and_has_each_module_compiled_and_as_source(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())

    modules = {f"tallykeeper_server/{module}" for module in MODULES}
    assert packed >= modules
    compiled = {name for name in packed if name.endswith(SUFFIX)}
    assert {name.removesuffix(SUFFIX) + ".py" for name in compiled if "__mypyc" not in name} == modules
    assert not wheel.name.endswith("-none-any.whl")


def test_a_server_from_a_compiled_wheel_plays_the_demo(wheel: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "COLUMNS": "120"}
    program = "from tallykeeper_server.engine import lane; print(lane.__file__)"
    lane = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment)
    assert lane.stdout.strip() == str(unpacked / f"tallykeeper_server/engine/lane{SUFFIX}")

    with ServerProcess(cwd=tmp_path, environment=environment) as server:
        demo = subprocess.run(
            [Path(sys.executable).with_name("tallykeeper"), "demo", "--target", server.target],
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE_SECONDS,
            env=environment,
        )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert not server.events("defect")
