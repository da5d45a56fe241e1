"""New connections to a node: their first commands, their TLS, and the meaning of a refusal."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hiredis import ReplyError

from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.domain.errors import (
    DefectError,
    OutcomeUnknownError,
    StoreOutOfMemoryError,
    StoreUnavailableError,
)
from tallykeeper_server.store.nodes.client_tls import ClientTls
from tallykeeper_server.store.nodes.commands import ScriptUnknownError, error_of
from tallykeeper_server.store.nodes.connection import Connection
from tallykeeper_server.store.nodes.node_options import TlsOptions
from tests.store.scripted_node import scripted_node


def ok(_: list[str]) -> bytes:
    return b"+OK\r\n"


@pytest.mark.parametrize(
    ("user", "rest", "greeting"),
    [
        ("", "", [["PING"]]),
        ("", "/0", [["PING"]]),
        (":hush@", "", [["AUTH", "hush"]]),
        ("teller:%23%2F@", "", [["AUTH", "teller", "#/"]]),
        ("teller@", "", [["AUTH", "teller", ""]]),
        ("", "?username=teller&password=hush", [["AUTH", "teller", "hush"]]),
        ("", "/3", [["SELECT", "3"]]),
        ("", "/3?db=4", [["SELECT", "4"]]),
        ("u:p@", "/3?client_name=till", [["AUTH", "u", "p"], ["CLIENT", "SETNAME", "till"], ["SELECT", "3"]]),
    ],
)
async def test_a_connection_begins_as_its_url_says(user: str, rest: str, greeting: list[list[str]]) -> None:
    async with scripted_node(ok) as node:
        connection = Connection(f"redis://{user}{node.host_port}{rest}", timeout_seconds=20.0)
        await connection.call("GET", "key")
        await connection.call("GET", "key")
        await connection.close()

    assert node.commands == [*greeting, ["GET", "key"], ["GET", "key"]]


async def test_each_connection_reads_the_password_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    async with scripted_node(ok) as node:
        connection = Connection(f"redis://teller@{node.host_port}?password_file={file}", timeout_seconds=20.0)
        for text in ("hush", "quiet\n", "still\r\n", " with spaces "):
            file.write_bytes(text.encode())
            await connection.call("PING")
            await connection.close()

    logins = [command[1:] for command in node.commands if command[0] == "AUTH"]
    assert logins == [["teller", "hush"], ["teller", "quiet"], ["teller", "still"], ["teller", " with spaces "]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", r"must hold the password in one line of 1 to 4,096 bytes"),
        (b"\n", r"must hold the password in one line"),
        (b"hush\nquiet\n", r"must hold the password in one line"),
        (b"x" * 4_097, r"must hold the password in one line"),
    ],
    ids=["missing", "empty", "empty-line", "two-lines", "large"],
)
async def test_a_password_file_that_cannot_be_used_means_that_no_command_was_sent(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    async with scripted_node(ok) as node:
        connection = Connection(f"redis://{node.host_port}?password_file={file}", timeout_seconds=20.0)
        with pytest.raises(
            StoreUnavailableError, match=rf"cannot be reached \(password_file {file} {reason}"
        ) as raised:
            await connection.call("PING")

    assert node.commands == []
    assert "hush" not in str(raised.value)


def test_the_tls_of_a_connection_follows_its_files(tmp_path: Path) -> None:
    make_certificates(tmp_path, hosts=["localhost"], clients=["till"], days=1)
    certificate, key = tmp_path / "till.pem", tmp_path / "till.key"
    tls = ClientTls(TlsOptions(ca_file=str(tmp_path / "ca.pem"), certificate_file=str(certificate), key_file=str(key)))
    first = tls.context()
    assert tls.context() is first
    make_certificates(tmp_path / "new", hosts=["localhost"], clients=["till"], days=1)

    certificate.write_bytes((tmp_path / "new" / "till.pem").read_bytes())
    while_they_differ = tls.context()
    key.write_bytes((tmp_path / "new" / "till.key").read_bytes())
    renewed = tls.context()

    assert while_they_differ is first
    assert renewed is not first
    assert tls.context() is renewed


def test_the_tls_of_a_connection_without_its_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        ClientTls(TlsOptions(ca_file=str(tmp_path / "none.pem"))).context()


async def test_a_connection_to_a_real_store_has_its_name_user_and_database(own_store: str) -> None:
    admin = Connection(own_store, timeout_seconds=20.0)
    await admin.call("ACL", "SETUSER", "teller", "on", ">hush", "allkeys", "allcommands")
    url = f"{own_store}?db=3&client_name=till&username=teller&password=hush"
    connection = Connection(url, timeout_seconds=20.0)

    info = await connection.call("CLIENT", "INFO")

    assert isinstance(info, bytes)
    assert {b"name=till", b"user=teller", b"db=3"} <= set(info.split())
    await connection.close()
    await admin.close()


async def test_a_store_that_takes_no_more_connections_is_unavailable_until_it_does(own_store: str) -> None:
    admin = Connection(own_store, timeout_seconds=20.0)
    await admin.call("CONFIG", "SET", "maxclients", 1)
    connection = Connection(own_store, timeout_seconds=20.0)

    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            await connection.call("INCR", "key")

    await admin.call("CONFIG", "SET", "maxclients", 100)
    assert await connection.call("INCR", "key") == 1
    await connection.close()
    await admin.close()


@pytest.mark.parametrize("refused", ["AUTH", "CLIENT", "SELECT"])
async def test_a_refused_greeting_means_that_no_command_was_sent(refused: str) -> None:
    def reply_to(command: list[str]) -> bytes:
        return b"-WRONG it is\r\n" if command[0] == refused else b"+OK\r\n"

    async with scripted_node(reply_to) as node:
        connection = Connection(f"redis://:hush@{node.host_port}/1?client_name=till", timeout_seconds=20.0)
        with pytest.raises(StoreUnavailableError, match=r"cannot be reached \(WRONG it is\)"):
            await connection.call("PING")

    assert ["PING"] not in node.commands


@pytest.mark.parametrize(("user", "greeting"), [("", ["PING"]), (":hush@", ["AUTH", "hush"])])
async def test_a_greeting_without_a_reply_means_that_no_command_was_sent(user: str, greeting: list[str]) -> None:
    async with scripted_node(lambda _: None) as node:
        connection = Connection(f"redis://{user}{node.host_port}", timeout_seconds=0.05)
        with pytest.raises(StoreUnavailableError):
            await connection.call("INCR", "key")

    assert node.commands == [greeting]


async def test_a_peer_that_accepts_and_hangs_up_means_that_no_command_was_sent() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for _ in range(3):
            with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                await Connection(url, timeout_seconds=20.0).call("INCR", "key")


async def test_a_peer_that_is_no_redis_is_unavailable() -> None:
    async with scripted_node(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as node:
        with pytest.raises(StoreUnavailableError, match="does not answer as Redis does"):
            await Connection(f"redis://{node.host_port}", timeout_seconds=20.0).call("INCR", "key")


async def test_a_node_that_does_not_serve_now_gets_the_commands_that_it_may_still_carry_out() -> None:
    def reply_to(command: list[str]) -> bytes:
        return b"+OK\r\n" if command[0] == "SHUTDOWN" else b"-LOADING it is\r\n"

    async with scripted_node(reply_to) as node:
        connection = Connection(f"redis://{node.host_port}", timeout_seconds=20.0)
        with pytest.raises(StoreUnavailableError, match="does not serve"):
            await connection.call("GET", "key")
        assert await connection.call("SHUTDOWN") == b"OK"
        await connection.close()


async def test_a_command_without_a_reply_may_have_been_carried_out() -> None:
    async with scripted_node(lambda command: b"+OK\r\n" if command[0] == "AUTH" else None) as node:
        connection = Connection(f"redis://:hush@{node.host_port}", timeout_seconds=0.05)
        with pytest.raises(OutcomeUnknownError):
            await connection.call("INCR", "key")
        with pytest.raises(OutcomeUnknownError):
            await connection.call("INCR", "key")

    assert node.commands == [["AUTH", "hush"], ["INCR", "key"]] * 2


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "unix:///nowhere/valkey.sock", f"redis://{'a' * 70}.example"])
async def test_a_node_that_is_not_there_is_unavailable(url: str) -> None:
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        await Connection(url, timeout_seconds=20.0).call("PING")


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        ("NOSCRIPT No matching script.", ScriptUnknownError),
        ("OOM command not allowed when used memory > 'maxmemory'.", StoreOutOfMemoryError),
        *(
            (f"{code} it is", StoreUnavailableError)
            for code in ("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOPERM", "NOREPLICAS")
        ),
        *((f"{code} it is", StoreUnavailableError) for code in ("READONLY", "TRYAGAIN", "UNBLOCKED", "WRONGPASS")),
        ("ERR Script attempted to access a non local key in a cluster node", StoreUnavailableError),
        ("ERR Script attempted execute a command while the cluster is down", StoreUnavailableError),
        ("ERR max number of clients reached", StoreUnavailableError),
        ("ERR unknown command", DefectError),
        ("WRONGTYPE Operation against a key", DefectError),
    ],
)
def test_a_refusal_has_one_meaning(refusal: str, kind: type[Exception]) -> None:
    error = error_of(ReplyError(refusal))

    assert type(error) is kind
    assert kind in {ScriptUnknownError, StoreOutOfMemoryError} or refusal in str(error)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Certificates of a server at 127.0.0.1 and of a client, and a copy of the client's key with a password."""
    make_certificates(tmp_path, hosts=["127.0.0.1"], clients=["tallykeeper"], days=1)
    key = load_pem_private_key((tmp_path / "tallykeeper.key").read_bytes(), None)
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hush"))
    (tmp_path / "sealed.key").write_bytes(sealed)
    (tmp_path / "elsewhere").mkdir()
    make_certificates(tmp_path / "elsewhere", hosts=["elsewhere.example"], clients=[], days=1)
    return tmp_path


