"""Opens the routes to a store by its URL, for each form of URL."""

from tallykeeper_server.store.nodes.cluster import Cluster
from tallykeeper_server.store.nodes.one_node import OneNode
from tallykeeper_server.store.nodes.routes import ChannelLimits, Routes
from tallykeeper_server.store.nodes.sentinels import Sentinels
from tallykeeper_server.store.nodes.store_url import parsed_store_url


def open_routes(url: str, limits: ChannelLimits) -> Routes:
    """Return the routes to a store. Nothing is connected before it is used.

    :raises ValueError: the URL has none of the forms.
    """
    parsed = parsed_store_url(url)
    if parsed.topology == "cluster":
        return Cluster(parsed, limits)
    if parsed.topology == "sentinel":
        sentinels = Sentinels(parsed, timeout_seconds=limits.timeout_seconds)
        return OneNode(parsed.node, limits, locate=sentinels.primary)
    return OneNode(parsed.node, limits)
