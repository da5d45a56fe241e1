"""Tests of each RPC through a real channel: the promises and the refusals of the contract."""
