"""Changes of keys, grants, key sets and certificates while the server runs; and rates."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from grpc import StatusCode

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper.v1.ledger_pb2 import WatchRequest
from tallykeeper_server.access.policy import AccessPolicy, Rate
from tallykeeper_server.access.rate_limits import RateLimitedError, RateLimits
from tallykeeper_server.cli.certificate_authority import make_certificates
from tests.access.conftest import Site
from tests.access.tokens import token, write_key_set
from tests.server.start import refused_start
from tests.support.client import Caller, Failure
from tests.support.server import ServerProcess, ThreadedServer, wait_until

Make = Callable[..., Caller]


@pytest.fixture
def target(site: Site) -> Iterator[str]:
    """The address of a server that uses this test's site."""
    with ThreadedServer(site.settings(data_dir=site.directory / "data", bookmark_seconds=0.1)) as server:
        yield server.target


def increment(namespace: str) -> IncrementRequest:
    return IncrementRequest(namespace=namespace, counter="visits")


def reason_of(call: Caller, request: IncrementRequest) -> str:
    try:
        call(request)
    except Failure as failure:
        return failure.reason
    return "OK"


def test_a_change_of_the_file_refills_no_bucket() -> None:
    now = [0.0]
    slow, fast = Rate(1.0, 10.0), Rate(1.0, 20.0)
    limits = RateLimits(AccessPolicy(rates={"a": slow, "b": slow}), clock=lambda: now[0])

    def left(identity: str) -> int:
        calls = 0
        while True:
            try:
                limits.take(identity)
            except RateLimitedError:
                return calls
            calls += 1

    assert (left("a"), left("b")) == (10, 10)
    limits.follow(AccessPolicy(rates={"a": slow, "b": fast}))
    assert (left("a"), left("b")) == (0, 0)
    now[0] = 4.0
    limits.follow(AccessPolicy(rates={"a": slow, "b": slow}))
    assert (left("a"), left("b")) == (4, 2)  # the bucket has twice the size, and is half full again
    limits.follow(AccessPolicy())
    limits.take("a")
    limits.follow(AccessPolicy(rates={"a": slow, "b": slow}))
    assert left("a") == 0


def test_a_key_is_taken_out_and_a_grant_is_given_without_a_restart(
    target: str, site: Site, caller: Make, namespace: str
) -> None:
    writer, reader = (
        caller(target, site.credentials(), f"Bearer {site.keys[identity]}") for identity in ("writer", "reader")
    )
    assert (reason_of(writer, increment(namespace)), reason_of(reader, increment(namespace))) == (
        "OK",
        "PERMISSION_DENIED",
    )

    text = site.access_file.read_text().replace('id = "writer"', 'id = "former"')
    site.access_file.write_text(f'{text}\n[[grant]]\nidentity = "reader"\nnamespaces = ["*"]\nrole = "write"\n')

    wait_until(lambda: reason_of(reader, increment(namespace)) == "OK", what="the grant counts")
    assert reason_of(writer, increment(namespace)) == "CREDENTIAL_INVALID"


def test_a_wrong_change_is_logged_and_changes_nothing(site: Site, caller: Make, namespace: str) -> None:
    files = (
        "--access-file",
        str(site.access_file),
        "--tls-certificate",
        str(site.directory / "server.pem"),
    )
    with ServerProcess(
        "--data-dir",
        str(site.directory / "data"),
        *files,
        "--tls-key",
        str(site.directory / "server.key"),
    ) as server:
        call = caller(server.target, site.credentials(), f"Bearer {site.keys['writer']}")
        site.access_file.write_text("[[key]]\nid = 1\n")
        wait_until(lambda: bool(server.events("access stays as it was")), what="it is logged")

        assert reason_of(call, increment(namespace)) == "OK"
        assert "key[0].id = 1 must be" in server.events("access stays as it was")[0]["error"]
        assert server.events("access")[0]["tls"] == "of the server"


def test_a_watch_ends_when_its_caller_may_not_read_any_more(
    target: str, site: Site, caller: Make, namespace: str
) -> None:
    call = caller(target, site.credentials(), f"Bearer {site.keys['writer']}")
    call(increment(namespace))
    with call.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
        next(responses)
        text = site.access_file.read_text()
        site.access_file.write_text(text.replace('identity = "writer"\nnamespaces', 'identity = "other"\nnamespaces'))
        with pytest.raises(Failure) as raised:
            for _ in responses:
                pass

    assert raised.value.code is StatusCode.PERMISSION_DENIED


def test_a_watch_ends_when_its_token_has_expired(target: str, site: Site, caller: Make, namespace: str) -> None:
    expiring = token("reader", exp=time.time() - 29)  # the leeway is 30 seconds
    call = caller(target, site.credentials(), f"Bearer {expiring}")
    with call.stream(WatchRequest(namespace=namespace)) as responses, pytest.raises(Failure) as raised:
        for _ in responses:
            pass

    assert (raised.value.code, raised.value.reason) == (StatusCode.UNAUTHENTICATED, "CREDENTIAL_EXPIRED")


def test_a_key_set_changes_without_a_restart(target: str, site: Site, caller: Make, namespace: str) -> None:
    call = caller(target, site.credentials(), f"Bearer {token('writer')}")
    assert reason_of(call, increment(namespace)) == "OK"

    write_key_set(site.directory / "keys.json", keys=("ec",))

    wait_until(lambda: reason_of(call, increment(namespace)) == "CREDENTIAL_INVALID", what="the key is refused")


