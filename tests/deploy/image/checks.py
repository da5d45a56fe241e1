"""Checks of the built image while it runs. ``tests.deploy.image`` builds it and then runs this file.

The containers are as strict as docs/deploy.md shows: a read-only root, no capabilities, and not even a network.
Commands in the container call its server.
"""

import json
import subprocess
import uuid
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.image.podman import (
    CONSOLE_IMAGE,
    IMAGE,
    PURE_IMAGE,
    Container,
    PodmanError,
    inspected,
    podman,
    volume,
)
from tests.support.server import TALLYKEEPER, wait_until
from tools.compiled_server import MODULES

OPEN: Final = ("--env", "TALLYKEEPER_ALLOW_PLAINTEXT=true", "--env", "TALLYKEEPER_ALLOW_ANONYMOUS=true")
UNPRIVILEGED: Final = "10001"
MIB: Final = 2**20
ADDED_MIB_MAX: Final = 200
"""The most that Tallykeeper and its requirements may add to the base."""
STATUS: Final = "print(open('/proc/1/status').read().strip())"
ENTRIES: Final = """
import sys, pathlib
program = pathlib.Path('/opt/tallykeeper')
print(sorted(str(path) for path in program.rglob('*') if path.name in {'tests', 'test', 'pip', 'gcc', 'cc'}))
print(sorted(path.name for path in program.glob('lib/*/site-packages/tallykeeper*') if path.is_dir()))
print(sum(1 for _ in program.glob('lib/*/site-packages/tallykeeper_server/__pycache__/*.pyc')))
"""
COMPILERS: Final = "import shutil; print([name for name in ('cc', 'gcc', 'clang', 'c++', 'ld') if shutil.which(name)])"
COMPILED_FILES: Final = """
import pathlib, sysconfig
suffix = sysconfig.get_config_var('EXT_SUFFIX')
package = pathlib.Path(sysconfig.get_path('purelib'), 'tallykeeper_server')
for path in package.rglob('*' + suffix):
    print(str(path.relative_to(package)).removesuffix(suffix) + '.py')
"""
LOADED_FILES: Final = """
import pathlib
for process in pathlib.Path('/proc').glob('[0-9]*'):
    if 'tallykeeper_server.workers.worker' in (process / 'cmdline').read_text().split('\\0'):
        for line in (process / 'maps').read_text().splitlines():
            _, _, module = line.partition('/site-packages/')
            if '__mypyc' in module or module.startswith('tallykeeper_server/'):
                print(module)
"""
"""Prints the compiled files that the workers of the server have loaded. One library has the code of all modules.
Modules that only compiled ones import come from it alone; the others have a file that is loaded too."""


COUNT: Final = """
from tallykeeper_client import Client
with Client('127.0.0.1:50051', retries=False) as client, open('/data/acknowledged', 'w', buffering=1) as file:
    while True:
        client.increment('visits')
        file.write('+\\n')
"""
COUNTED_MIN: Final = 100


@pytest.fixture
def data() -> Iterator[str]:
    """A new volume."""
    with volume(f"data-{uuid.uuid4().hex}") as name:
        yield name


@pytest.fixture(scope="module")
def server() -> Iterator[Container]:
    """A server that runs as the image says."""
    with (
        volume(f"data-{uuid.uuid4().hex}") as name,
        Container(IMAGE, options=(*OPEN, "--volume", f"{name}:/data")) as made,
    ):
        made.wait_for('"event": "serving"')
        yield made


def config(image: str) -> dict[str, Any]:
    """Return the settings of an image for its containers."""
    return dict(inspected(image)["Config"])


def health_check() -> list[str]:
    """Return the command of the image's health check."""
    return list(inspected(IMAGE)["Healthcheck"]["Test"])


def test_the_image_says_how_it_is_run() -> None:
    said = config(IMAGE)

    assert (said["Entrypoint"], said["Cmd"]) == (["tallykeeper"], ["serve"])
    assert (said["User"], said["StopSignal"], said["WorkingDir"]) == ("10001:10001", "SIGTERM", "/data")
    assert said["Volumes"] == {"/data": {}}
    assert set(said["ExposedPorts"]) == {"50051/tcp", "50080/tcp"}
    assert health_check() == ["CMD", "tallykeeper", "health"]


def test_the_image_has_the_labels_of_the_open_container_initiative() -> None:
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config(IMAGE)["Labels"].items()}

    assert labels["title"] == "Tallykeeper"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["source"] == "https://github.com/tallykeeper/tallykeeper"
    assert labels["base.name"].partition(":")[0].endswith("/python")


