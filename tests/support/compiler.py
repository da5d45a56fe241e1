"""Says whether the modules of the server can be compiled here."""

import shutil
import sysconfig
from pathlib import Path
from typing import Final

HAS_COMPILER: Final = any(map(shutil.which, ("cc", "gcc", "clang")))
HAS_HEADERS: Final = Path(sysconfig.get_path("include"), "Python.h").exists()
CAN_COMPILE: Final = HAS_COMPILER and HAS_HEADERS