def test_a_replaced_certificate_is_used_by_the_next_connection(
    target: str, site: Site, caller: Make, namespace: str
) -> None:
    key = f"Bearer {site.keys['writer']}"
    old, first = site.credentials(), caller(target, site.credentials(), key)
    first(increment(namespace))
    for file in site.directory.glob("ca.*"):
        file.unlink()
    make_certificates(site.directory, hosts=["127.0.0.1"], clients=[], days=1)

    assert reason_of(caller(target, site.credentials(), key), increment(namespace)) == "OK"
    with pytest.raises(Failure) as raised:
        caller(target, old, key)(increment(namespace))
    assert raised.value.code is StatusCode.UNAVAILABLE
    assert reason_of(first, increment(namespace)) == "OK"  # an open connection keeps its certificate


@pytest.mark.parametrize("broken", ["server.pem", "server.key"])
def test_a_broken_certificate_leaves_the_old_one_in_use(
    target: str, site: Site, caller: Make, namespace: str, broken: str
) -> None:
    (site.directory / broken).write_text("nonsense")

    call = caller(target, site.credentials(), f"Bearer {site.keys['writer']}")

    assert reason_of(call, increment(namespace)) == "OK"


def test_a_rate_is_kept_and_says_when_to_come_back(target: str, site: Site, caller: Make, namespace: str) -> None:
    text = site.access_file.read_text()
    site.access_file.write_text(f'{text}\n[[rate]]\nidentity = "writer"\ncalls_per_second = 0.01\nburst = 5\n')
    call = caller(target, site.credentials(), f"Bearer {site.keys['writer']}")
    refused: list[Failure] = []

    def is_refused() -> bool:
        try:
            call(GetCounterRequest(namespace=namespace, counter="visits"))
        except Failure as failure:
            if failure.reason == "RATE_LIMITED":
                refused.append(failure)
        return bool(refused)

    wait_until(is_refused, what="the rate counts")

    assert refused[0].code is StatusCode.RESOURCE_EXHAUSTED
    assert refused[0].metadata == {"identity": "writer", "calls_per_second": "0.01", "burst": "5"}
    assert 90 <= (refused[0].retry_delay_seconds or 0) <= 100
    assert refused[0].pushback_ms == -1  # longer than a call waits
    other = caller(target, site.credentials(), f"Bearer {site.keys['reader']}")
    with suppress(Failure):
        other(GetCounterRequest(namespace=namespace, counter="visits"))
    assert reason_of(other, increment(namespace)) == "PERMISSION_DENIED"


def test_a_bucket_fills_again_and_a_batch_pays_for_all_its_operations() -> None:
    now = [0.0]
    limits = RateLimits(AccessPolicy(rates={"*": Rate(10.0, 3.0)}), clock=lambda: now[0])
    for _ in range(3):
        limits.take("a")
    with pytest.raises(RateLimitedError) as raised:
        limits.take("a")
    assert raised.value.retry_after_seconds == pytest.approx(0.1)
    limits.take("b")  # it has its own bucket

    now[0] = 0.1
    limits.take("a")
    limits.charge("a", 9)
    now[0] = 0.9
    with pytest.raises(RateLimitedError):
        limits.take("a")
    now[0] = 1.11
    limits.take("a")


def test_a_batch_is_charged_by_its_operations(target: str, site: Site, caller: Make, namespace: str) -> None:
    text = site.access_file.read_text()
    site.access_file.write_text(f'{text}\n[[rate]]\nidentity = "*"\ncalls_per_second = 0.01\nburst = 100\n')
    call = caller(target, site.credentials(), f"Bearer {site.keys['writer']}")
    batch = ApplyRequest(
        namespace=namespace,
        operations=[Operation(increment=IncrementRequest(counter="v"))] * 200,
        mode=BATCH_MODE_INDEPENDENT,
    )

    def is_refused() -> bool:
        try:
            call(batch)
        except Failure as failure:
            return failure.reason == "RATE_LIMITED"
        return False

    wait_until(is_refused, what="the rate counts")


def test_a_server_does_not_start_with_files_that_it_cannot_use(site: Site, tmp_path: Path) -> None:
    def start(certificate: str = "server.pem", key: str = "server.key", access: str = "access.toml") -> str:
        names = {"--tls-certificate": certificate, "--tls-key": key, "--access-file": access}
        flags = [word for flag, name in names.items() for word in (flag, str(site.directory / name))]
        return refused_start("--data-dir", str(tmp_path / "data"), "--workers", "1", *flags)

    make_certificates(tmp_path / "old", hosts=["localhost"], clients=[], days=0)
    (site.directory / "wrong.toml").write_text("[[grant]]\n")
    assert "none.pem cannot be read: No such file" in start(certificate="none.pem")
    assert "keys.json holds no certificate in PEM form" in start(certificate="keys.json")
    assert "ca.pem holds no private key in PEM form" in start(key="ca.pem")
    assert "reader.key is not the key of" in start(key="reader.key")
    assert "has expired, on" in start(certificate="old/server.pem", key="old/server.key")
    assert "grant[0] lacks" in start(access="wrong.toml")


def test_grpc_knows_that_it_is_encrypted(target: str, site: Site) -> None:
    with grpc.secure_channel(target, site.credentials()) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
