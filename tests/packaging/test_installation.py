"""The check of a release that is installed finds a wrong one. ``make test-dist`` runs it with a whole release."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.packaging import __main__ as installation
from tools.compiled_server import MODULES

THIS_PYTHON = f"cp{sys.version_info.major}{sys.version_info.minor}"


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("tallykeeper-0.1.0-py3-none-any.whl", True),
        (f"tallykeeper-0.1.0-{THIS_PYTHON}-none-any.whl", True),
        ("tallykeeper-0.1.0-cp310-cp310-manylinux_2_17_x86_64.whl", False),
        (f"tallykeeper-0.1.0-{THIS_PYTHON}-{THIS_PYTHON}-manylinux_2_17_s390x.whl", False),
    ],
)
def test_a_wheel_fits_this_python_and_platform(name: str, *, fits: bool) -> None:
    assert installation.fits(Path(name)) is fits


@pytest.mark.long
def test_a_pure_wheel_in_place_of_a_compiled_one_is_found(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "no-requirements.txt"
    lock.touch()
    monkeypatch.setattr(installation, "LOCK", lock)
    shutil.copy(wheel, tmp_path)
    programs = installation.install(tmp_path, tmp_path / "environment")

    installation.check_modules(programs, set())
    with pytest.raises(installation.WrongInstallationError, match=f"0 modules are compiled, not {len(MODULES)}"):
        installation.check_modules(programs, set(MODULES))