def test_the_image_adds_little_to_its_base() -> None:
    image, base = inspected(IMAGE), inspected(config(IMAGE)["Labels"]["org.opencontainers.image.base.name"])

    added = (image["Size"] - base["Size"]) / MIB
    print(f"\nthe image has {image['Size'] / MIB:.0f} MiB, {added:.0f} MiB of which it adds to the base")  # noqa: T201
    assert 0 < added < ADDED_MIB_MAX


def test_the_image_has_the_packages_of_tallykeeper_and_neither_pip_nor_tests(server: Container) -> None:
    unwanted, packages, compiled = server.execute("python", "-c", ENTRIES).splitlines()

    assert unwanted == "[]"
    assert {"tallykeeper", "tallykeeper_cli", "tallykeeper_console", "tallykeeper_lua"} <= set(
        json.loads(packages.replace("'", '"'))
    )
    assert int(compiled) > 0
    with pytest.raises(PodmanError, match="No module named pip"):
        server.execute("/usr/bin/env", "python", "-m", "pip", "--version")


def test_the_image_has_no_compiler(server: Container) -> None:
    assert server.execute("python", "-c", COMPILERS) == "[]\n"


def test_the_server_runs_compiled_modules(server: Container) -> None:
    assert set(server.execute("python", "-c", COMPILED_FILES).split()) == set(MODULES)

    loaded = set(server.execute("python", "-c", LOADED_FILES).split())
    assert sum("__mypyc" in name for name in loaded) == 1
    assert any(name.startswith("tallykeeper_server/transport/http2/") for name in loaded)


def test_an_image_that_is_built_without_compilation_is_pure_python_and_serves(data: str) -> None:
    with Container(PURE_IMAGE, options=(*OPEN, "--volume", f"{data}:/data")) as pure:
        pure.wait_for('"event": "serving"')
        assert pure.execute("python", "-c", COMPILED_FILES) == ""
        assert pure.execute("python", "-c", LOADED_FILES) == ""
        assert pure.execute("tallykeeper", "health") == "serving\n"
        assert pure.stop() == 0


