"""The servers that ours is measured against: each as one process, started with a port."""
