"""The built wheel: its files, and a server that runs from it in a separate environment."""

import os
import subprocess
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.packaging.users_steps import played_demo
from tests.support.server import ServerProcess

ROOT = Path(__file__).parents[2]
ROOTS = ("protos", "lua", "server", "client")


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a clean environment, with the wheel installed and the requirements of this environment.

    A path entry gives access to the requirements. It does not read this environment's .pth files, so that the editable
    installation stays invisible.
    """
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, with_pip=True)
    programs = directory / "bin"
    pip: list[str | Path] = [
        programs / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--no-index",
        "--no-deps",
    ]
    subprocess.run([*pip, wheel], check=True, capture_output=True)
    site_packages = Path(sysconfig.get_path("purelib", vars={"base": str(directory), "platbase": str(directory)}))
    (site_packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}

    sources = {
        str(path.relative_to(ROOT / root))
        for root in ROOTS
        for package in (ROOT / root).glob("tallykeeper*")
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == sources
    assert {Path(name).suffix for name in packed} >= {".py", ".pyi", ".proto", ".lua", ".json", ".typed"}


@pytest.mark.long
def test_the_wheel_serves_and_plays_the_demo(environment: Path, tmp_path: Path) -> None:
    tallykeeper = environment / "tallykeeper"

    with ServerProcess(workers=None, cwd=tmp_path, program=tallykeeper) as server:
        demo = played_demo(tallykeeper, server, tmp_path, os.environ)

    assert demo.returncode == 0, demo.stderr
    assert "10 of 50 buyers served" in demo.stdout
    assert (tmp_path / "tallykeeper-data").is_dir()


@pytest.mark.long
def test_the_wheel_itself_is_imported(environment: Path, tmp_path: Path) -> None:
    imports = "import tallykeeper_server, tallykeeper.v1.counter_pb2; print(tallykeeper_server.__file__)"

    finished = subprocess.run(
        [environment / "python", "-c", imports], cwd=tmp_path, capture_output=True, check=True, text=True
    )

    assert finished.stdout.startswith(str(environment.parent))
