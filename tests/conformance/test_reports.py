"""Tests of the reading of other suites' reports."""

from tests.conformance.reports import failed_connect_cases, h2spec_cases

_H2SPEC = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="6.5. SETTINGS" package="http2/6.5" id="6.5" tests="3" skipped="0" failures="1" errors="1">
    <testcase package="http2/6.5" classname="Sends &#34;ACK&#34; with a payload" time="0.0012"></testcase>
    <testcase package="http2/6.5" classname="Sends a stream id" time="2.0001">
      <failure>GOAWAY Frame (Error Code: PROTOCOL_ERROR)&#xA;
Error: <nil> & \x00</failure>
    </testcase>
    <testcase package="http2/6.5" classname="Sends a short frame" time="0.0100">
      <error>read tcp <127.0.0.1>: reset</error>
    </testcase>
  </testsuite>
</testsuites>
"""
_CONNECT = """FAILED: Timeouts/HTTPVersion:1/Protocol:PROTOCOL_CONNECT/TLS:false/unary:
\tconnect error JSON: unexpected end of JSON input

INFO: Unexpected Requests/HTTPVersion:1/TLS:true/unexpected-content-type failed (as expected):
\tconnect error JSON: unexpected end of JSON input

Total cases: 1036
1034 passed, 1 failed
"""


def test_h2spec_cases_do_not_depend_on_the_details_of_failures() -> None:
    failed = {("http2/6.5", "Sends a stream id"), ("http2/6.5", "Sends a short frame")}

    assert h2spec_cases(_H2SPEC) == (3, failed)


def test_connect_cases_that_are_known_to_fail_are_not_named() -> None:
    assert failed_connect_cases(_CONNECT) == ["Timeouts/HTTPVersion:1/Protocol:PROTOCOL_CONNECT/TLS:false/unary"]
