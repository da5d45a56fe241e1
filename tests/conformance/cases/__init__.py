"""The harness of the conformance cases: it starts servers, drives the runners of the SDKs and compares."""
