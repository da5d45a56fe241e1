"""A store of many nodes: a cluster, and a primary that sentinels watch over."""
