"""The role of each method: every method is called with every kind of credential."""

from collections.abc import Callable
from typing import Final

import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2

from tallykeeper.v1 import batch_pb2, counter_pb2, ledger_pb2, namespace_pb2, server_pb2
from tests.access.conftest import Site
from tests.access.tokens import bad_tokens, other_algorithm_token, token
from tests.rpc.valid_requests import preparation, valid_requests
from tests.support.client import REQUEST_TYPES, Caller, Failure

READ: Final = frozenset(
    {"GetCounter", "BatchGetCounters", "ListCounters", "GetStock", "BatchGetStock", "GetItem", "ListStock"}
    | {"CheckAvailability", "GetReservation", "ListReservations", "ListEntries", "Watch", "LookupRequest"}
    | {"VerifyNamespace", "GetNamespace"}
)
WRITE: Final = frozenset(
    {"Increment", "SetCounter", "DecrementCopies", "IncrementCopies", "SetStock", "MoveCopies", "Reserve", "Commit"}
    | {"Release", "Extend", "Apply"}
)
ADMINISTER: Final = frozenset({"ConfigureCounter", "DeleteCounter", "ConfigureStock", "DeleteStock"})
_MODE: Final = batch_pb2.BATCH_MODE_INDEPENDENT
ANYONE_KNOWN: Final = frozenset({"ListNamespaces"})
EVERYWHERE: Final = frozenset({"GetServerStatus"})
"""The methods that need the role read in all namespaces."""

ALLOWED: Final = {
    "reader": READ | ANYONE_KNOWN,
    "writer": READ | WRITE | ANYONE_KNOWN,
    "administrator": READ | WRITE | ADMINISTER | ANYONE_KNOWN,
    "operator": READ | EVERYWHERE | ANYONE_KNOWN,
    "elsewhere": ANYONE_KNOWN,
    "unheard": ANYONE_KNOWN,
}
"""The methods that each identity may call in the namespaces of the tests. No grant names ``unheard``."""

ALL: Final = {request_type.__name__.removesuffix("Request") for request_type in REQUEST_TYPES}


def authorizations(site: Site) -> dict[str, tuple[tuple[str, ...], str]]:
    """Return each kind of authorization, with the identity of its caller or the reason for which it is refused."""
    keys = site.keys
    secret = keys["reader"].rpartition(".")[2]
    return {
        "none": ((), "CREDENTIAL_MISSING"),
        **{
            f"key of the {identity}": ((f"Bearer {keys[identity]}",), identity)
            for identity in ALLOWED
            if identity in keys
        },
        "key, in small letters": ((f"bearer {keys['reader']}",), "reader"),
        "expired key": ((f"Bearer {keys['late']}",), "CREDENTIAL_EXPIRED"),
        "wrong secret": ((f"Bearer tk.reader.{secret[::-1]}",), "CREDENTIAL_INVALID"),
        "no secret": (("Bearer tk.reader.",), "CREDENTIAL_INVALID"),
        "unknown key": ((f"Bearer tk.nobody.{secret}",), "CREDENTIAL_INVALID"),
        "another scheme": ((f"Basic {keys['reader']}",), "CREDENTIAL_INVALID"),
        "a scheme alone": (("Bearer",), "CREDENTIAL_INVALID"),
        "no scheme": ((keys["reader"],), "CREDENTIAL_INVALID"),
        "two at once": ((f"Bearer {keys['reader']}", f"Bearer {keys['writer']}"), "CREDENTIAL_INVALID"),
        "a book": (("Bearer " + "b" * 7_000,), "CREDENTIAL_INVALID"),
        "token": ((f"Bearer {token('writer')}",), "writer"),
        "token by another algorithm": ((f"Bearer {other_algorithm_token()}",), "reader"),
        "token of an identity without a grant": ((f"Bearer {token('unheard')}",), "unheard"),
        "expired token": ((f"Bearer {token(exp=1_600_000_000)}",), "CREDENTIAL_EXPIRED"),
        **{f"token with {wrong}": ((f"Bearer {text}",), "CREDENTIAL_INVALID") for wrong, text in bad_tokens().items()},
    }


def outcomes(call: Caller, administrator: Caller | None, namespace: str) -> dict[str, tuple[StatusCode, str]]:
    """Return the status of a valid request of each method. An administrator prepares a namespace for each."""
    found: dict[str, tuple[StatusCode, str]] = {}
    for index, request_type in enumerate(REQUEST_TYPES):
        own = f"{namespace}-{index}"
        if administrator is not None:
            for request in preparation(own):
                administrator(request)
        try:
            call(valid_requests(own)[request_type])
            found[request_type.__name__.removesuffix("Request")] = (StatusCode.OK, "")
        except Failure as failure:
            found[request_type.__name__.removesuffix("Request")] = (failure.code, failure.reason)
    return found


