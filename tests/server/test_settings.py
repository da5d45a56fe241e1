"""Each setting as a flag, as an environment variable and in the file, and what is said of a wrong one."""

import subprocess
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tallykeeper_server.settings import ENVIRONMENT_PREFIX, Settings, options
from tests.serving import PATIENCE_SECONDS, TALLYKEEPER

# setting -> a value as text, the same in TOML, and what the server makes of it
VALUES: dict[str, tuple[str, str, object]] = {
    "listen": ("127.0.0.1:7", '"127.0.0.1:7"', "127.0.0.1:7"),
    "data_dir": ("/d", '"/d"', Path("/d")),
    "store": ("redis://h:1", '"redis://h:1"', "redis://h:1"),
    "store_binary": ("/b", '"/b"', Path("/b")),
    "store_timeout_seconds": ("1.5", "1.5", 1.5),
    "store_check_seconds": ("2.5", "2.5", 2.5),
    "log_level": ("debug", '"debug"', "debug"),
    "log_format": ("json", '"json"', "json"),
    "reflection": ("true", "true", True),
    "deadline_seconds": ("3.5", "3.5", 3.5),
    "drain_seconds": ("4", "4", 4.0),
    "message_bytes_max": ("5000", "5000", 5_000),
    "script_mutations_max": ("6", "6", 6),
    "waiting_mutations_max": ("7", "7", 7),
    "waiting_queries_max": ("8", "8", 8),
    "pause_ms": ("0", "0", 0.0),
    "request_retention_seconds": ("60", "60", 60),
    "ledger_revisions_max": ("0", "0", 0),
}


@click.command()
@options
def show(**values: object) -> Settings:
    """Return the settings that ``serve`` would be given."""
    return Settings.from_options(values)


def settings_of(*arguments: str, environment: Mapping[str, str] | None = None) -> Settings:
    result = CliRunner().invoke(show, arguments, env=environment, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert isinstance(result.return_value, Settings)
    return result.return_value


def flag_of(setting: str, text: str) -> list[str]:
    flag = "--" + setting.replace("_", "-")
    return [flag] if setting == "reflection" else [flag, text]


def test_every_setting_is_tried() -> None:
    assert [setting.name for setting in fields(Settings)] == list(VALUES)


@pytest.mark.parametrize("setting", VALUES)
def test_a_setting_is_a_flag_a_variable_and_a_key_of_the_file(setting: str, tmp_path: Path) -> None:
    text, toml, value = VALUES[setting]
    config = tmp_path / "tallykeeper.toml"
    config.write_text(f"{setting} = {toml}\n")

    assert getattr(settings_of(*flag_of(setting, text)), setting) == value
    assert getattr(settings_of(environment={ENVIRONMENT_PREFIX + setting.upper(): text}), setting) == value
    assert getattr(settings_of("--config", str(config)), setting) == value
    assert getattr(settings_of(environment={"TALLYKEEPER_CONFIG": str(config)}), setting) == value


def test_a_flag_goes_before_a_variable_and_a_variable_before_the_file(tmp_path: Path) -> None:
    config = tmp_path / "tallykeeper.toml"
    config.write_text('pause_ms = 1\ndrain_seconds = 1\ndeadline_seconds = 1\nlog_level = "error"\n')
    environment = {"TALLYKEEPER_PAUSE_MS": "2", "TALLYKEEPER_DRAIN_SECONDS": "2"}

    settings = settings_of("--config", str(config), "--pause-ms", "3", environment=environment)

    assert (settings.pause_ms, settings.drain_seconds, settings.deadline_seconds) == (3, 2, 1)
    assert settings.log_level == "error"
    assert settings.listen == Settings().listen


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--listen", "50051"], ["--listen", "'50051' is not host:port"]),
        (["--listen", "127.0.0.1:65536"], ["--listen", "127.0.0.1:65536", "0 .. 65535"]),
        (["--listen", ":50051"], ["--listen", "':50051'"]),
        (["--listen", "unix:"], ["--listen", "'unix:'"]),
        (["--store", "mysql://h"], ["--store", "'mysql://h'", "redis://"]),
        (["--store", "redis://:secret@h:port"], ["--store", "redis://h:port"]),
        (["--log-level", "loud"], ["--log-level", "'loud'"]),
        (["--pause-ms", "-1"], ["--pause-ms", "-1"]),
        (["--pause-ms", "soon"], ["--pause-ms", "'soon'"]),
        (["--script-mutations-max", "0"], ["--script-mutations-max", "0"]),
        (["--script-mutations-max", "1001"], ["--script-mutations-max", "1001"]),
        (["--drain-seconds", "0"], ["--drain-seconds", "0"]),
        (["--request-retention-seconds", "1"], ["--request-retention-seconds", "1"]),
        (["--no-such-setting"], ["--no-such-setting"]),
        (["stray"], ["stray"]),
        (["--config", "/does/not/exist.toml"], ["--config", "/does/not/exist.toml", "No such file"]),
    ],
)
def test_a_wrong_setting_is_one_clear_line_and_exit_2(arguments: list[str], told: list[str]) -> None:
    finished = run_serve(*arguments)

    assert finished.returncode == 2
    assert len(finished.stderr.splitlines()) == 1
    assert all(part in finished.stderr for part in told), finished.stderr
    assert "secret" not in finished.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listen = ", "is not TOML"),
        ("\xff", "is not TOML"),
        ('lisen = "127.0.0.1:1"', "unknown settings: lisen"),
        ("pause_ms = true", "--pause-ms"),
        ('drain_seconds = "long"', "'long'"),
        ("listen = 50051", "'50051' is not host:port"),
        ("waiting_queries_max = 1.5", "1.5"),
        ('listen = ["a"]', "listen must be a string"),
        ("[listen]", "listen must be a string"),
    ],
)
def test_a_wrong_file_is_one_clear_line_and_exit_2(tmp_path: Path, text: str, told: str) -> None:
    config = tmp_path / "tallykeeper.toml"
    config.write_bytes(text.encode("latin-1"))

    finished = run_serve("--config", str(config))

    assert finished.returncode == 2
    assert len(finished.stderr.splitlines()) == 1
    assert told in finished.stderr


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    finished = run_serve(environment={"TALLYKEEPER_PAUSE_MS": "soon", "HOME": str(tmp_path)})

    assert finished.returncode == 2
    assert "TALLYKEEPER_PAUSE_MS" in finished.stderr


def run_serve(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TALLYKEEPER, "serve", *arguments],
        capture_output=True,
        check=False,
        text=True,
        env=environment,
        timeout=PATIENCE_SECONDS,
    )
