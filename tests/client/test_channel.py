"""The options of the channel: what they promise a caller whose server restarts."""

import json

import grpc
import pytest

from tallykeeper_client import AsyncClient, Client, Unavailable
from tallykeeper_client.channel import CHANNEL_OPTIONS, TIMEOUT_SECONDS_DEFAULT

RESTART_SECONDS_MAX = 5.0
JITTER = 0.2
"""gRPC draws each backoff from a fifth less to a fifth more (gRFC A6)."""


def test_the_attempts_outlast_a_restart_and_end_before_the_deadline() -> None:
    (method_config,) = json.loads(str(dict(CHANNEL_OPTIONS)["grpc.service_config"]))["methodConfig"]
    policy = method_config["retryPolicy"]
    initial, longest = (float(policy[name].removesuffix("s")) for name in ("initialBackoff", "maxBackoff"))
    waits = [
        min(initial * policy["backoffMultiplier"] ** number, longest) for number in range(policy["maxAttempts"] - 1)
    ]

    assert sum(waits) * (1 - JITTER) > RESTART_SECONDS_MAX
    assert sum(waits) * (1 + JITTER) < TIMEOUT_SECONDS_DEFAULT


async def test_credentials_make_the_channel_encrypted(unused_tcp_port: int) -> None:
    credentials = grpc.ssl_channel_credentials()
    target = f"127.0.0.1:{unused_tcp_port}"

    with Client(target, credentials=credentials) as client, pytest.raises(Unavailable):
        client.wait_until_ready(timeout_seconds=0.1)
    async with AsyncClient(target, credentials=credentials) as asynchronous:
        with pytest.raises(Unavailable):
            await asynchronous.wait_until_ready(timeout_seconds=0.1)
