"""Tests of the engine alone, with a store that the test plays: no Redis and no gRPC."""
