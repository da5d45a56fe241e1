"""The servers with which ours is compared. Each is one process, started with a port."""
