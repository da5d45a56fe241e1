"""The pages beside the RPCs."""

from urllib.request import urlopen

import redis
from prometheus_client.parser import text_string_to_metric_families

from tests.http.http_client import COUNTERS, request
from tests.support.client import METHODS
from tests.support.server import PATIENCE_SECONDS, ServerProcess, ThreadedServer, wait_until


def test_a_server_is_healthy_and_ready(server: ThreadedServer) -> None:
    assert (request(server.http, "/healthz").status, request(server.http, "/readyz").status) == (200, 200)


def test_a_server_without_its_store_is_healthy_and_not_ready(own_store: str) -> None:
    with ServerProcess("--store", own_store, "--store-check-seconds", "0.05") as server:
        address = server.http_url.removeprefix("http://")
        assert request(address, "/readyz").status == 200
        redis.Redis.from_url(own_store).shutdown(nosave=True)
        wait_until(lambda: request(address, "/readyz").status == 503, what="the server is not ready")
        assert request(address, "/healthz").status == 200


def test_head_has_no_body(server: ThreadedServer) -> None:
    answer = request(server.http, "/healthz", method="HEAD")

    assert (answer.status, answer.body) == (200, b"")


def test_the_description_has_every_rpc_with_its_comment(server: ThreadedServer) -> None:
    document = request(server.http, "/openapi.json").json

    rpcs = {path: item["post"] for path, item in document["paths"].items() if "post" in item}
    assert rpcs.keys() == {f"/{m.containing_service.full_name}/{m.name}" for m in METHODS.values()}
    assert all(rpc["summary"] and rpc["description"] for rpc in rpcs.values())
    increment = rpcs[f"{COUNTERS}/Increment"]
    assert increment["summary"] == "Adds a signed number to a counter."
    assert increment["parameters"][0]["name"] == "Idempotency-Key"
    schemas = document["components"]["schemas"]
    assert schemas["tallykeeper.v1.IncrementRequest"]["properties"]["delta"]["description"]
    assert "BATCH_MODE_ATOMIC" in schemas["tallykeeper.v1.BatchMode"]["enum"]
    assert {"/v1/watch", "/healthz", "/readyz", "/metrics"} <= document["paths"].keys()


def test_every_reference_of_the_description_leads_somewhere(server: ThreadedServer) -> None:
    document = request(server.http, "/openapi.json").json

    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    names = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert names
    assert names <= document["components"]["schemas"].keys()


def test_calls_over_http_are_counted_like_others_and_every_worker_shows_all(own_store: str) -> None:
    calls = 40
    with ServerProcess("--store", own_store, workers=2) as server:
        address = server.http_url.removeprefix("http://")
        for _ in range(calls):
            assert request(address, f"{COUNTERS}/Increment", {"counter": "c"}).status == 200
        for _ in range(8):  # each connection may meet another worker
            with urlopen(f"{server.http_url}/metrics", timeout=PATIENCE_SECONDS) as response:  # noqa: S310  # http
                page = response.read().decode()
            counted = sum(
                sample.value
                for family in text_string_to_metric_families(page)
                for sample in family.samples
                if sample.name == "tallykeeper_calls_total" and sample.labels["method"] == "Increment"
            )
            assert counted == calls
