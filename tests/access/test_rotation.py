"""The rotation of every secret, as docs/rotation.md describes it: no call of a steady caller is lost or refused."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import grpc
import pytest
import redis

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest, ListCountersRequest
from tallykeeper_cli.main import main
from tallykeeper_client import tls_credentials
from tallykeeper_server.access.credentials import new_api_key
from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.embedded.valkey import find_binary
from tests.access.conftest import Site
from tests.access.tokens import other_algorithm_token, token, write_key_set
from tests.support.client import Caller, Failure
from tests.support.ledger import entries_of
from tests.support.server import ThreadedServer, store_process, wait_until
from tests.support.store_users import user_line

Make = Callable[..., Caller]
_CALLS_BETWEEN: Final = 20
"""The calls that succeed after one step of a rotation and before the next."""


@pytest.fixture
def target(site: Site) -> Iterator[str]:
    """The address of a server with TLS that uses this test's site."""
    with ThreadedServer(site.settings(data_dir=site.directory / "data")) as server:
        yield server.target


@pytest.fixture
def mutual(site: Site) -> Iterator[str]:
    """The address of a server with mutual TLS that uses this test's site."""
    with ThreadedServer(site.settings(data_dir=site.directory / "data", mutual=True)) as server:
        yield server.target


class Calls:
    """Calls in a row from a thread, each counted once under its own request id, and the failures among them."""

    def __init__(self, make: Callable[[], Caller], namespace: str) -> None:
        """``make`` returns the caller of the next call. A new caller has a new connection."""
        self._make = make
        self._namespace = namespace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self.succeeded = 0
        self.failures: list[Exception] = []

    @contextmanager
    def running(self) -> Iterator["Calls"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()

    def go_on(self) -> None:
        """Wait until more calls have succeeded, or one has failed."""
        enough = self.succeeded + _CALLS_BETWEEN
        wait_until(lambda: self.succeeded >= enough or bool(self.failures), what="calls go on")

    def _call(self) -> None:
        number = 0
        while not self._stop.is_set() and not self.failures:
            number += 1
            request = IncrementRequest(namespace=self._namespace, counter="calls", request_id=f"call-{number}")
            try:
                caller = self._make()
                caller(request)
            except Exception as error:  # noqa: BLE001  # the test shows it
                self.failures.append(error)
            else:
                self.succeeded += 1


@contextmanager
def calling(make: Callable[[], Caller], namespace: str) -> Iterator[Calls]:
    """Call within this context. At its end, no call has failed, and each has counted once."""
    with Calls(make, namespace).running() as calls:
        calls.go_on()
        yield calls
        calls.go_on()
    assert calls.failures == []
    count = make()(GetCounterRequest(namespace=namespace, counter="calls")).counter.value
    assert count == calls.succeeded


def bearer(key: str) -> str:
    return f"Bearer {key}"


def credentials_of(*authorities: Path, certificate: Path | None = None) -> grpc.ChannelCredentials:
    """Return credentials that trust several authorities."""
    both = authorities[0].parent / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in authorities))
    files = {} if certificate is None else {"certificate": certificate, "key": certificate.with_suffix(".key")}
    return tls_credentials(ca=both, **files)


def test_the_certificate_and_its_key_rotate(target: str, site: Site, caller: Make, namespace: str) -> None:
    renewed = site.directory / "renewed"
    make_certificates(renewed, hosts=["127.0.0.1"], clients=[], days=1)
    trusted = credentials_of(site.directory / "ca.pem", renewed / "ca.pem")
    only_renewed = tls_credentials(ca=renewed / "ca.pem")
    key = bearer(site.keys["writer"])

    with calling(lambda: caller(target, trusted, key), namespace) as calls:
        for name in ("server.pem", "server.key"):  # in between, the two do not belong together
            shutil.copyfile(renewed / name, site.directory / name)
            calls.go_on()

    request = GetCounterRequest(namespace=namespace, counter="calls")
    assert caller(target, only_renewed, key)(request).counter.value == calls.succeeded


