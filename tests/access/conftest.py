"""A folder with certificates and an access file, and servers that use them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from tallykeeper_client._channel import tls_credentials
from tallykeeper_server.access.credentials import new_api_key
from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.settings import Settings
from tests.access.tokens import AUDIENCE, ISSUER, write_key_set
from tests.support.client import OWN_CONNECTION, Caller
from tests.support.server import ThreadedServer

ROLES = {"reader": "read", "writer": "write", "administrator": "administer"}


@dataclass(frozen=True, slots=True)
class Site:
    """A folder with certificates and an access file, and the API keys that were given out."""

    directory: Path
    keys: dict[str, str] = field(default_factory=dict)
    """The API keys by identity.

    The key of ``late`` has expired, ``elsewhere`` administers other namespaces, and ``operator`` reads all namespaces.
    """

    @property
    def access_file(self) -> Path:
        """The path of the access file."""
        return self.directory / "access.toml"

    def credentials(self, client: str | None = None) -> grpc.ChannelCredentials:
        """Return credentials for a server with TLS, with the certificate of a client if one is named."""
        files = {} if client is None else {"certificate": self._file(client, "pem"), "key": self._file(client, "key")}
        return tls_credentials(ca=self._file("ca", "pem"), **files)

    def settings(self, *, mutual: bool = False, **others: object) -> Settings:
        """Return settings for a server at this site."""
        return Settings(
            listen="127.0.0.1:0",
            tls_certificate=self._file("server", "pem"),
            tls_key=self._file("server", "key"),
            tls_client_ca=self._file("ca", "pem") if mutual else None,
            access_file=self.access_file,
            **others,  # type: ignore[arg-type]  # by name
        )

    def _file(self, name: str, kind: str) -> Path:
        return self.directory / f"{name}.{kind}"


def make_site(directory: Path) -> Site:
    """Make a certificate and a key for each role, and the access file."""
    site = Site(directory)
    make_certificates(directory, hosts=["localhost", "127.0.0.1"], clients=[*ROLES, "stranger"], days=2)
    write_key_set(directory / "keys.json")
    tables = []
    for identity in (*ROLES, "late", "elsewhere", "operator"):
        site.keys[identity], digest = new_api_key(identity)
        expiry = "\nnot_after = 2020-01-01" if identity == "late" else ""
        tables.append(f'[[key]]\nid = "{identity}"\nidentity = "{identity}"\nsha256 = "{digest.hex()}"{expiry}')
    tables += [f'[[certificate]]\nsan = "uri:spiffe://tallykeeper/{name}"\nidentity = "{name}"' for name in ROLES]
    for identity, role in {**ROLES, "late": "administer"}.items():
        tables.append(f'[[grant]]\nidentity = "{identity}"\nnamespaces = ["test-*"]\nrole = "{role}"')
    tables.append('[[grant]]\nidentity = "elsewhere"\nnamespaces = ["other", "tes-*"]\nrole = "administer"')
    tables.append('[[grant]]\nidentity = "operator"\nnamespaces = ["*"]\nrole = "read"')
    tables.append(
        f'[[issuer]]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nalgorithms = ["RS256", "ES256"]\n'
        'jwks = "keys.json"\nprefix = "*"'
    )
    site.access_file.write_text("\n\n".join(tables) + "\n")
    return site


@pytest.fixture(scope="session")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site that no test changes."""
    return make_site(tmp_path_factory.mktemp("access"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site for one test, which may change its files."""
    return make_site(tmp_path)


@pytest.fixture(scope="session")
def secure_target(shared_site: Site) -> Iterator[str]:
    """The address of a server with TLS."""
    with ThreadedServer(shared_site.settings(data_dir=shared_site.directory / "secure")) as server:
        yield server.target


@pytest.fixture(scope="session")
def mutual_target(shared_site: Site) -> Iterator[str]:
    """The address of a server with mutual TLS."""
    with ThreadedServer(shared_site.settings(data_dir=shared_site.directory / "mutual", mutual=True)) as server:
        yield server.target


@pytest.fixture
def caller() -> Iterator[Callable[..., Caller]]:
    """Return a function that makes callers, which are closed at the end of the test."""
    made: list[Caller] = []

    def make(target: str, credentials: grpc.ChannelCredentials | None = None, *authorizations: str) -> Caller:
        metadata = [("authorization", value) for value in authorizations]
        made.append(Caller(target, OWN_CONNECTION, credentials=credentials, metadata=metadata))
        return made[-1]

    yield make
    for each in made:
        each.close()
