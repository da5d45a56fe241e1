"""Connections to the nodes of a store: one node, a cluster, or a primary behind sentinels."""