def expected(known_as: str) -> dict[str, tuple[StatusCode, str]]:
    """Return the status that each method must give an identity, or a credential that is refused for a reason."""
    if known_as not in ALLOWED:
        return dict.fromkeys(ALL, (StatusCode.UNAUTHENTICATED, known_as))
    denied = (StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    return {method: (StatusCode.OK, "") if method in ALLOWED[known_as] else denied for method in ALL}


def test_each_method_has_a_role() -> None:
    assert READ | WRITE | ADMINISTER | EVERYWHERE | ANYONE_KNOWN == ALL


@pytest.mark.parametrize("part", range(4))
def test_each_authorization_gives_each_method_its_status(
    secure_target: str, shared_site: Site, caller: Callable[..., Caller], namespace: str, part: int
) -> None:
    tls = shared_site.credentials()
    administrator = caller(secure_target, tls, f"Bearer {shared_site.keys['administrator']}")
    kinds = authorizations(shared_site)
    wrong = {}
    for number, (kind, (values, known_as)) in list(enumerate(kinds.items()))[part::4]:
        prepares = administrator if known_as in ALLOWED else None
        found = outcomes(caller(secure_target, tls, *values), prepares, f"{namespace}-{number}")
        if found != expected(known_as):
            wrong[kind] = {name: status for name, status in found.items() if status != expected(known_as)[name]}

    assert not wrong


@pytest.mark.parametrize("client", ["reader", "writer", "administrator", "stranger"])
def test_each_certificate_gives_each_method_its_status(
    mutual_target: str, shared_site: Site, caller: Callable[..., Caller], namespace: str, client: str
) -> None:
    administrator = caller(mutual_target, shared_site.credentials("administrator"))

    found = outcomes(caller(mutual_target, shared_site.credentials(client)), administrator, namespace)

    assert found == expected("CREDENTIAL_INVALID" if client == "stranger" else client)


def test_a_key_goes_before_the_certificate(
    mutual_target: str, shared_site: Site, caller: Callable[..., Caller], namespace: str
) -> None:
    writer = caller(mutual_target, shared_site.credentials("reader"), f"Bearer {shared_site.keys['writer']}")
    nobody = caller(mutual_target, shared_site.credentials("writer"), "Bearer tk.writer.wrong")

    writer(preparation(namespace)[0])
    with pytest.raises(Failure) as raised:
        nobody(preparation(namespace)[0])

    assert raised.value.reason == "CREDENTIAL_INVALID"
    assert [entry.identity for entry in writer(ledger_pb2.ListEntriesRequest(namespace=namespace)).entries] == [
        "writer"
    ]


def test_without_a_certificate_or_without_tls_nobody_gets_in(
    mutual_target: str, secure_target: str, shared_site: Site, caller: Callable[..., Caller]
) -> None:
    request = namespace_pb2.ListNamespacesRequest()
    for call in (
        caller(mutual_target, shared_site.credentials(), f"Bearer {shared_site.keys['writer']}"),
        caller(mutual_target),
        caller(secure_target),
    ):
        with pytest.raises(Failure) as raised:
            call(request)
        assert raised.value.code is StatusCode.UNAVAILABLE


def test_a_refusal_names_who_lacks_what_where_and_nothing_else(
    secure_target: str, shared_site: Site, caller: Callable[..., Caller]
) -> None:
    call = caller(secure_target, shared_site.credentials(), f"Bearer {shared_site.keys['reader']}")
    with pytest.raises(Failure) as raised:
        call(ledger_pb2.ListEntriesRequest(namespace="n" * 100_000))

    assert raised.value.metadata == {"identity": "reader", "role": "read", "namespace": "n" * 64}
    assert raised.value.message == f"reader lacks the role read in namespace {'n' * 64}"


def test_the_state_of_the_server_asks_for_a_role_in_all_namespaces(
    secure_target: str, shared_site: Site, caller: Callable[..., Caller]
) -> None:
    call = caller(secure_target, shared_site.credentials(), f"Bearer {shared_site.keys['administrator']}")
    with pytest.raises(Failure) as raised:
        call(server_pb2.GetServerStatusRequest())

    assert raised.value.metadata == {"identity": "administrator", "role": "read", "namespace": "*"}


def test_a_batch_asks_for_what_each_of_its_operations_asks_for(
    secure_target: str, shared_site: Site, caller: Callable[..., Caller], namespace: str
) -> None:
    writer = caller(secure_target, shared_site.credentials(), f"Bearer {shared_site.keys['writer']}")
    operations = [
        batch_pb2.Operation(increment=counter_pb2.IncrementRequest(counter="visits")),
        batch_pb2.Operation(delete_counter=counter_pb2.DeleteCounterRequest(counter="visits")),
    ]
    with pytest.raises(Failure) as raised:
        writer(batch_pb2.ApplyRequest(namespace=namespace, operations=operations, mode=_MODE))

    assert raised.value.metadata["role"] == "administer"
    allowed = batch_pb2.ApplyRequest(namespace=namespace, operations=operations[:1], mode=_MODE)
    assert writer(allowed).revision == 1


def test_a_caller_sees_only_the_namespaces_that_it_may_read(
    secure_target: str, shared_site: Site, caller: Callable[..., Caller], namespace: str
) -> None:
    for name, identity in (("other", "elsewhere"), (namespace, "administrator")):
        caller(secure_target, shared_site.credentials(), f"Bearer {shared_site.keys[identity]}")(preparation(name)[0])
    reader = caller(secure_target, shared_site.credentials(), f"Bearer {shared_site.keys['reader']}")
    elsewhere = caller(secure_target, shared_site.credentials(), f"Bearer {shared_site.keys['elsewhere']}")

    every = namespace_pb2.ListNamespacesRequest(page_size=1_000)
    listed = [each.namespace for each in reader(every).namespaces]

    assert namespace in listed
    assert "other" not in listed
    assert [each.namespace for each in elsewhere(every).namespaces] == ["other"]


def test_anybody_may_ask_for_the_health(secure_target: str, shared_site: Site, caller: Callable[..., Caller]) -> None:
    check = caller(secure_target, shared_site.credentials()).channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )

    assert check(health_pb2.HealthCheckRequest(), timeout=10).status == health_pb2.HealthCheckResponse.SERVING
