"""Constants of the script: their values replace their names, and nothing else."""

import pytest

import tallykeeper_lua
from tallykeeper_lua.constants import with_values


def test_values_take_the_place_of_names_line_for_line() -> None:
    script = "local COPIES, JOIN = 2, '\\30' -- why\nlocal level = { 0 }\nreturn level[COPIES - 1] .. JOIN\n"

    assert with_values(script) == "\nlocal level = { 0 }\nreturn level[2 - 1] .. '\\30'\n"


@pytest.mark.parametrize(
    "line",
    [
        "-- a level has COPIES",
        "return 'COPIES'",
        "return 'it''s \\' COPIES'",
        "return MORE_COPIES, COPIES_TAKEN, copies",
        "local STATES = { ACTIVE = '1' }",
        "  local LIMIT = 3",
    ],
)
def test_all_else_stays(line: str) -> None:
    assert with_values(f"local COPIES = 2\n{line}") == f"\n{line}"


@pytest.mark.parametrize("declaration", ["local COPIES = 3", "local LIMIT, COPIES = 1, 2"])
def test_a_constant_is_declared_once(declaration: str) -> None:
    with pytest.raises(ValueError, match="COPIES is declared twice"):
        with_values(f"local COPIES = 2\n{declaration}\n")


def test_the_script_has_a_value_for_every_offset() -> None:
    script = tallykeeper_lua.joined(tallykeeper_lua.fragments())
    source = tallykeeper_lua.source()

    assert "bundles[offset + BUNDLE_ID]" in script
    assert "bundles[offset + 1]" in source
    assert len(source.splitlines()) == len(script.splitlines())