@pytest.fixture
def context_of(certificates: Path) -> Callable[..., ssl.SSLContext]:
    """The TLS of a node: with the certificates of a folder, and asking for those of clients or not."""

    def make(folder: str = ".", *, asks: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / folder / "server.pem", certificates / folder / "server.key")
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(certificates / "ca.pem")
        return context

    return make


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        ("ssl_ca_certs={}/ca.pem", False),
        ("ssl_cert_reqs=none", False),
        ("ssl_ca_certs={}/ca.pem&ssl_certfile={}/tallykeeper.pem&ssl_keyfile={}/tallykeeper.key", True),
        ("ssl_ca_certs={}/ca.pem&ssl_certfile={}/tallykeeper.pem&ssl_keyfile={}/sealed.key&ssl_password=hush", True),
    ],
)
async def test_tls_with_the_right_certificates_is_accepted(
    certificates: Path, context_of: Callable[..., ssl.SSLContext], options: str, *, asks: bool
) -> None:
    query = options.replace("{}", quote(str(certificates)))
    async with scripted_node(ok, tls=context_of(asks=asks)) as node:
        connection = Connection(f"rediss://:word@{node.host_port}?{query}", timeout_seconds=20.0)

        assert await connection.call("PING") == b"OK"

        await connection.close()


