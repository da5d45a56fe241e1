"""The log of refused credentials, and the errors that their bearers get."""

import json
from collections.abc import Iterator

import pytest
from structlog.testing import CapturingLogger

from tallykeeper.v1.namespace_pb2 import ListNamespacesRequest
from tallykeeper_server.access.authorizer import Authorizer
from tallykeeper_server.access.errors import CredentialInvalidError
from tallykeeper_server.domain.log_limit import LINES_PER_SECOND_MAX
from tests.access.conftest import Site, make_site
from tests.access.tokens import AUDIENCE, bad_tokens, token
from tests.support.client import OWN_CONNECTION, Caller, Failure
from tests.support.server import ServerProcess, wait_until

CAUSES = {
    "another audience": ("the token is for another audience", True),
    "another issuer": ("the token's issuer is unknown", False),
    "no expiry": ("the token lacks exp, iss, aud or the claim that names its bearer", True),
    "not yet": ("the token is not valid yet", True),
    "everybody": ("the token's bearer is not named in 1 to 128 bytes without control characters", True),
    "another key": ("the token's signature is wrong", False),
    "an unknown key": ("the token's key id is unknown", False),
    "the algorithm of another key": ("the token is signed by an algorithm that is not its key's", False),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("refused"))


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[ServerProcess]:
    """A server that logs as JSON."""
    files = ("--access-file", str(site.access_file), "--data-dir", str(site.directory / "data"))
    with ServerProcess(*files) as running:
        yield running


def refusal(server: ServerProcess, credential: str, cause: str) -> tuple[Failure, dict[str, object]]:
    """Call with a credential until the log names a cause; return the first error of the caller, and the event.

    The log may name other causes first, because the lines of calls before these may come late.
    """
    before = len(server.events("credential refused"))
    call = Caller(server.target, OWN_CONNECTION, metadata=[("authorization", f"Bearer {credential}")])
    failures: list[Failure] = []

    def logged() -> list[dict[str, object]]:
        return [event for event in server.events("credential refused")[before:] if event["cause"] == cause]

    def is_logged() -> bool:
        """Call once more, because of many refusals within a second some are not logged."""
        with pytest.raises(Failure) as raised:
            call(ListNamespacesRequest())
        failures.append(raised.value)
        return bool(logged())

    wait_until(is_logged, what=f"it is logged that {cause}")
    call.close()
    return failures[0], logged()[-1]


@pytest.mark.parametrize("wrong", CAUSES)
def test_the_log_says_why_a_token_was_refused_and_never_the_token(server: ServerProcess, wrong: str) -> None:
    cause, reported = CAUSES[wrong]
    credential = bad_tokens()[wrong]

    failure, _ = refusal(server, credential, cause)

    assert (cause in failure.message) is reported
    assert not credential or all(credential not in line for line in server.lines)
    for part in filter(None, credential.split(".")):
        assert all(part not in line for line in server.lines)


def test_the_log_says_why_a_key_was_refused_and_never_its_secret(server: ServerProcess, site: Site) -> None:
    secret = site.keys["writer"].rpartition(".")[2]
    for credential, cause, about in (
        (f"tk.writer.{secret[::-1]}", "the API key's secret is wrong", {"key_id": "writer"}),
        (f"tk.none.{secret}", "the API key's id is unknown", {"key_id": "none"}),
        (f"tk.{secret}", "the API key is not tk.<id>.<secret>", {}),
        (site.keys["late"], "it has expired", {"identity": "late"}),
    ):
        failure, logged = refusal(server, credential, cause)
        assert {name: logged[name] for name in about} == about
        assert secret not in failure.message
        lines = "\n".join(server.lines)
        assert secret not in lines
        assert secret[::-1] not in lines


def test_what_an_unknown_caller_writes_is_escaped_in_a_field(server: ServerProcess) -> None:
    forged = token(iss='x"}\n{"event": "forged"}\x1b[31m\u2028')

    _, logged = refusal(server, forged, "the token's issuer is unknown")

    assert logged["issuer"] == 'x"}\\n{"event": "forged"}\\x1b[31m\\u2028'
    assert all(json.loads(line)["event"] != "forged" for line in server.lines)
    assert AUDIENCE not in str(logged)


def test_a_flood_of_refusals_does_not_flood_the_log(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("tallykeeper_server.access.authorizer.log", log)
    authorizer = Authorizer(site.access_file)

    for _ in range(1_000):
        with pytest.raises(CredentialInvalidError):
            authorizer.admit([f"Bearer tk.none.{'x' * 43}"], None)

    assert LINES_PER_SECOND_MAX <= len(log.calls) < 500  # the limit holds for each second that the loop takes
    assert log.calls[0].args == ("credential refused",)
