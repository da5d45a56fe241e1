"""Each limit of the transport that is a setting has the value of the setting."""

from dataclasses import asdict
from typing import Any, Final

from tallykeeper_server.app import http_gateway, server
from tallykeeper_server.http.limits import HttpLimits
from tallykeeper_server.settings import Settings
from tallykeeper_server.transport.limits import TransportLimits

SETTINGS: Final = {
    "connections_max": "connections_max",
    "connections_per_address_max": "connections_per_address_max",
    "handshake_seconds": "handshake_seconds",
    "streams_per_connection_max": "streams_max",
    "streams_max": "calls_max",
    "header_list_bytes_max": "header_list_bytes_max",
    "message_bytes_max": "message_bytes_max",
    "waiting_request_bytes_per_connection_max": "request_bytes_per_connection_max",
    "waiting_request_bytes_max": "request_bytes_max",
    "unread_response_bytes_per_connection_max": "unread_bytes_per_connection_max",
    "unread_response_bytes_max": "unread_bytes_max",
    "stalled_seconds": "stalled_seconds",
    "resets_per_second": "resets_per_second_max",
    "pings_per_second": "pings_per_second_max",
    "control_frames_per_second": "control_frames_per_second_max",
    "bad_compressions_per_second": "bad_compressions_per_second_max",
    "idle_seconds": "idle_seconds",
    "keepalive_seconds": "keepalive_seconds",
    "keepalive_timeout_seconds": "keepalive_timeout_seconds",
    "half_sent_call_seconds": "half_sent_seconds",
    "connection_age_seconds": "connection_age_seconds",
    "connection_age_grace_seconds": "drain_seconds",
}
FIXED: Final = {
    *("stream_window_bytes", "write_buffer_bytes", "retry_after_ms", "check_seconds"),
    *("narrow_seconds", "widen_seconds"),
}


HTTP_SETTINGS: Final = {
    "connections_max": "http_connections_max",
    "connections_per_address_max": "http_connections_per_address_max",
    "handshake_seconds": "handshake_seconds",
    "header_bytes_max": "http_header_bytes_max",
    "header_seconds": "http_header_seconds",
    "body_seconds": "http_body_seconds",
    "idle_seconds": "http_idle_seconds",
    "stalled_seconds": "stalled_seconds",
    "message_bytes_max": "message_bytes_max",
    "waiting_request_bytes_max": "request_bytes_max",
    "unread_response_bytes_max": "unread_bytes_max",
}


def test_each_limit_of_http_has_the_value_of_its_setting() -> None:
    chosen: dict[str, Any] = {setting: 10_000 + number for number, setting in enumerate(HTTP_SETTINGS.values())}

    limits = asdict(vars(http_gateway)["_limits"](Settings(**chosen)))

    assert limits == {name: chosen[setting] for name, setting in HTTP_SETTINGS.items()}


def test_the_defaults_of_the_limits_of_http_are_those_of_the_settings() -> None:
    assert vars(http_gateway)["_limits"](Settings()) == HttpLimits()


def test_each_limit_has_the_value_of_its_setting() -> None:
    chosen: dict[str, Any] = {setting: 10_000 + number for number, setting in enumerate(SETTINGS.values())}

    limits = asdict(vars(server)["_transport_limits"](Settings(**chosen)))

    assert {name: limits[name] for name in SETTINGS} == {name: chosen[setting] for name, setting in SETTINGS.items()}
    assert limits.keys() - SETTINGS.keys() == FIXED
    assert {name: limits[name] for name in FIXED} == {name: asdict(TransportLimits())[name] for name in FIXED}
