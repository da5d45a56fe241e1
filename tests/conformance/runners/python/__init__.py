"""The runners of the Python SDK for the conformance cases: one for the blocking client, one for asyncio."""
