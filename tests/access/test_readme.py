"""The steps of the README for TLS and API keys, done as they are written there."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.server import PATIENCE_SECONDS, TALLYKEEPER, free_ports

ROOT: Final = Path(__file__).parents[2]
LINES_MAX: Final = 10


def setups() -> list[str]:
    section = (ROOT / "README.md").read_text().split("### TLS, and who may call")[1].split("\n### ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@pytest.mark.parametrize(("number", "tls"), [(0, "mutual"), (1, "of the server")])
def test_the_setup_is_short_and_works(tmp_path: Path, number: int, tls: str) -> None:
    port, http_port = map(str, free_ports(2))
    script = setups()[number]
    assert len(script.splitlines()) < LINES_MAX
    commands = script.replace(".venv/bin/tallykeeper", str(TALLYKEEPER))
    commands = commands.replace("50051", port).replace("50080", http_port)
    before, after = commands.split("&\n")
    waiting = f"while ! (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done\n"

    shell = subprocess.Popen(
        ["/bin/bash", "-euc", f"{before}&\n{waiting}{after}kill -TERM $!; wait $!"],
        cwd=tmp_path,
        env={**os.environ, "TALLYKEEPER_HTTP_LISTEN": f"127.0.0.1:{http_port}", "TALLYKEEPER_WORKERS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = shell.communicate(timeout=PATIENCE_SECONDS)
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)

    assert shell.returncode == 0, err
    assert re.search(r"^dune\s+main\s+5 ", out, re.MULTILINE)
    assert ('"onHand":"5"' in out) == (number == 1)
    assert f'"tls": "{tls}"' in err
