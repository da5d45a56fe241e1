"""The runners of the Python SDK for the conformance cases: of the blocking client and of that for asyncio."""
