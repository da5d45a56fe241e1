"""The pulse of a namespace: exact rates, and an end when no page looks."""

import asyncio
import math

import pytest

from tallykeeper_client import AsyncClient
from tallykeeper_console.views import pulse
from tallykeeper_console.views.pulse import Pulse, Pulses, Sample, Samples
from tests.support.server import PATIENCE_SECONDS, ThreadedServer, free_ports


def samples(*revisions: int) -> Samples:
    """Make samples two seconds apart, whose answers took 1, 2, 3, … seconds."""
    made = Samples()
    for index, revision in enumerate(revisions):
        made.add(Sample(index * 2.0, 1_000.0 + index * 2, revision, index + 1.0, first=index == 0))
    return made


def test_rates_are_differences_of_revisions() -> None:
    made = samples(10, 14, 14, 24)

    assert made.rates() == [(1_002.0, 2.0), (1_004.0, 0.0), (1_006.0, 5.0)]
    assert made.rate() == 5.0
    assert samples(10).rate() is None


def test_a_namespace_that_lost_changes_has_no_negative_rate() -> None:
    assert samples(10, 14, 3, 5).rates() == [(1_006.0, 1.0)]


def test_latencies_leave_out_the_answer_that_connected() -> None:
    made = samples(1, 2, 3, 4)

    assert [seconds for _, seconds in made.latencies()] == [2.0, 3.0, 4.0]
    assert (made.latency(0.5), made.latency(0.99)) == (3.0, 4.0)
    assert Samples().latency(0.5) is None


def test_old_samples_are_forgotten() -> None:
    made = samples(*range(pulse.SAMPLES_MAX + 50))

    assert len(made.rates()) == pulse.SAMPLES_MAX - 1


async def test_a_beat_reads_the_namespace(server: ThreadedServer, namespace: str) -> None:
    async with AsyncClient(server.target, namespace=namespace) as client:
        await client.increment("visits")
        beating = Pulse(client, namespace)
        await beating.beat()
        await client.increment("visits")
        await beating.beat()

    assert beating.latest is not None
    assert (beating.latest.revision, beating.latest.counter_count, beating.error) == (2, 1, None)
    assert len(beating.samples.rates()) == 1


async def test_a_beat_keeps_the_error_of_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "TIMEOUT_SECONDS", 0.2)
    async with AsyncClient(f"127.0.0.1:{free_ports(1)[0]}", timeout_seconds=3_600) as client:
        beating = Pulse(client, "shop")
        async with asyncio.timeout(PATIENCE_SECONDS):  # and not the client's own hour
            await beating.beat()

    assert beating.error is not None
    assert beating.latest is None


async def test_all_pages_share_a_pulse_which_ends_when_none_looks(server: ThreadedServer, namespace: str) -> None:
    time = 0.0
    async with AsyncClient(server.target) as client:
        pulses = Pulses(client)
        assert pulses.of(namespace) is pulses.of(namespace)
        assert len(pulses) == 1
        await pulses.close()
        await asyncio.sleep(0)
        assert len(pulses) == 0

        beating = Pulse(client, namespace, clock=lambda: time)
        time += pulse.UNWATCHED_SECONDS
        beating.look()
        assert not beating.unwatched
        time = math.nextafter(time + pulse.UNWATCHED_SECONDS, math.inf)
        await beating.run()
        assert beating.latest is None
