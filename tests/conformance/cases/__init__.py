"""The harness of the conformance cases. It starts servers, drives the runners of the SDKs and compares the results."""
