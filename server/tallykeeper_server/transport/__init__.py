"""A gRPC server over HTTP/2 for asyncio. It knows nothing of the services that it serves."""