@pytest.mark.parametrize(
    "options",
    [
        "",
        "ssl_ca_certs={}/elsewhere/ca.pem",
        "ssl_ca_certs={}/none.pem",
        "ssl_ca_certs={}/ca.pem&ssl_certfile={}/tallykeeper.pem&ssl_keyfile={}/server.key",
        "ssl_ca_certs={}/ca.pem&ssl_certfile={}/tallykeeper.pem&ssl_keyfile={}/sealed.key",
        "ssl_ca_certs={}/ca.pem&ssl_certfile={}/tallykeeper.pem&ssl_keyfile={}/sealed.key&ssl_password=wrong",
    ],
)
async def test_tls_with_other_certificates_is_refused(
    certificates: Path, context_of: Callable[..., ssl.SSLContext], options: str
) -> None:
    query = options.replace("{}", quote(str(certificates)))
    async with scripted_node(ok, tls=context_of()) as node:
        connection = Connection(f"rediss://:word@{node.host_port}?{query}", timeout_seconds=20.0)
        with pytest.raises(StoreUnavailableError, match="cannot be reached") as raised:
            await connection.call("PING")

    assert "word" not in str(raised.value)
    assert node.commands == []


async def test_the_certificate_must_name_the_host_unless_the_url_says_otherwise(
    certificates: Path, context_of: Callable[..., ssl.SSLContext]
) -> None:
    authority = f"ssl_ca_certs={quote(str(certificates))}/elsewhere/ca.pem"
    async with scripted_node(ok, tls=context_of("elsewhere")) as node:
        with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1"):
            await Connection(f"rediss://{node.host_port}?{authority}", timeout_seconds=20.0).call("PING")

        connection = Connection(f"rediss://{node.host_port}?{authority}&ssl_check_hostname=no", timeout_seconds=20.0)
        assert await connection.call("PING") == b"OK"

        await connection.close()
