"""Each RPC through a real channel: what the contract promises, and what it refuses."""
