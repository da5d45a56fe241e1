"""Further clients for the story, which connect as the first one does."""

from tallykeeper_client.async_client import AsyncClient
from tallykeeper_client.client import Client


def another(client: Client) -> Client:
    """Open a client like this one, with its own channel."""
    return Client(client.target, namespace=client.namespace, credentials=client.credentials, token=client.token)


def another_async(client: Client) -> AsyncClient:
    """Open a client for asyncio like this one."""
    return AsyncClient(client.target, namespace=client.namespace, credentials=client.credentials, token=client.token)
