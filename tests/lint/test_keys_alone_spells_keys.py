"""Only the module `keys` spells a key."""

import re
from pathlib import Path

import pytest

import tallykeeper_client
import tallykeeper_lua
import tallykeeper_server

_SPELLED = re.compile(r"""["']tk:|\bindex:(stock|counter)\b|["'](stock|counter|requests|expiry|ledger|revision):""")
_PACKAGES = (tallykeeper_client, tallykeeper_lua, tallykeeper_server)
_SOURCES = {
    f"{package.__name__}/{path.relative_to(Path(str(package.__file__)).parent)}": path
    for package in _PACKAGES
    for path in Path(str(package.__file__)).parent.rglob("*.py")
}


@pytest.mark.parametrize("name", sorted(_SOURCES.keys() - {"tallykeeper_server/store/keys.py"}))
def test_no_key_is_spelled(name: str) -> None:
    assert not _SPELLED.search(_SOURCES[name].read_text(encoding="utf-8"))


def test_the_pattern_finds_the_keys_in_their_own_module() -> None:
    text = _SOURCES["tallykeeper_server/store/keys.py"].read_text(encoding="utf-8")

    assert _SPELLED.search(text)