def test_the_server_is_process_1_and_has_no_rights(server: Container) -> None:
    status = dict(line.split(":\t", 1) for line in server.execute("python", "-c", STATUS).splitlines())

    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {UNPRIVILEGED}
    assert {int(status[kind], 16) for kind in ("CapPrm", "CapEff", "CapBnd")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert server.execute("python", "-c", "print(open('/proc/1/cmdline').read())").rstrip("\0\n").endswith("serve")


@pytest.mark.parametrize("place", ["/", "/opt/tallykeeper", "/etc", "/data/../root"])
def test_only_the_volume_and_tmp_can_be_written(server: Container, place: str) -> None:
    with pytest.raises(PodmanError, match=r"Read-only file system|Permission denied"):
        server.execute("python", "-c", f"open('{place}/new', 'w')")

    server.execute("python", "-c", "open('/data/new', 'w'), open('/tmp/new', 'w')")


def test_the_health_check_of_the_image_passes(server: Container) -> None:
    _, *command = health_check()

    assert server.execute(*command) == "serving\n"


def test_http_is_served_too(server: Container) -> None:
    read = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:50080/readyz').read().decode())"

    assert server.execute("python", "-c", read).strip() == "ready"


def test_sigterm_ends_with_0_and_the_volume_keeps_the_data(data: str) -> None:
    options = (*OPEN, "--volume", f"{data}:/data")
    with Container(IMAGE, options=options) as first:
        first.wait_for('"event": "serving"')
        first.execute("tallykeeper", "stock", "set", "dune", "5", "--request-id", "stocktake")
        assert first.stop() == 0
        assert '"event": "stopped"' in first.log

    with Container(IMAGE, options=options) as second:
        second.wait_for('"event": "serving"')
        assert json.loads(second.execute("tallykeeper", "stock", "get", "dune", "--json"))["on_hand"] == "5"
        assert second.stop() == 0


def test_a_backup_is_restored_beside_the_data_that_was_there(data: str) -> None:
    mounted = ("--volume", f"{data}:/data")
    with Container(IMAGE, options=(*OPEN, *mounted)) as server:
        server.wait_for('"event": "serving"')
        server.execute("tallykeeper", "stock", "set", "dune", "5", "--request-id", "stocktake")
        server.execute("tallykeeper", "backup", "/data/backup")
        server.execute("tallykeeper", "stock", "set", "dune", "0", "--request-id", "mistake")
        assert server.stop() == 0

    moving = ("--entrypoint", "mv")
    with Container(IMAGE, "/data/tallykeeper", "/data/damaged", options=(*moving, *mounted)) as move:
        assert move.wait_for_end() == 0, move.log
    with Container(IMAGE, "restore", "/data/backup", options=mounted) as restore:
        assert restore.wait_for_end() == 0, restore.log
        assert "1 namespace, no differences" in restore.log

    with Container(IMAGE, options=(*OPEN, *mounted)) as server:
        server.wait_for('"event": "serving"')
        assert json.loads(server.execute("tallykeeper", "stock", "get", "dune", "--json"))["on_hand"] == "5"
        assert server.stop() == 0


def test_a_stop_under_load_loses_no_acknowledged_change(data: str) -> None:
    options = (*OPEN, "--volume", f"{data}:/data")
    counted = (
        "import pathlib as p; f = p.Path('/data/acknowledged'); print(f.exists() and f.read_text().count('+') or 0)"
    )
    with Container(IMAGE, options=options) as first:
        first.wait_for('"event": "serving"')
        podman("exec", "--detach", first.name, "python", "-c", COUNT)
        wait_until(lambda: int(first.execute("python", "-c", counted)) > COUNTED_MIN, what="calls are counted")
        assert first.stop() == 0

    with Container(IMAGE, options=options) as second:
        second.wait_for('"event": "serving"')
        acknowledged = int(second.execute("python", "-c", counted))
        value = int(json.loads(second.execute("tallykeeper", "counter", "get", "visits", "--json"))["value"])

    # The last response may have come when its reader was already gone.
    assert 0 <= value - acknowledged <= 1


def test_sighup_reads_the_settings_again(data: str) -> None:
    options = (*OPEN, "--env", "TALLYKEEPER_WORKERS=2", "--volume", f"{data}:/data")
    with Container(IMAGE, options=options) as server:
        server.wait_for('"event": "serving"')
        podman("kill", "--signal", "HUP", server.name)
        server.wait_for('"event": "the settings are in force"')
        assert server.execute("tallykeeper", "health") == "serving\n"


def test_the_health_check_passes_with_tls_and_an_access_file(data: str, tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    for command in (("certificates", str(folder)), ("access", "grant", "web", "write", "shop")):
        subprocess.run([TALLYKEEPER, *command], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "access.toml").rename(folder / "access.toml")
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)  # the user of the container is another one
    variables = {
        "ACCESS_FILE": "access.toml",
        "TLS_CERTIFICATE": "server.pem",
        "TLS_KEY": "server.key",
        "CA": "ca.pem",
    }
    named = [("--env", f"TALLYKEEPER_{name}=/etc/tallykeeper/{file}") for name, file in variables.items()]
    options = [*chain.from_iterable(named), "--env", "TALLYKEEPER_TARGET=localhost:50051"]
    mounted = ["--volume", f"{folder}:/etc/tallykeeper:ro", "--volume", f"{data}:/data"]
    with Container(IMAGE, options=[*options, *mounted]) as server:
        server.wait_for('"event": "serving"')
        assert server.execute(*health_check()[1:]) == "serving\n"
        with pytest.raises(PodmanError, match="CREDENTIAL_MISSING"):
            server.execute("tallykeeper", "stock", "get", "dune", "--namespace", "shop")


def test_any_user_of_the_group_0_can_run_the_image(data: str) -> None:
    options = (*OPEN, "--user", "1000650000:0", "--volume", f"{data}:/data")
    with Container(IMAGE, options=options) as server:
        server.wait_for('"event": "serving"')
        assert server.execute(*health_check()[1:]) == "serving\n"
        assert server.execute("stat", "--format", "%u:%g %a", "/data/tallykeeper") == "1000650000:0 700\n"
        assert server.stop() == 0


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with Container(IMAGE, options=(*OPEN, "--volume", f"{tmp_path}:/data")) as server:
        assert server.wait_for_end() == 1
        assert "data directory /data/tallykeeper cannot be written: Permission denied" in server.log


def test_a_container_without_a_volume_is_refused_by_the_read_only_root() -> None:
    with Container(IMAGE, options=(*OPEN, "--image-volume", "ignore")) as server:
        assert server.wait_for_end() == 1
        assert "data directory /data/tallykeeper cannot be written: Read-only file system" in server.log


def test_a_server_that_would_be_open_to_everybody_does_not_start(data: str) -> None:
    with Container(IMAGE, options=("--volume", f"{data}:/data")) as server:
        assert server.wait_for_end() == 2
        assert "listen = 0.0.0.0:50051 would be open to the network without TLS" in server.log


def test_the_image_of_the_console_serves_its_page() -> None:
    read = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:50082/').status)"
    with Container(CONSOLE_IMAGE, "console") as console:
        console.wait_for("The console is at")
        assert console.execute("python", "-c", read).strip() == "200"
        assert console.stop() == 0


def test_the_image_of_the_server_says_what_the_console_lacks() -> None:
    with Container(IMAGE, "console") as console:
        assert console.wait_for_end() == 1
        assert "the console needs the extra console" in console.log
