"""Starts with traces: a missing or wrong part is an error that names it. Without traces, nothing of them is loaded."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper_server.tracing.collector import Collector
from tallykeeper_server.tracing.environment import QUEUE_SPANS_DEFAULT, TraceSettingError, TraceSettings
from tallykeeper_server.tracing.sampler import Sampler
from tests.server.start import refused_start
from tests.support.client import Caller
from tests.support.server import PATIENCE_SECONDS, ServerProcess, wait_until
from tests.tracing.backend import Backend
from tests.tracing.conftest import environment_for

LOADED = "tallykeeper-loaded.txt"


def with_code(directory: Path, code: str, **variables: str) -> Mapping[str, str]:
    """Return an environment in which each Python process runs some code before it begins."""
    directory.mkdir(exist_ok=True)
    (directory / "sitecustomize.py").write_text(code)
    return {**os.environ, "PYTHONPATH": str(directory), **variables}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_without_the_extra_the_error_names_it_and_the_command(workers: str, tmp_path: Path, data: str) -> None:
    blocked = "import sys\nsys.modules['opentelemetry.sdk'] = None\n"

    line = refused_start(
        *("--traces", "--workers", workers, "--data-dir", data), environment=with_code(tmp_path / "code", blocked)
    )

    assert line == "tallykeeper: traces need the extra otel: pip install 'tallykeeper[otel]', or start without --traces"


OF_THE_WORKER = [
    ("OTEL_TRACES_SAMPLER", "sometimes", "one of always_on, always_off, traceidratio, parentbased_always_on"),
    ("OTEL_TRACES_SAMPLER_ARG", "1.5", "a number from 0 to 1"),
    ("OTEL_TRACES_SAMPLER_ARG", "nan", "a number from 0 to 1"),
    ("OTEL_TRACES_SAMPLER_ARG", "half", "a number from 0 to 1"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a whole number of spans, 1 to 10000000"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "a whole number of spans, 1 to 10000000"),
    ("OTEL_TRACES_EXPORTER", "zipkin", "otlp, which is all that this server sends"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "grpc, which is all that this server sends"),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "grpc, which is all that this server sends"),
]
OF_THE_EXPORTER = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "tcp://127.0.0.1:1", "http://host:port, or https://host:port with TLS"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", "http://host:port, or https://host:port with TLS"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "never", "a number of seconds above 0"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "a number of seconds above 0"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "gzip or none"),
]


@pytest.mark.parametrize(("name", "value", "rule"), OF_THE_WORKER)
def test_a_variable_of_the_worker_that_breaks_its_rule_is_named(name: str, value: str, rule: str) -> None:
    with pytest.raises(TraceSettingError, match=re.escape(f"{name} = {value} must be {rule}")):
        TraceSettings.from_environment({name: value})


@pytest.mark.parametrize(("name", "value", "rule"), OF_THE_EXPORTER)
def test_a_variable_of_the_exporter_that_breaks_its_rule_is_named(name: str, value: str, rule: str) -> None:
    with pytest.raises(TraceSettingError, match=re.escape(f"{name} = {value} must be {rule}")):
        Collector({name: value})


def test_headers_that_cannot_be_read_are_not_shown() -> None:
    with pytest.raises(TraceSettingError, match="OTEL_EXPORTER_OTLP_HEADERS must be name=value pairs") as caught:
        Collector({"OTEL_EXPORTER_OTLP_HEADERS": "secret"})

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["https://127.0.0.1:1", "127.0.0.1:1"])
@pytest.mark.parametrize("name", ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"])
def test_a_file_that_cannot_be_read_is_named(name: str, endpoint: str, tmp_path: Path) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, f"OTEL_EXPORTER_OTLP_{name}": str(tmp_path / "missing.pem")}

    with pytest.raises(
        TraceSettingError, match=f"OTEL_EXPORTER_OTLP_{name} = .*missing.pem cannot be read: No such file"
    ):
        Collector(variables)


def test_without_variables_the_defaults_count() -> None:
    settings = TraceSettings.from_environment({})

    assert settings == TraceSettings(Sampler.of("parentbased_always_on", 1.0), QUEUE_SPANS_DEFAULT)
    assert Collector({}).timeout_seconds == 10


@pytest.mark.parametrize(("name", "value", "rule"), [OF_THE_WORKER[0], OF_THE_EXPORTER[0]], ids=["worker", "exporter"])
def test_a_server_does_not_start_with_a_variable_that_breaks_its_rule(
    name: str, value: str, rule: str, own_backend: Backend, data: str
) -> None:
    line = refused_start("--traces", "--data-dir", data, environment=environment_for(own_backend, **{name: value}))

    assert f"{name} = {value} must be {rule}" in line


@pytest.mark.parametrize("off", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_the_environment_can_turn_traces_off(
    off: dict[str, str], own_backend: Backend, data: str, namespace: str
) -> None:
    with ServerProcess("--traces", "--data-dir", data, environment=environment_for(own_backend, **off)) as server:
        assert server.events("traces are off, because OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER says so")
        caller = Caller(server.target)
        caller(IncrementRequest(namespace=namespace, counter="v"))
        caller.close()

    assert own_backend.spans == []


def loaded_by(directory: Path, *arguments: str, environment: Mapping[str, str]) -> set[str]:
    """Return the modules of OpenTelemetry that the process of a server has loaded when it has answered a call."""
    code = (
        "import atexit, sys\n"
        "def note():\n"
        f"    if 'serve' in sys.argv: open({str(directory / LOADED)!r}, 'w').write('\\n'.join(sys.modules))\n"
        "atexit.register(note)\n"
    )
    environment = {**environment, **with_code(directory, code)}
    with ServerProcess(*arguments, environment=environment) as server:
        caller = Caller(server.target)
        caller(IncrementRequest(counter="v"))
        caller.close()
        assert server.stop() == 0
    wait_until((directory / LOADED).exists, what="the modules are written")
    modules = set((directory / LOADED).read_text().splitlines())
    assert "tallykeeper_server.app.server" in modules
    return {name for name in modules if name.startswith("opentelemetry")}


def test_a_server_without_traces_loads_nothing_of_opentelemetry(tmp_path: Path, data: str) -> None:
    assert loaded_by(tmp_path / "code", "--data-dir", data, environment=os.environ) == set()


def test_a_server_with_traces_leaves_opentelemetry_to_its_exporter(
    tmp_path: Path, own_backend: Backend, data: str
) -> None:
    loaded = loaded_by(*(tmp_path / "code", "--traces", "--data-dir", data), environment=environment_for(own_backend))

    assert loaded <= {"opentelemetry"}
    assert own_backend.spans


def test_a_client_without_a_tracer_provider_loads_nothing_of_opentelemetry() -> None:
    code = (
        "import sys, tallykeeper_client\n"
        "tallykeeper_client.Client('127.0.0.1:1')\n"
        "print([name for name in sys.modules if 'telemetry' in name])"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=PATIENCE_SECONDS)

    assert ended.stdout.strip() == b"[]"
