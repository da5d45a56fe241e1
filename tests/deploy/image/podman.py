"""Podman, with the storage of the user: building images, and containers that run."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from tests.deploy.tools import ROOT
from tests.support.server import wait_until

IMAGE: Final = "localhost/tallykeeper:check"
CONSOLE_IMAGE: Final = "localhost/tallykeeper:check-console"
PURE_IMAGE: Final = "localhost/tallykeeper:check-pure"
DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
BUILD_SECONDS: Final = 900
STOP_SECONDS: Final = 30
_RUN_SECONDS: Final = 120
_PIP_VARIABLE: Final = "PIP_"
RUNTIME: Final = (
    () if Path("/sys/fs/cgroup/cgroup.controllers").exists() else ("--cgroup-manager", "cgroupfs", "--runtime", "runc")
)
"""crun, the usual runtime, refuses kernels that have both versions of control groups."""
_LIMITS: Final = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=1024:1024")
"""Limits below those of this machine: Podman's own are higher, and a process in a container may not raise them."""


class PodmanError(Exception):
    """A command of Podman failed. The message is its own."""


def podman(*arguments: str, seconds: float = _RUN_SECONDS) -> str:
    """Run a command of Podman and return its output.

    :raises PodmanError: it failed, or took longer.
    """
    try:
        ran = _run(arguments, seconds)
    except subprocess.TimeoutExpired as error:
        message = f"podman {arguments[0]} took more than {seconds} s"
        raise PodmanError(message) from error
    if ran.returncode:
        message = f"podman {arguments[0]} ended with {ran.returncode}: {ran.stderr.strip() or ran.stdout.strip()}"
        raise PodmanError(message)
    return ran.stdout


def _run(arguments: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    program = shutil.which("podman")
    assert program, "podman is not on PATH"
    command = [program, *RUNTIME, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)


def has_image(name: str) -> bool:
    """Return True if an image is in the storage."""
    return _run(["image", "exists", name], _RUN_SECONDS).returncode == 0


def inspected(image: str) -> dict[str, Any]:
    """Return the description of an image."""
    return dict(json.loads(podman("image", "inspect", image))[0])


def build(image: str, *, arguments: Mapping[str, str], folder: Path) -> None:
    """Build the image with build arguments, as `docker build` does. ``folder`` takes the settings of pip for the build.

    :raises PodmanError: a step failed.
    """
    options = ["--format", "docker", "--isolation", "chroot", "--network", "host", "--pull=never", "--tag", image]
    named = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    podman(
        *("build", *options, *named, *_package_index(folder), "--file", str(DOCKERFILE), str(ROOT)),
        seconds=BUILD_SECONDS,
    )


def _package_index(folder: Path) -> Iterator[str]:
    """Yield the options that give the build this machine's package index: pip's settings, and the files they name."""
    settings = {
        name.removeprefix(_PIP_VARIABLE).lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith(_PIP_VARIABLE)
    }
    configuration = folder / "pip.conf"
    configuration.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    yield from ("--volume", f"{configuration}:/etc/pip.conf:ro")
    for value in settings.values():
        if value.startswith("/") and Path(value).exists():
            yield from ("--volume", f"{value}:{value}:ro")


class Container:
    """A container that is read-only and has neither capabilities nor a network, as strict as docs/deploy.md shows."""

    def __init__(self, image: str, *command: str, options: Sequence[str] = ()) -> None:
        restrictions = ("--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp", "--cap-drop", "all")  # noqa: S108
        alone = ("--security-opt", "no-new-privileges", "--network", "none", "--no-healthcheck", *_LIMITS)
        self.name = podman("run", "--detach", *restrictions, *alone, *options, image, *command).strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        podman("rm", "--force", "--time", "0", self.name)

    @property
    def log(self) -> str:
        """The output of the container."""
        ran = _run(["logs", self.name], _RUN_SECONDS)
        return ran.stdout + ran.stderr

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        state = json.loads(podman("inspect", "--format", "{{json .State}}", self.name))
        return None if state["Running"] else int(state["ExitCode"])

    def execute(self, *command: str) -> str:
        """Run a command in the container, as its user, and return its output."""
        return podman("exec", self.name, *command)

    def wait_for(self, text: str) -> None:
        """Wait until the container has printed a text. Fail if it ends before."""
        wait_until(lambda: text in self.log or self.exit_code is not None, what=f"{self.name} prints {text}")
        assert text in self.log, self.log

    def wait_for_end(self) -> int:
        """Wait until the container has ended by itself, and return its exit code."""
        return int(podman("wait", self.name))

    def stop(self) -> int:
        """Send the image's stop signal, wait for the end, and return the exit code."""
        podman("stop", "--time", str(STOP_SECONDS), self.name)
        code = self.exit_code
        assert code is not None
        return code


@contextmanager
def volume(name: str) -> Iterator[str]:
    """Make a volume, and remove it at the end."""
    podman("volume", "create", name)
    try:
        yield name
    finally:
        podman("volume", "rm", "--force", name)
