"""TLS, certificates, tokens and permissions over HTTP: the same as over gRPC."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallykeeper_server.cli.certificate_authority import make_certificates
from tests.access.conftest import Site, make_site
from tests.http.http_client import COUNTERS, Answer, request
from tests.support.server import ThreadedServer, wait_until


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("http-access"))


@pytest.fixture(scope="module")
def secure(site: Site) -> Iterator[ThreadedServer]:
    with ThreadedServer(site.settings(data_dir=site.directory / "secure")) as server:
        yield server


@pytest.fixture(scope="module")
def mutual(site: Site) -> Iterator[ThreadedServer]:
    with ThreadedServer(site.settings(data_dir=site.directory / "mutual", mutual=True)) as server:
        yield server


def tls(directory: Path, client: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=directory / "ca.pem")
    if client is not None:
        context.load_cert_chain(directory / f"{client}.pem", directory / f"{client}.key")
    return context


def increment(server: ThreadedServer, namespace: str, context: ssl.SSLContext, key: str | None = None) -> Answer:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    body = {"namespace": namespace, "counter": "c"}
    return request(server.http, f"{COUNTERS}/Increment", body, headers, tls=context)


def test_a_key_says_who_calls(secure: ThreadedServer, site: Site, namespace: str) -> None:
    assert increment(secure, namespace, tls(site.directory), site.keys["writer"]).status == 200


def test_a_call_without_a_key_is_401(secure: ThreadedServer, site: Site, namespace: str) -> None:
    answer = increment(secure, namespace, tls(site.directory))

    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")


def test_a_call_beyond_the_permissions_is_403(secure: ThreadedServer, site: Site, namespace: str) -> None:
    answer = increment(secure, namespace, tls(site.directory), site.keys["reader"])

    assert (answer.status, answer.json["code"]) == (403, "permission_denied")


def test_an_event_stream_asks_who_calls(secure: ThreadedServer, site: Site, namespace: str) -> None:
    answer = request(secure.http, f"/v1/watch?namespace={namespace}", tls=tls(site.directory))

    assert answer.status == 401


def test_a_client_certificate_says_who_calls(mutual: ThreadedServer, site: Site, namespace: str) -> None:
    assert increment(mutual, namespace, tls(site.directory, "writer")).status == 200
    assert increment(mutual, namespace, tls(site.directory, "reader")).status == 403
    assert increment(mutual, namespace, tls(site.directory, "stranger")).status == 401


def test_without_a_client_certificate_nobody_gets_in(mutual: ThreadedServer, site: Site, namespace: str) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        increment(mutual, namespace, tls(site.directory), site.keys["writer"])


def test_plaintext_gets_nothing_from_a_server_with_tls(secure: ThreadedServer) -> None:
    with pytest.raises(OSError, match=r"reset|closed|without response"):
        request(secure.http, "/healthz")


def test_the_next_connection_gets_the_new_certificate(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    with ThreadedServer(site.settings(data_dir=tmp_path / "data")) as server:
        old = tls(tmp_path)
        assert request(server.http, "/healthz", tls=old).status == 200
        (tmp_path / "ca.pem").unlink()
        (tmp_path / "ca.key").unlink()
        make_certificates(tmp_path, hosts=["127.0.0.1"], clients=[], days=1)
        new = tls(tmp_path)
        wait_until(lambda: trusts(server, new), what="the server shows the new certificate")
        assert not trusts(server, old)


def trusts(server: ThreadedServer, context: ssl.SSLContext) -> bool:
    try:
        return request(server.http, "/healthz", tls=context).status == 200
    except ssl.SSLError:
        return False
