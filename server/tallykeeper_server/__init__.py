"""The Tallykeeper server: gRPC in front, one Lua script behind, group commit between them."""
