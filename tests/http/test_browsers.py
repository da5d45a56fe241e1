"""Browsers: pages of configured origins may call, all others are refused."""

from collections.abc import Iterator

import pytest

from tallykeeper_server.settings import Settings
from tests.http.http_client import COUNTERS, request, value_of
from tests.support.server import ThreadedServer

INCREMENT = f"{COUNTERS}/Increment"
SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def open_to_shop(store_url: str) -> Iterator[ThreadedServer]:
    settings = Settings(listen="127.0.0.1:0", store=store_url, http_origins=f"{SHOP},http://localhost:5173")
    with ThreadedServer(settings) as server:
        yield server


@pytest.mark.parametrize("origin", ["https://evil.example", "http://shop.example", f"{SHOP}:444", "null", SHOP + "/"])
def test_a_page_of_another_origin_is_refused_and_changes_nothing(
    open_to_shop: ThreadedServer, namespace: str, origin: str
) -> None:
    body = {"namespace": namespace, "counter": "c"}

    answer = request(open_to_shop.http, INCREMENT, body, {"Origin": origin})

    assert (answer.status, answer.json["code"], answer.reason) == (403, "permission_denied", "FOREIGN_ORIGIN")
    assert "access-control-allow-origin" not in answer.headers
    assert value_of(open_to_shop.http, namespace, "c") is None


def test_no_origin_may_call_unless_it_is_configured(server: ThreadedServer) -> None:
    assert request(server.http, INCREMENT, {}, {"Origin": f"http://{server.http}"}).status == 403


@pytest.mark.parametrize("origin", [SHOP, "http://localhost:5173"])
def test_a_page_of_a_configured_origin_can_read_responses_and_errors(
    open_to_shop: ThreadedServer, namespace: str, origin: str
) -> None:
    good = request(open_to_shop.http, INCREMENT, {"namespace": namespace, "counter": "c"}, {"Origin": origin})
    bad = request(open_to_shop.http, INCREMENT, {"colour": 1}, {"Origin": origin})
    unknown = request(open_to_shop.http, "/nothing", {}, {"Origin": origin})

    assert [answer.status for answer in (good, bad, unknown)] == [200, 400, 404]
    for answer in (good, bad, unknown):
        assert answer.headers["access-control-allow-origin"] == origin
        assert "Grpc-Status" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"].endswith("Origin")


def test_a_preflight_is_answered_for_a_configured_origin(open_to_shop: ThreadedServer) -> None:
    headers = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}

    answer = request(open_to_shop.http, INCREMENT, None, headers, "OPTIONS")

    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert {"Authorization", "Idempotency-Key", "Content-Type"} <= {
        name.strip() for name in answer.headers["access-control-allow-headers"].split(",")
    }


def test_a_preflight_of_another_origin_is_refused(open_to_shop: ThreadedServer) -> None:
    assert request(open_to_shop.http, INCREMENT, None, {"Origin": "https://evil.example"}, "OPTIONS").status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:50080", "localhost.evil.example", "[::2]:1", "[x"])
def test_a_name_that_a_foreign_site_points_here_is_refused(server: ThreadedServer, host: str) -> None:
    answer = request(server.http, "/v1/watch", None, {"Host": host})

    assert (answer.status, answer.reason) == (403, "FOREIGN_ORIGIN")


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:50080", "[::1]:50080", "shop.example"])
def test_names_of_this_machine_and_of_the_origins_are_taken(open_to_shop: ThreadedServer, host: str) -> None:
    assert request(open_to_shop.http, "/healthz", None, {"Host": host}).status == 200
