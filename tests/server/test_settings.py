"""Each setting as a flag, as an environment variable and in the file, and the errors of invalid ones."""

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tallykeeper_server.settings import ENVIRONMENT_PREFIX, Settings, options
from tests.server.start import wrong_setting, wrong_setting_of_program

# setting -> a value as text, the same value in TOML, and the value that the server reads
VALUES: dict[str, tuple[str, str, object]] = {
    "listen": ("127.0.0.1:7", '"127.0.0.1:7"', "127.0.0.1:7"),
    "http_listen": ("127.0.0.1:9", '"127.0.0.1:9"', "127.0.0.1:9"),
    "http_origins": ("https://a.example", '"https://a.example"', "https://a.example"),
    "workers": ("3", "3", 3),
    "tls_certificate": ("/s.pem", '"/s.pem"', Path("/s.pem")),
    "tls_key": ("/s.key", '"/s.key"', Path("/s.key")),
    "tls_client_ca": ("/ca.pem", '"/ca.pem"', Path("/ca.pem")),
    "access_file": ("/a.toml", '"/a.toml"', Path("/a.toml")),
    "allow_plaintext": ("true", "true", True),
    "allow_anonymous": ("true", "true", True),
    "data_dir": ("/d", '"/d"', Path("/d")),
    "store": ("redis://h:1", '"redis://h:1"', "redis://h:1"),
    "store_binary": ("/b", '"/b"', Path("/b")),
    "durability": ("replicated", '"replicated"', "replicated"),
    "namespace_durability": ("a=memory,b.c=fsync", '"a=memory,b.c=fsync"', "a=memory,b.c=fsync"),
    "replicas_min": ("2", "2", 2),
    "durability_wait_seconds": ("0.5", "0.5", 0.5),
    "store_timeout_seconds": ("1.5", "1.5", 1.5),
    "store_check_seconds": ("2.5", "2.5", 2.5),
    "promise_check_seconds": ("4.5", "4.5", 4.5),
    "log_level": ("debug", '"debug"', "debug"),
    "log_format": ("json", '"json"', "json"),
    "traces": ("true", "true", True),
    "require_request_ids": ("true", "true", True),
    "reflection": ("true", "true", True),
    "deadline_seconds": ("3.5", "3.5", 3.5),
    "drain_seconds": ("4", "4", 4.0),
    "connections_max": ("13", "13", 13),
    "connections_per_address_max": ("14", "14", 14),
    "streams_max": ("12", "12", 12),
    "calls_max": ("19", "19", 19),
    "handshake_seconds": ("3.25", "3.25", 3.25),
    "idle_seconds": ("4.25", "4.25", 4.25),
    "keepalive_seconds": ("5.25", "5.25", 5.25),
    "keepalive_timeout_seconds": ("6.25", "6.25", 6.25),
    "connection_age_seconds": ("7", "7", 7.0),
    "half_sent_seconds": ("7.5", "7.5", 7.5),
    "stalled_seconds": ("7.75", "7.75", 7.75),
    "resets_per_second_max": ("15", "15", 15),
    "pings_per_second_max": ("16", "16", 16),
    "control_frames_per_second_max": ("17", "17", 17),
    "bad_compressions_per_second_max": ("18", "18", 18),
    "header_list_bytes_max": ("5000", "5000", 5_000),
    "http_connections_max": ("23", "23", 23),
    "http_connections_per_address_max": ("24", "24", 24),
    "http_header_bytes_max": ("5000", "5000", 5_000),
    "http_header_seconds": ("8.5", "8.5", 8.5),
    "http_body_seconds": ("8.75", "8.75", 8.75),
    "http_idle_seconds": ("9.25", "9.25", 9.25),
    "worker_answer_seconds": ("8.25", "8.25", 8.25),
    "message_bytes_max": ("5000", "5000", 5_000),
    "request_bytes_per_connection_max": ("5004", "5004", 5_004),
    "request_bytes_max": ("5005", "5005", 5_005),
    "unread_bytes_per_connection_max": ("5006", "5006", 5_006),
    "unread_bytes_max": ("5001", "5001", 5_001),
    "script_mutations_max": ("6", "6", 6),
    "waiting_mutations_max": ("7", "7", 7),
    "waiting_queries_max": ("8", "8", 8),
    "pause_ms": ("0", "0", 0.0),
    "request_retention_seconds": ("60", "60", 60),
    "reservation_lifetime_seconds": ("61", "61", 61),
    "reservation_retention_seconds": ("62", "62", 62),
    "sweep_seconds": ("0.25", "0.25", 0.25),
    "watches_max": ("9", "9", 9),
    "watched_namespaces_max": ("10", "10", 10),
    "watch_buffer_entries_max": ("11", "11", 11),
    "watch_buffer_bytes_max": ("5002", "5002", 5_002),
    "watch_buffers_bytes_max": ("5003", "5003", 5_003),
    "bookmark_seconds": ("1.25", "1.25", 1.25),
    "ledger_revisions_max": ("0", "0", 0),
}
# setting -> another value, as text and in TOML
OTHER_VALUES: dict[str, tuple[str, str]] = {
    "listen": ("127.0.0.1:8", '"127.0.0.1:8"'),
    "tls_certificate": ("/t.pem", '"/t.pem"'),
    "tls_key": ("/t.key", '"/t.key"'),
    "tls_client_ca": ("/cb.pem", '"/cb.pem"'),
    "access_file": ("/b.toml", '"/b.toml"'),
    "allow_plaintext": ("false", "false"),
    "allow_anonymous": ("false", "false"),
    "data_dir": ("/e", '"/e"'),
    "store": ("embedded", '"embedded"'),
    "store_binary": ("/c", '"/c"'),
    "durability": ("memory", '"memory"'),
    "namespace_durability": ("", '""'),
    "log_level": ("error", '"error"'),
    "log_format": ("text", '"text"'),
    "http_listen": ("", '""'),
    "http_origins": ("", '""'),
    "traces": ("false", "false"),
    "require_request_ids": ("false", "false"),
    "http_header_bytes_max": ("6000", "6000"),
    "reflection": ("false", "false"),
    "header_list_bytes_max": ("6000", "6000"),
    **{
        name: ("99", "99")
        for name, (_, toml, _) in VALUES.items()
        if toml[0].isdecimal() and not name.endswith(("header_list_bytes_max", "header_bytes_max"))
    },
    "workers": ("64", "64"),
}


