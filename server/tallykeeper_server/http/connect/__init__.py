"""The rules of Connect and gRPC-Web for requests, with errors that name the fault. connectrpc speaks the protocols."""
