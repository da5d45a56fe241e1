"""``tallykeeper console``: its addresses, and what it says when it cannot serve."""

import socket
import sys
from types import SimpleNamespace

import pytest

from tallykeeper_cli.main import main
from tallykeeper_console import command
from tallykeeper_console.listen_address import ListenAddress


def test_without_the_extra_it_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)

    assert main(["console"]) == 1
    assert capsys.readouterr().err == (
        "tallykeeper: the console needs the extra console: pip install tallykeeper[console]\n"
    )


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_it_refuses_to_listen_beyond_loopback(listen: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["console", "--listen", listen]) == 2
    error = capsys.readouterr().err
    assert f"--listen {listen} is beyond loopback" in error
    assert "--allow-remote" in error


@pytest.mark.parametrize("listen", ["", "50082", "localhost", ":50082", "localhost:", "localhost:70000", "::1:50082"])
def test_it_refuses_an_address_that_is_none(listen: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["console", "--listen", listen]) == 2
    assert f"{listen} is not HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:0", "http://127.0.0.1:7/"),
        ("localhost:1", "http://localhost:7/"),
        ("[::1]:65535", "http://[::1]:7/"),
    ],
)
def test_loopback_addresses_are_local(text: str, url: str) -> None:
    address = ListenAddress.parse(text)

    assert address.is_loopback()
    assert address.url(7) == url


def test_a_port_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: object())
    monkeypatch.setitem(sys.modules, "tallykeeper_console.server", SimpleNamespace(Options=dict, serve=None))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["console", "--listen", listen]) == 1
    assert f"--listen {listen} cannot be opened: Address already in use" in capsys.readouterr().err
