"""A server without TLS or without credentials does not listen to the network, unless the settings allow both."""

from pathlib import Path

import pytest

from tallykeeper_server.settings import Settings, SettingsError
from tests.server.start import wrong_setting
from tests.support.server import ServerProcess

PEM = Path("server.pem")
NETWORK = ("0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1")  # refused
LOCAL = ("127.0.0.1:1", "127.9.8.7:1", "[::1]:1", "localhost:1", "unix:/run/t.sock")


@pytest.mark.parametrize("listen", NETWORK)
def test_a_server_open_to_the_network_says_so_for_each_thing_that_is_missing(listen: str) -> None:
    with pytest.raises(SettingsError, match=r"without TLS.* and without asking who calls"):
        Settings(listen=listen).check()
    with pytest.raises(SettingsError, match="network without asking who calls"):
        Settings(listen=listen, allow_plaintext=True).check()
    with pytest.raises(SettingsError, match="network without TLS"):
        Settings(listen=listen, allow_anonymous=True).check()
    with pytest.raises(SettingsError, match="network without TLS"):
        Settings(listen=listen, access_file=Path("access.toml")).check()
    with pytest.raises(SettingsError, match="network without asking who calls"):
        Settings(listen=listen, tls_certificate=PEM, tls_key=PEM, tls_client_ca=PEM).check()
    Settings(listen=listen, allow_plaintext=True, allow_anonymous=True).check()
    Settings(listen=listen, tls_certificate=PEM, tls_key=PEM, access_file=Path("access.toml")).check()
    Settings(listen=listen, tls_certificate=PEM, tls_key=PEM, allow_anonymous=True).check()


@pytest.mark.parametrize("listen", ["0.0.0.0:50080", "[::]:50080"])
def test_http_beyond_loopback_needs_the_same(listen: str) -> None:
    with pytest.raises(SettingsError, match=r"http_listen = .* would be open to the network without TLS"):
        Settings(http_listen=listen).check()
    with pytest.raises(SettingsError, match="access_file"):
        Settings(http_listen=listen, allow_plaintext=True).check()
    Settings(http_listen=listen, allow_plaintext=True, allow_anonymous=True).check()


@pytest.mark.parametrize("listen", LOCAL)
def test_on_this_machine_alone_nothing_needs_to_be_said(listen: str) -> None:
    Settings(listen=listen).check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tls_certificate": PEM}, "tls_certificate and tls_key go together"),
        ({"tls_key": PEM}, "tls_certificate and tls_key go together"),
        ({"tls_client_ca": PEM}, "tls_client_ca needs tls_certificate"),
    ],
)
def test_tls_is_not_set_by_half(settings: dict[str, Path], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings(**settings).check()  # type: ignore[arg-type]  # by name


def test_the_program_refuses_in_one_line() -> None:
    line = wrong_setting("--listen", "0.0.0.0:0")

    assert "listen = 0.0.0.0:0 would be open to the network" in line
    assert "allow_plaintext" in line
    assert "allow_anonymous" in line


def test_what_was_said_to_be_well_is_logged_as_a_warning(tmp_path: Path) -> None:
    flags = ("--listen", "0.0.0.0:0", "--allow-plaintext", "--allow-anonymous")
    with ServerProcess("--data-dir", str(tmp_path), *flags) as server:
        pass

    (reported,) = server.events("access")
    assert reported | {"level": "warning", "tls": "none", "callers": "anybody"} == reported


@pytest.mark.parametrize("host", ["no-such-host.invalid", f"{'x' * 64}.invalid"])
def test_an_unknown_host_is_reported(host: str) -> None:
    line = wrong_setting("--listen", f"{host}:0")

    assert f"listen = {host}:0 names an unknown host" in line