@click.command()
@options
def show(**values: object) -> Settings:
    """Return the settings that ``serve`` would get."""
    return Settings.from_options(values)


def settings_of(*arguments: str, environment: Mapping[str, str] | None = None) -> Settings:
    result = CliRunner().invoke(show, arguments, env=environment, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert isinstance(result.return_value, Settings)
    return result.return_value


def flag_of(setting: str, text: str) -> list[str]:
    flag = "--" + setting.replace("_", "-")
    return [flag] if VALUES[setting][2] is True else [flag, text]


def test_every_setting_is_tried() -> None:
    assert [setting.name for setting in fields(Settings)] == list(VALUES)
    assert OTHER_VALUES.keys() == VALUES.keys()


@pytest.mark.parametrize("setting", VALUES)
def test_a_setting_is_a_flag_a_variable_and_a_key_of_the_file(setting: str, tmp_path: Path) -> None:
    text, toml, value = VALUES[setting]
    config = tmp_path / "tallykeeper.toml"
    config.write_text(f"{setting} = {toml}\n")

    assert getattr(settings_of(*flag_of(setting, text)), setting) == value
    assert getattr(settings_of(environment={ENVIRONMENT_PREFIX + setting.upper(): text}), setting) == value
    assert getattr(settings_of("--config", str(config)), setting) == value
    assert getattr(settings_of(environment={"TALLYKEEPER_CONFIG": str(config)}), setting) == value


@pytest.mark.parametrize("setting", VALUES)
def test_a_flag_goes_before_a_variable_and_a_variable_before_the_file(setting: str, tmp_path: Path) -> None:
    text, toml, value = VALUES[setting]
    other_text, other_toml = OTHER_VALUES[setting]
    config = tmp_path / "tallykeeper.toml"
    variable = ENVIRONMENT_PREFIX + setting.upper()

    config.write_text(f"{setting} = {other_toml}\n")
    by_variable = settings_of("--config", str(config), environment={variable: text})
    by_flag = settings_of("--config", str(config), *flag_of(setting, text), environment={variable: other_text})
    config.write_text(f"{setting} = {toml}\n")
    by_file = settings_of("--config", str(config))

    assert [getattr(each, setting) for each in (by_flag, by_variable, by_file)] == [value] * 3
    assert getattr(settings_of(), setting) == getattr(Settings(), setting)


def empty_flag(setting: str) -> object:
    """Return the value that the server reads from an empty flag; None if it refuses the flag."""
    try:
        return getattr(settings_of(f"--{setting.replace('_', '-')}="), setting)
    except click.UsageError:
        return None


def test_an_empty_value_has_a_meaning_in_these_settings() -> None:
    assert {setting for setting in VALUES if empty_flag(setting) is not None} == {
        "http_listen",
        "http_origins",
        "namespace_durability",
    }


@pytest.mark.parametrize("setting", VALUES)
def test_an_empty_variable_is_an_empty_value_where_that_has_a_meaning_and_unset_elsewhere(
    setting: str, tmp_path: Path
) -> None:
    _, toml, value = VALUES[setting]
    config = tmp_path / "tallykeeper.toml"
    config.write_text(f"{setting} = {toml}\n")
    empty = {ENVIRONMENT_PREFIX + setting.upper(): ""}
    meaning = empty_flag(setting)

    read = [getattr(settings_of(*file, environment=empty), setting) for file in ((), ("--config", str(config)))]

    assert read == ([getattr(Settings(), setting), value] if meaning is None else [meaning, meaning])


@pytest.mark.parametrize("setting", VALUES)
def test_a_setting_reaches_a_worker_unchanged(setting: str) -> None:
    settings = settings_of(*flag_of(setting, VALUES[setting][0]))

    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_a_unix_socket_has_one_worker_by_default() -> None:
    assert settings_of("--listen", "unix:/s").worker_count() == 1

    line = wrong_setting_of_program("--listen", "unix:/s", "--workers", "3")

    assert "workers = 3 needs host:port, not unix:/s: only one can serve a unix socket" in line


def test_the_number_of_workers_is_the_number_of_usable_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers in ((1, 1), (7, 7), (200, 64)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        assert settings_of().worker_count() == workers

    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert settings_of().worker_count() == 5
    assert settings_of("--workers", "3").worker_count() == 3


@pytest.mark.parametrize(("workers", "expected"), [("1", True), ("3", True), ("4", False), ("5", False)])
def test_cores_without_a_worker_are_idle(monkeypatch: pytest.MonkeyPatch, workers: str, *, expected: bool) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)

    assert settings_of("--workers", workers).has_idle_cores is expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--listen", "50051"], ["--listen", "'50051' is not host:port"]),
        (["--listen", "127.0.0.1:65536"], ["--listen", "127.0.0.1:65536", "0 .. 65535"]),
        (["--listen", ":50051"], ["--listen", "':50051'"]),
        (["--listen", "::1:50051"], ["--listen", "'::1:50051'", "[::1]:50051"]),
        (["--listen", "unix:"], ["--listen", "'unix:'"]),
        (["--http-listen", "9464"], ["--http-listen", "'9464' is not host:port"]),
        (["--http-origins", "http://a/"], ["--http-origins", "'http://a/' in 'http://a/' is no origin"]),
        (["--http-origins", "*"], ["--http-origins", "'*' in '*' is no origin: scheme://host"]),
        (["--http-listen", "unix:/m"], ["--http-listen", "'unix:/m' is not host:port (port 0 .. 65535"]),
        (["--data-dir", ""], ["--data-dir", "'' is not a path"]),
        (["--store-binary", ""], ["--store-binary", "'' is not a path"]),
        (["--log-level", "loud"], ["--log-level", "'loud'"]),
        (["--log-format", "xml"], ["--log-format", "'xml'"]),
        (["--reflection=maybe"], ["--reflection"]),
        (["--no-such-setting"], ["--no-such-setting"]),
        (["stray"], ["stray"]),
        (["--config", "/does/not/exist.toml"], ["--config", "/does/not/exist.toml", "No such file"]),
        (["--config", "/"], ["--config", "/ cannot be read", "directory"]),
    ],
)
def test_a_wrong_setting_is_one_clear_line_and_exit_2(arguments: list[str], expected: list[str]) -> None:
    line = wrong_setting(*arguments)

    assert all(part in line for part in expected), line


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("workers", "0"),
        ("workers", "65"),
        ("store_timeout_seconds", "0"),
        ("store_timeout_seconds", "nan"),
        ("store_check_seconds", "inf"),
        ("durability", "disk"),
        ("namespace_durability", "a"),
        ("namespace_durability", "a=disk"),
        ("namespace_durability", "a=memory,"),
        ("namespace_durability", "a/b=memory"),
        ("namespace_durability", "a=memory,a=fsync"),
        ("replicas_min", "0"),
        ("deadline_seconds", "-1"),
        ("deadline_seconds", "nan"),
        ("drain_seconds", "0"),
        ("drain_seconds", "86401"),
        ("idle_seconds", "0"),
        ("handshake_seconds", "-1"),
        ("connection_age_seconds", "86401"),
        ("worker_answer_seconds", "0.01"),
        ("watch_buffer_bytes_max", "0"),
        ("message_bytes_max", "0"),
        ("message_bytes_max", "2147483648"),
        ("unread_bytes_max", "0"),
        ("script_mutations_max", "0"),
        ("script_mutations_max", "1001"),
        ("waiting_mutations_max", "0"),
        ("waiting_mutations_max", "1.5"),
        ("waiting_queries_max", "0"),
        ("pause_ms", "-1"),
        ("pause_ms", "soon"),
        ("pause_ms", "nan"),
        ("request_retention_seconds", "1"),
        ("request_retention_seconds", "99999999999999999999"),
        ("ledger_revisions_max", "-1"),
        ("ledger_revisions_max", "9007199254740992"),
    ],
)
def test_a_number_that_cannot_be_used_is_one_clear_line_and_exit_2(setting: str, text: str) -> None:
    flag = "--" + setting.replace("_", "-")

    line = wrong_setting(f"{flag}={text}")

    assert flag in line
    assert text in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listen = ", "is not TOML"),
        ("\xff", "is not TOML"),
        ('lisen = "127.0.0.1:1"', "unknown settings: lisen"),
        ("workers = 0", "workers: 0 is not in the range"),
        ("workers = 1.5", "workers = 1.5 must be a whole number"),
        ("pause_ms = true", "pause_ms = True must be a number"),
        ("pause_ms = 101.0", "pause_ms: 101.0 is not in the range"),
        ("pause_ms = nan", "pause_ms: nan is not a number"),
        ('drain_seconds = "4"', "drain_seconds = '4' must be a number"),
        ("waiting_queries_max = 1.5", "waiting_queries_max = 1.5 must be a whole number"),
        ("reflection = 1", "reflection = 1 must be true or false"),
        ("log_level = false", "log_level = False must be a string"),
        ('log_level = "loud"', "log_level: 'loud' is not one of"),
        ("data_dir = 7", "data_dir = 7 must be a string"),
        ('data_dir = "a\\u0000b"', "data_dir: 'a\\x00b' is not a path"),
        ('listen = "here"', "listen: 'here' is not host:port"),
        ('listen = ["a"]', "listen = ['a'] must be a string"),
        ("[listen]", "listen = {} must be a string"),
    ],
)
def test_a_wrong_file_is_one_clear_line_that_names_it_and_exit_2(tmp_path: Path, text: str, expected: str) -> None:
    config = tmp_path / "tallykeeper.toml"
    config.write_bytes(text.encode("latin-1"))

    line = wrong_setting("--config", str(config))

    assert str(config) in line
    assert expected in line


def test_a_wrong_variable_is_named_with_its_value() -> None:
    line = wrong_setting_of_program(environment={"TALLYKEEPER_PAUSE_MS": "soon"})

    assert "TALLYKEEPER_PAUSE_MS" in line
    assert "'soon'" in line
