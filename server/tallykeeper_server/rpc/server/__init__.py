"""ServerService: the state of the server for operators."""