def test_the_authorities_of_clients_rotate(mutual: str, site: Site, caller: Make, namespace: str) -> None:
    renewed = site.directory / "renewed"
    make_certificates(renewed, hosts=["127.0.0.1"], clients=["writer"], days=1)
    old = credentials_of(site.directory / "ca.pem", certificate=site.directory / "writer.pem")
    new = credentials_of(site.directory / "ca.pem", certificate=renewed / "writer.pem")
    present = [old]
    former, authorities = (site.directory / "ca.pem").read_bytes(), site.directory / "ca.pem"

    with calling(lambda: caller(mutual, present[0]), namespace) as calls:
        authorities.write_bytes(former + (renewed / "ca.pem").read_bytes())
        calls.go_on()
        present[0] = new
        calls.go_on()
        authorities.write_bytes((renewed / "ca.pem").read_bytes())
        calls.go_on()

    with pytest.raises(Failure) as raised:
        caller(mutual, old)(GetCounterRequest(namespace=namespace, counter="calls"))
    assert raised.value.code is grpc.StatusCode.UNAVAILABLE
    assert {entry.identity for entry in entries_of(caller(mutual, new), namespace)} == {"writer"}


def test_an_api_key_rotates(target: str, site: Site, caller: Make, namespace: str) -> None:
    second, digest = new_api_key("writer-2")
    keys = [site.keys["writer"]]
    tls = site.credentials()

    with calling(lambda: caller(target, tls, bearer(keys[0])), namespace) as calls:
        table = f'[[key]]\nid = "writer-2"\nidentity = "writer"\nsha256 = "{digest.hex()}"\n'
        site.access_file.write_text(f"{site.access_file.read_text()}\n{table}")
        wait_until(lambda: is_known(caller(target, tls, bearer(second)), namespace), what="the second key is known")
        keys[0] = second
        calls.go_on()
        site.access_file.write_text(site.access_file.read_text().replace('id = "writer"', 'id = "removed"'))
        first = caller(target, tls, bearer(site.keys["writer"]))
        wait_until(lambda: not is_known(first, namespace), what="the first key is refused")

    assert {entry.identity for entry in entries_of(caller(target, tls, bearer(second)), namespace)} == {"writer"}


def test_the_keys_of_an_issuer_rotate(target: str, site: Site, caller: Make, namespace: str) -> None:
    tls, key_set = site.credentials(), site.directory / "keys.json"
    write_key_set(key_set, keys=("rsa",))
    first, second = (caller(target, tls, bearer(text)) for text in (token("reader"), other_algorithm_token()))
    wait_until(lambda: not is_known(second, namespace), what="only the first key is known")
    grant = '[[grant]]\nidentity = "reader"\nnamespaces = ["*"]\nrole = "write"\n'
    site.access_file.write_text(f"{site.access_file.read_text()}\n{grant}")
    wait_until(lambda: may_write(first, namespace), what="the grant counts")
    present = [first]

    with calling(lambda: present[0], f"{namespace}-calls") as calls:
        write_key_set(key_set, keys=("rsa", "ec"))
        wait_until(lambda: is_known(second, namespace), what="both keys are known")
        present[0] = second
        calls.go_on()
        write_key_set(key_set, keys=("ec",))
        wait_until(lambda: not is_known(first, namespace), what="the first key is refused")


