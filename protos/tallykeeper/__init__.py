"""The contract of Tallykeeper: its messages and services, as generated from the protos beside them."""
