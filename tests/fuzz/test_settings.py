"""Every setting, with any value and from every source, is accepted, or refused in one line that names it."""

import math
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallykeeper_server.settings import ENVIRONMENT_PREFIX, Settings, SettingsError
from tests.server.test_settings import show

NAMES = [setting.name for setting in fields(Settings)]
ODD = (
    "",
    " ",
    "-1",
    "0",
    "1",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "9" * 400,
    "true",
    "maybe",
    "0x10",
    "\u0661",
    "\0",
    "a\nb",
    "é",
)
URLS = (
    "redis://",
    "redis://:@",
    "redis+cluster://,,",
    "redis+sentinel:///",
    "unix://\0",
    "rediss://[",
    "redis://h:1/é",
)
PLACES = (":", "::", "[::]", "a:b", "h:99999", "unix:", "[::1:1", "1:2:3", "h:-1", "é:1", "a" * 300 + ":1")
TEXTS = st.one_of(st.sampled_from((*ODD, *URLS, *PLACES)), st.text(st.characters(codec="utf-8"), max_size=60))
SOME = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
VALUES = st.one_of(TEXTS, st.integers(), st.floats(), st.booleans(), st.lists(TEXTS, max_size=2), st.just({"a": 1}))


def outcome_of(arguments: list[str], environment: dict[str, str] | None = None) -> Settings | str:
    """Return the settings, or the error message."""
    result = CliRunner().invoke(show, arguments, env=environment, standalone_mode=False)
    if isinstance(result.exception, click.ClickException):
        assert result.exception.exit_code == 2
        return result.exception.format_message()
    if result.exception is not None:
        raise result.exception
    assert isinstance(result.return_value, Settings)
    return result.return_value


def assert_accepted_or_named(name: str, outcome: Settings | str) -> None:
    if isinstance(outcome, str):
        flag = "--" + name.replace("_", "-")
        assert name in outcome or flag in outcome or "No such option" in outcome or "unexpected" in outcome, outcome
        return
    assert Settings.from_json(outcome.to_json()) == outcome or _holds_nan(outcome)
    with suppress(SettingsError):
        outcome.check()
        outcome.worker_count()


def _holds_nan(outcome: Settings) -> bool:
    return any(isinstance(value, float) and math.isnan(value) for value in outcome.to_json().values())


@pytest.mark.parametrize("name", NAMES)
def test_a_flag_and_a_variable(name: str) -> None:
    @SOME
    @given(TEXTS)
    def one(text: str) -> None:
        assert_accepted_or_named(name, outcome_of([f"--{name.replace('_', '-')}={text}"]))
        if "\0" not in text:
            assert_accepted_or_named(name, outcome_of([], {ENVIRONMENT_PREFIX + name.upper(): text}))

    one()


@pytest.mark.parametrize("name", NAMES)
def test_a_key_of_the_file(name: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"

    @SOME
    @given(VALUES)
    def one(value: Any) -> None:  # noqa: ANN401  # any value of TOML
        config.write_text(f"{name} = {written(value)}\n", encoding="utf-8")
        assert_accepted_or_named(name, outcome_of(["--config", str(config)]))

    one()


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_a_file_with_any_values(tmp_path: Path, data: bytes) -> None:
    config = tmp_path / "config.toml"
    config.write_bytes(data)

    outcome = outcome_of(["--config", str(config)])

    assert isinstance(outcome, Settings) or str(config) in outcome


def written(value: object) -> str:
    """Return a value in TOML."""
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(one):08x}" for one in value) + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return "{ a = 1 }"
    return str(value).lower()
