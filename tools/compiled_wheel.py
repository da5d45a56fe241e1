"""The step of hatchling that adds the compiled modules of the server to a wheel.

It runs only if HATCH_BUILD_HOOK_ENABLE_CUSTOM=true is set. The wheel is then for one platform and one Python.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledModules(BuildHookInterface[Any]):
    """Compiles the modules into a folder that lasts as long as the build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the compiled modules to a wheel, but not to an editable installation, in which the sources count."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from tools.compiled_server import compile_server, compiled_files  # noqa: PLC0415  # the root was not on the path

        self._folder = TemporaryDirectory(prefix="tk-compiled-")
        server = compile_server(Path(self._folder.name, "compiled"))
        build_data["force_include"] |= {str(file): str(file.relative_to(server)) for file in compiled_files(server)}
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002  # hatchling's
        """Remove the folder."""
        if version != "editable":
            self._folder.cleanup()
