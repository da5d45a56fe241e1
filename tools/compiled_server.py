"""Compiles the server's busiest modules to C: ``python -m tools.compiled_server FOLDER``.

The compiled modules have the same source as the others. A server that has them beside it uses them, and runs on Python
alone otherwise. mypyc compiles them, which comes with mypy; setuptools and a C compiler must be installed.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
SERVER: Final = "server"
MODULES: Final = (
    "domain/levels.py",
    "domain/mutations.py",
    "engine/engine.py",
    "engine/lane.py",
    "engine/lane_call.py",
    "engine/pending_result.py",
    "metrics/meters.py",
    "metrics/recorders.py",
    "rpc/admission.py",
    "rpc/counters.py",
    "rpc/dispatch.py",
    "rpc/inventory.py",
    "rpc/messages.py",
    "rpc/validation.py",
    "store/keys.py",
    "store/script_calls.py",
    "store/script_codec.py",
    "tracing/handlers.py",
    "tracing/lanes.py",
    "tracing/otlp.py",
    "tracing/store_calls.py",
    "tracing/tracer.py",
    "transport/call.py",
    "transport/metadata.py",
    "transport/methods.py",
    "transport/http2/budget.py",
    "transport/http2/connection.py",
    "transport/http2/deadlines.py",
    "transport/http2/entrance.py",
    "transport/http2/exchange.py",
    "transport/http2/inflow.py",
    "transport/http2/message_frames.py",
    "transport/http2/offences.py",
    "transport/http2/outflow.py",
    "transport/http2/rates.py",
    "transport/http2/request_headers.py",
    "transport/http2/server_state.py",
    "transport/http2/session.py",
    "transport/http2/streams_limit.py",
)
"""The modules that every call, every change or every span runs through, in the package of the server.

mypyc compiles neither a generic dataclass, as in ``rpc/mutations.py``, nor asynchronous generators. It makes lists of
generators, which would be too long in ``rpc/batches.py``."""

_SOURCES: Final = ("server/tallykeeper_server", "protos/tallykeeper", "lua/tallykeeper_lua")
_MYPY: Final = """
[mypy]
mypy_path = protos:server:lua
explicit_package_bases = True
[mypy-google.rpc.*]
follow_untyped_imports = True
[mypy-msgpack.*]
ignore_missing_imports = True
"""
"""The part of the configuration by which mypy finds types. `make lint` checks them, and more strictly."""
_SETUP: Final = """
import os
import sys
from mypyc.build import mypycify
from setuptools import setup
setup(
    name="tallykeeper-compiled",
    packages=[],
    package_dir={"": "server"},
    ext_modules=mypycify(
        ["--config-file", "mypy.ini", *sys.argv[1:]], opt_level=os.environ.get("MYPYC_OPT_LEVEL", "3"), debug_level="0"
    ),
    script_args=["--quiet", "build_ext", "--inplace"],
)
"""


def lacks_to_compile() -> str:
    """Return the reason why nothing can be compiled here; empty if it can."""
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        return "there is no C compiler"
    return "" if Path(sysconfig.get_path("include"), "Python.h").exists() else "the headers of Python are not installed"


def compile_server(folder: Path) -> Path:
    """Copy the package of the server into a folder and compile its busiest modules there, in a minute or two.

    Return the folder to name in PYTHONPATH. What was in ``folder`` before is removed. The environment's
    MYPYC_OPT_LEVEL is the level of optimization, 0 to 3. The default is 3.

    :raises subprocess.CalledProcessError: a module cannot be compiled. The reason is on the standard error.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for source in _SOURCES:
        shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "mypy.ini").write_text(_MYPY, encoding="utf-8")
    modules = [f"{SERVER}/tallykeeper_server/{module}" for module in MODULES]
    subprocess.run(  # noqa: S603  # the program above
        [sys.executable, "-c", _SETUP, *modules],
        cwd=folder,
        check=True,
        stdout=sys.stderr,  # mypyc writes its errors to the standard output
        env={**os.environ, "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "0")},
    )
    return folder / SERVER


def compiled_files(folder: Path) -> list[Path]:
    """Return the compiled modules below a folder that ``compile_server`` returned, and their shared library."""
    return sorted([*folder.rglob("*.so"), *folder.rglob("*.pyd")])


if __name__ == "__main__":
    print(compile_server(Path(sys.argv[1])))