def test_the_password_of_the_store_rotates(tmp_path: Path, namespace: str) -> None:
    file = tmp_path / "password"
    file.write_text("correct-horse\n")
    with store_process(find_binary(None), tmp_path) as url, redis.Redis.from_url(url) as admin:

        def change_user(*rules: str) -> None:
            admin.execute_command("ACL", "SETUSER", "tallykeeper", *rules)

        def connect_again() -> None:
            """End the server's connections, so that it must log in again."""
            before = ids_of_connections(admin)
            admin.execute_command("CLIENT", "KILL", "USER", "tallykeeper")
            wait_until(lambda: bool(ids_of_connections(admin) - before), what="the server has connected again")

        change_user(*user_line().split()[2:])
        settings = Settings(listen="127.0.0.1:0", store=f"{url}?username=tallykeeper&password_file={file}")
        with ThreadedServer(settings) as server:
            call = Caller(server.target)
            with calling(lambda: call, namespace) as calls:
                change_user(">battery-staple")  # both passwords are good
                file.write_text("battery-staple\n")
                connect_again()
                calls.go_on()
                change_user("<correct-horse")
                connect_again()
                calls.go_on()
            call.close()
        assert [entry["username"] for entry in admin.acl_log()] == []


def test_a_password_that_is_wrong_is_reported_and_found_again(tmp_path: Path, namespace: str) -> None:
    file = tmp_path / "password"
    file.write_text("correct-horse")
    with store_process(find_binary(None), tmp_path) as url, redis.Redis.from_url(url) as admin:
        admin.execute_command("ACL", "SETUSER", *user_line().split()[1:])
        settings = Settings(listen="127.0.0.1:0", store=f"{url}?username=tallykeeper&password_file={file}")
        with ThreadedServer(settings) as server:
            call = Caller(server.target)
            request = IncrementRequest(namespace=namespace, counter="calls")
            call(request)

            file.write_text("wrong")
            admin.execute_command("CLIENT", "KILL", "USER", "tallykeeper")
            with pytest.raises(Failure) as raised:
                call(request)
            file.write_text("correct-horse")

            wait_until(lambda: may_write(call, namespace), what="the password is read again")
            call.close()

    assert raised.value.reason == "STORE_UNAVAILABLE"
    assert "wrong" not in raised.value.message


def test_the_key_of_page_tokens_rotates(tmp_path: Path, namespace: str) -> None:
    request = ListCountersRequest(namespace=namespace, page_size=1)
    with store_process(find_binary(None), tmp_path) as url, redis.Redis.from_url(url) as store:
        settings = Settings(listen="127.0.0.1:0", store=url)
        with ThreadedServer(settings) as server:
            call = Caller(server.target)
            for name in ("first", "second"):
                call(IncrementRequest(namespace=namespace, counter=name))
            request.page_token = call(request).next_page_token
            former = store.get("tk:page-token-key")
            store.delete("tk:page-token-key")
            assert [each.counter for each in call(request).counters] == ["second"]  # a running server keeps its key
            call.close()
        with ThreadedServer(settings) as server:
            call = Caller(server.target)
            with pytest.raises(Failure) as raised:
                call(request)
            request.page_token = ""
            assert call(request).next_page_token
            call.close()
        assert store.get("tk:page-token-key") != former

    assert raised.value.reason == "PAGE_TOKEN_INVALID"


def test_the_token_of_the_command_line_is_read_each_time(
    target: str, site: Site, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = site.directory / "token"
    command = ["counter", "increment", "calls", "--namespace", namespace, "--target", target]
    command += ["--ca", str(site.directory / "ca.pem"), "--token-file", str(file)]

    for identity in ("writer", "administrator"):
        file.write_text(site.keys[identity])
        assert main(command) == 0, capsys.readouterr().err


def ids_of_connections(store: redis.Redis) -> set[str]:
    """Return the ids of the connections that are logged in as the server's user."""
    return {each["id"] for each in store.client_list() if each["user"] == "tallykeeper"}


def is_known(call: Caller, namespace: str) -> bool:
    """Return True if the server knows the caller of a read."""
    try:
        call(GetCounterRequest(namespace=namespace, counter="none"))
    except Failure as failure:
        return failure.code is grpc.StatusCode.NOT_FOUND
    return True


def may_write(call: Caller, namespace: str) -> bool:
    """Return True if the caller may change the namespace, and the store can be reached."""
    try:
        call(IncrementRequest(namespace=namespace, counter="others"))
    except Failure:
        return False
    return True
