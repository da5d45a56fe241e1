"""Tests on a store of many nodes: a cluster, and a primary that sentinels watch."""
