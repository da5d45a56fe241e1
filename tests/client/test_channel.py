"""The options of the channel, and their effect for a caller whose server restarts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from tallykeeper_client import AsyncClient, Client, Unavailable
from tallykeeper_client._channel import CHANNEL_OPTIONS, SERVICE_CONFIG, TIMEOUT_SECONDS_DEFAULT, channel_options

RESTART_SECONDS_MAX = 4.0
"""The maximum time for which a restarting server keeps its port closed."""
JITTER = 0.2
"""The share by which gRPC varies each backoff, up or down (gRFC A6)."""


def test_the_attempts_outlast_a_restart_and_end_before_the_deadline() -> None:
    policy = _method_config({})["retryPolicy"]
    initial, longest = (float(policy[name].removesuffix("s")) for name in ("initialBackoff", "maxBackoff"))
    waits = [
        min(initial * policy["backoffMultiplier"] ** number, longest) for number in range(policy["maxAttempts"] - 1)
    ]

    assert sum(waits) * (1 - JITTER) > RESTART_SECONDS_MAX
    assert sum(waits) * (1 + JITTER) < TIMEOUT_SECONDS_DEFAULT


def test_a_call_waits_for_a_connection() -> None:
    assert _method_config({})["waitForReady"] is True


def test_the_channel_does_not_repeat_a_watch() -> None:
    found = _method_config({"service": "tallykeeper.v1.LedgerService", "method": "Watch"})

    assert found.keys() == {"name"}


def test_other_languages_find_the_service_config_beside_the_packages() -> None:
    assert (Path(__file__).parents[2] / "client" / "service_config.json").read_text() == SERVICE_CONFIG


def test_without_retries_the_channel_has_none() -> None:
    listed = channel_options("127.0.0.1:50051", retries=False)
    options = dict(listed)
    assert len(options) == len(listed), "gRPC takes the first of two values"

    assert options["grpc.enable_retries"] == 0
    assert json.loads(str(options["grpc.service_config"])) == {}


def test_a_silent_server_is_noticed() -> None:
    options = dict(CHANNEL_OPTIONS)

    assert options["grpc.keepalive_time_ms"] == 30_000
    assert options["grpc.keepalive_timeout_ms"] == options["grpc.http2.ping_timeout_ms"] == 10_000


def _method_config(name: Mapping[str, str]) -> dict[str, Any]:
    """Return the channel's configuration for a method. The empty name stands for all methods."""
    every = json.loads(str(dict(CHANNEL_OPTIONS)["grpc.service_config"]))["methodConfig"]
    (found,) = (config for config in every if config["name"] == [name])
    return dict(found)


async def test_credentials_make_the_channel_encrypted(unused_tcp_port: int) -> None:
    credentials = grpc.ssl_channel_credentials()
    target = f"127.0.0.1:{unused_tcp_port}"

    with Client(target, credentials=credentials) as client, pytest.raises(Unavailable):
        client.wait_until_ready(timeout_seconds=0.1)
    async with AsyncClient(target, credentials=credentials) as asynchronous:
        with pytest.raises(Unavailable):
            await asynchronous.wait_until_ready(timeout_seconds=0.1)


def test_without_retries_a_call_does_not_wait_for_a_connection(nobody: str) -> None:
    with Client(nobody, retries=False) as client, pytest.raises(Unavailable):
        client.check_health()
