"""The wheel with compiled modules: its files, its tag, and a server that runs from it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.packaging.users_steps import options_of_choice, played_demo
from tests.support.server import TALLYKEEPER, ServerProcess
from tools import compiled_dist
from tools.compiled_server import MODULES, lacks_to_compile

ROOT = Path(__file__).parents[2]
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(lacks_to_compile()), reason=lacks_to_compile()),
]


@pytest.fixture(scope="module")
def compiled_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, compiled from this working tree without optimization, which would take a minute."""
    directory = tmp_path_factory.mktemp("wheel")
    command: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory]
    environment = {**os.environ, "HATCH_BUILD_HOOK_ENABLE_CUSTOM": "true", "MYPYC_OPT_LEVEL": "0"}
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env=environment)
    (built,) = directory.glob("*.whl")
    return built


def test_a_compiled_wheel_is_for_one_platform_and_has_each_module_compiled_and_as_source(
    compiled_wheel: Path,
) -> None:
    with zipfile.ZipFile(compiled_wheel) as archive:
        packed = set(archive.namelist())

    modules = {f"tallykeeper_server/{module}" for module in MODULES}
    assert packed >= modules
    compiled = {name for name in packed if name.endswith(SUFFIX)}
    assert {name.removesuffix(SUFFIX) + ".py" for name in compiled if "__mypyc" not in name} == modules
    assert not compiled_wheel.name.endswith("-none-any.whl")


def test_pip_prefers_a_compiled_wheel_to_the_wheel_for_all_platforms(
    compiled_wheel: Path, wheel: Path, tmp_path: Path
) -> None:
    folder, target = tmp_path / "dist", tmp_path / "target"
    folder.mkdir()
    for each in (compiled_wheel, wheel):
        shutil.copy(each, folder)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--quiet", "install", "--target", target]

    subprocess.run([*pip, *options_of_choice(folder), "tallykeeper"], check=True)

    assert (target / f"tallykeeper_server/engine/lane{SUFFIX}").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="auditwheel is for Linux")
def test_auditwheel_changes_only_the_tag_which_pypi_accepts(compiled_wheel: Path) -> None:
    if not Path(sys.executable).with_name("auditwheel").exists():
        pytest.skip("auditwheel is not installed: make dist-compiled installs it")

    repaired = compiled_dist.repair(compiled_wheel)

    assert "manylinux_2_" in repaired.name
    assert "-linux_" not in repaired.name
    assert contents(repaired) == contents(compiled_wheel)


def contents(wheel: Path) -> dict[str, int]:
    """Return the files of a wheel with their checksums, but those that name the tag without it."""
    with zipfile.ZipFile(wheel) as archive:
        files = {file.filename: file.CRC for file in archive.infolist() if not file.is_dir()}
    return {name: 0 if name.endswith(("/WHEEL", "/RECORD")) else crc for name, crc in files.items()}


def test_a_server_from_a_compiled_wheel_plays_the_demo(compiled_wheel: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(compiled_wheel) as archive:
        archive.extractall(unpacked)
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "COLUMNS": "120"}
    program = "from tallykeeper_server.engine import lane; print(lane.__file__)"
    lane = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment)
    assert lane.stdout.strip() == str(unpacked / f"tallykeeper_server/engine/lane{SUFFIX}")

    with ServerProcess(cwd=tmp_path, environment=environment) as server:
        demo = played_demo(TALLYKEEPER, server, tmp_path, environment)

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert not server.events("defect")
