"""The ways to and from the chart's pods: Services, the NetworkPolicy, and Prometheus."""

from typing import Any

import pytest

from tests.deploy.chart import CHART, OPEN, Tool, every_object, objects


@pytest.mark.parametrize(
    ("options", "in_service", "in_policy"),
    [
        ((), True, True),
        (("--set", "service.type=LoadBalancer"), False, True),
        (("--set", "service.type=LoadBalancer,http.service=always"), True, True),
        (("--set", "http.service=never"), False, False),
    ],
)
def test_clients_reach_http_unless_it_would_show_the_metrics_outside(
    tool: Tool, options: tuple[str, ...], *, in_service: bool, in_policy: bool
) -> None:
    found = every_object(tool("helm"), *OPEN, *options)
    clients, scrapers = found["NetworkPolicy", "shop-tallykeeper"]["spec"]["ingress"]

    def ports(service: str) -> set[str]:
        return {port["name"] for port in found["Service", service]["spec"]["ports"]}

    assert ports("shop-tallykeeper") == ({"grpc", "http"} if in_service else {"grpc"})
    assert {port["port"] for port in clients["ports"]} == ({"grpc", "http"} if in_policy else {"grpc"})
    assert ports("shop-tallykeeper-headless") == {"grpc", "http"}
    assert [port["port"] for port in scrapers["ports"]] == ["http"]


def test_the_policy_lets_the_server_reach_its_store_the_dns_and_what_is_named(tool: Tool) -> None:
    collector = "networkPolicy.egress[0].ports[0].port=4317"
    external = ("--values", str(CHART / "ci" / "external-values.yaml"))

    def egress(*options: str) -> list[Any]:
        return list(objects(tool("helm"), *options)["NetworkPolicy"]["spec"]["egress"])

    dns, store, named = egress(*external, "--set", collector)
    assert [port["port"] for port in dns["ports"]] == [53, 53]
    assert dns["to"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kube-system"}
    assert [port["port"] for port in store["ports"]] == [6379, 26379]
    assert named == {"ports": [{"port": 4317}]}
    assert egress(*OPEN, "--set", collector) == [named]
    assert "to" not in egress(*external, "--set-json", "networkPolicy.dns=[]")[0]


def test_the_policy_lets_the_server_reach_the_backend_of_its_traces(tool: Tool) -> None:
    traces = ("--set", "traces.enabled=true,traces.endpoint=http://collector.observability:14317")

    def egress(*options: str) -> list[Any]:
        return list(objects(tool("helm"), *options)["NetworkPolicy"]["spec"]["egress"])

    dns, backend = egress("--values", str(CHART / "ci" / "embedded-traces-values.yaml"))
    assert [port["port"] for port in dns["ports"]] == [53, 53]
    assert backend == {"ports": [{"port": 4317, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}
    anywhere = {"ports": [{"port": 14317, "protocol": "TCP"}]}
    assert egress(*OPEN, *traces)[1:] == [anywhere]
    external = ("--values", str(CHART / "ci" / "external-values.yaml"))
    assert egress(*external, *traces) == [*egress(*external), anywhere]


def test_prometheus_scrapes_over_tls_with_a_certificate_where_the_server_asks_for_one(tool: Tool) -> None:
    def endpoint(values: str) -> dict[str, Any]:
        found = objects(tool("helm"), "--values", str(CHART / "ci" / f"{values}-values.yaml"))
        return dict(found["ServiceMonitor"]["spec"]["endpoints"][0])

    tls, mutual = endpoint("external"), endpoint("embedded-secure")

    assert tls["scheme"] == mutual["scheme"] == "https"
    assert tls["tlsConfig"] == {
        "serverName": "localhost",
        "ca": {"secret": {"name": "tallykeeper-tls", "key": "ca.crt"}},
    }
    assert mutual["tlsConfig"]["keySecret"] == {"name": "tallykeeper-probe", "key": "tls.key"}
    plain = objects(tool("helm"), *OPEN, "--set", "serviceMonitor.enabled=true")["ServiceMonitor"]
    assert "tlsConfig" not in plain["spec"]["endpoints"][0]


def test_every_release_is_the_job_of_the_rules_and_the_dashboard(tool: Tool) -> None:
    found = objects(tool("helm"), *OPEN, "--set", "serviceMonitor.enabled=true,nameOverride=counts")
    (endpoint,) = found["ServiceMonitor"]["spec"]["endpoints"]

    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "tallykeeper"}]
    assert 'job="tallykeeper"' in (CHART / "files" / "alerts.yml").read_text()
