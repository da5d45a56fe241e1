"""TLS: ALPN, versions, client certificates, and certificates that change while the server runs."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509

from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.transport.limits import TransportLimits
from tallykeeper_server.transport.tls import ServerTls, TlsFilesError
from tests.transport.handlers import DEADLINE_SECONDS, Channel, serving, until


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    make_certificates(tmp_path, hosts=["127.0.0.1", "localhost"], clients=["shop"], days=1)
    return tmp_path


def _server(directory: Path, *, mutual: bool = False) -> ServerTls:
    return ServerTls(directory / "server.pem", directory / "server.key", directory / "ca.pem" if mutual else None)


def _channel(address: str, directory: Path, *, client: str | None = None) -> Channel:
    key, chain = (
        ((directory / f"{client}.key").read_bytes(), (directory / f"{client}.pem").read_bytes())
        if client
        else (None, None)
    )
    return grpc.aio.secure_channel(
        address, grpc.ssl_channel_credentials((directory / "ca.pem").read_bytes(), key, chain)
    )


async def test_tls_clients_are_served(certificates: Path) -> None:
    async with serving(tls=_server(certificates)) as served, _channel(served.address, certificates) as channel:
        message = bytes(1 << 20)
        assert await channel.unary_unary("/test.Echo/Unary")(message) == message
        assert [part async for part in channel.unary_stream("/test.Echo/Repeat")(b"x")] == [b"x"] * 3
        assert served.handlers.calls[0].peer.certificate is None


async def test_mutual_tls_gives_the_handler_the_peers_certificate(certificates: Path) -> None:
    async with serving(tls=_server(certificates, mutual=True)) as served:
        async with _channel(served.address, certificates, client="shop") as channel:
            assert await channel.unary_unary("/test.Echo/Unary")(b"x") == b"x"
        certificate = served.handlers.calls[0].peer.certificate
        assert certificate is not None
        assert certificate.alternative_names == ("spiffe://tallykeeper/shop",)
        pem = x509.load_pem_x509_certificate((certificates / "shop.pem").read_bytes())
        assert x509.load_der_x509_certificate(certificate.der) == pem


async def test_mutual_tls_refuses_clients_without_a_certificate(certificates: Path, tmp_path: Path) -> None:
    strangers = tmp_path / "strangers"
    make_certificates(strangers, hosts=["localhost"], clients=["shop"], days=1)
    async with serving(tls=_server(certificates, mutual=True)) as served:
        (strangers / "ca.pem").write_bytes((certificates / "ca.pem").read_bytes())
        for directory, client in ((certificates, None), (strangers, "shop")):
            async with _channel(served.address, directory, client=client) as channel:
                code = await channel.unary_unary("/test.Echo/Unary")(b"x", timeout=DEADLINE_SECONDS).code()
                assert code is grpc.StatusCode.UNAVAILABLE
        assert not served.handlers.calls
        await until(lambda: served.server.connections == 0)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize("flaw", ["alpn", "version", "cipher"])
async def test_clients_without_http2_or_modern_tls_are_refused(certificates: Path, flaw: str) -> None:
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    if flaw != "alpn":
        context.set_alpn_protocols(["h2"])
    if flaw == "version":
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    if flaw == "cipher":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256")
    async with serving(tls=_server(certificates)) as served:
        assert await _first_bytes(served.address, context) == b""
        context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        context.set_alpn_protocols(["h2"])
        assert (await _first_bytes(served.address, context))[3:4] == b"\x04"
        await until(lambda: served.server.connections == 0)


async def _first_bytes(address: str, context: ssl.SSLContext) -> bytes:
    """Return the first bytes that a server sends, or no bytes if it closes."""
    host, _, port = address.rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    except (ssl.SSLError, ConnectionError):
        return b""
    async with asyncio.timeout(DEADLINE_SECONDS):
        try:
            return await reader.read(9)
        except ConnectionError:
            return b""
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def test_a_silent_handshake_is_ended_and_counted(certificates: Path) -> None:
    limits = TransportLimits(handshake_seconds=0.2)
    async with serving(tls=_server(certificates), limits=limits) as served:
        host, _, port = served.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        await until(lambda: served.server.connections == 1)
        async with asyncio.timeout(DEADLINE_SECONDS):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        await until(lambda: served.server.connections == 0)
        writer.close()


async def test_new_connections_use_certificates_that_were_reloaded(certificates: Path, tmp_path: Path) -> None:
    tls = _server(certificates)
    async with serving(tls=tls) as served:
        other = tmp_path / "other"
        make_certificates(other, hosts=["127.0.0.1"], clients=[], days=1)
        async with _channel(served.address, certificates) as before:
            assert await before.unary_unary("/test.Echo/Unary")(b"x") == b"x"
            for name in ("server.pem", "server.key"):
                (certificates / name).write_bytes((other / name).read_bytes())
            tls.reload()
            async with _channel(served.address, other) as after:
                assert await after.unary_unary("/test.Echo/Unary")(b"y") == b"y"
            assert await before.unary_unary("/test.Echo/Unary")(b"still") == b"still"


async def test_files_that_cannot_be_used_change_nothing(certificates: Path) -> None:
    tls = _server(certificates, mutual=True)
    context = tls.context
    for name in ("server.key", "ca.pem"):
        good = (certificates / name).read_bytes()
        (certificates / name).write_text("nonsense")
        with pytest.raises(TlsFilesError, match=name):
            tls.reload()
        (certificates / name).write_bytes(good)
    assert tls.context is context
    tls.reload()
    assert tls.context is not context
    with pytest.raises(TlsFilesError, match=r"missing\.pem"):
        ServerTls(certificates / "missing.pem", certificates / "server.key")
