"""The forms of a target, and the proxy of the environment, which is not used for this machine itself."""

import pytest

from tallykeeper_cli.main import main
from tallykeeper_client import AsyncClient, Client
from tallykeeper_client._channel import channel_options
from tallykeeper_client.target import Address, address_of, is_loopback
from tests.support.server import ThreadedServer


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("127.0.0.1:50051", Address("127.0.0.1", 50051)),
        ("shop.example:1", Address("shop.example", 1)),
        ("[::1]:50051", Address("::1", 50051)),
        ("dns:///shop.example:65535", Address("shop.example", 65535)),
        ("dns://8.8.8.8/shop.example:7", Address("shop.example", 7)),
        ("dns:shop.example:7", Address("shop.example", 7)),
        ("unix:/run/tallykeeper.sock", None),
        ("unix:///run/tallykeeper.sock", None),
        ("ipv4:127.0.0.1:7,127.0.0.2:7", None),
    ],
)
def test_a_target_is_a_host_and_a_port_or_a_form_of_grpc(target: str, address: Address | None) -> None:
    assert address_of(target) == address


BAD_TARGETS = [
    ("", "the target is empty; name HOST:PORT"),
    ("  ", "the target is empty"),
    ("localhost", "'localhost' names no port; name HOST:PORT"),
    ("localhost:", "names no port"),
    (":50051", "names no host"),
    ("localhost:http", "has the port 'http'; a port is a number from 1 to 65535"),
    ("localhost:0", "has the port '0'"),
    ("localhost:65536", "has the port '65536'"),
    ("::1:50051", "has an IPv6 address without brackets; name it as [ADDRESS]:PORT"),
    ("http://localhost:50051", "is a URL; name HOST:PORT without http://"),
    ("dns:///shop.example", "names no port"),
]


@pytest.mark.parametrize(("target", "words"), BAD_TARGETS)
async def test_a_bad_target_is_refused_with_the_right_form(target: str, words: str) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(ValueError, match="target") as caught:
            client(target)
        assert words in str(caught.value)


@pytest.mark.parametrize(("target", "words"), BAD_TARGETS)
def test_a_command_reports_a_bad_target_as_wrong_usage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, target: str, words: str
) -> None:
    monkeypatch.setenv("TALLYKEEPER_TARGET", "127.0.0.1:1")

    assert main(["counter", "list", "--target", target]) == 2

    errors = capsys.readouterr().err
    assert words in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "here"),
    [("localhost", True), ("a.localhost", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("a", False)],
)
def test_this_machine_is_known_by_its_names(host: str, *, here: bool) -> None:
    assert is_loopback(host) is here
    target = f"[{host}]:1" if ":" in host else f"{host}:1"
    assert (("grpc.enable_http_proxy", 0) in channel_options(target)) is here


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, server: ThreadedServer, namespace: str, unused_tcp_port: int
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_tcp_port}")
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)

    with Client(server.target, namespace=namespace, timeout_seconds=5) as client:
        assert client.increment("visits").counter.value == 1
