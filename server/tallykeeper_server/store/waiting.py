"""Waiting for what a level of durability asks: the command that waits, and what its reply means.

Both commands count what their own connection has written before, so they follow the script call on it.
"""

from typing import cast

from hiredis import ReplyError

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy
from tallykeeper_server.store.nodes.commands import Command, Reply


def waiting_command(durability: Durability, policy: DurabilityPolicy, *, syncs_by_waiting: bool) -> Command | None:
    """Return what is to be sent after a script call; None if nothing is to be waited for.

    ``syncs_by_waiting``: the store does not sync each write before it answers, but can be waited for (WAITAOF).
    """
    if durability is Durability.REPLICATED:
        return "WAIT", policy.replicas_min, policy.wait_ms
    if durability is Durability.FSYNC and syncs_by_waiting:
        return "WAITAOF", 1, 0, policy.wait_ms
    return None


def shortfall(reply: Reply, policy: DurabilityPolicy) -> str | None:
    """Return in words what is missing after the wait; None if nothing is."""
    if isinstance(reply, ReplyError):
        return f"the store says {reply}"
    if isinstance(reply, list):  # of WAITAOF: whether the primary has synced it, and how many replicas have
        return None if cast("int", reply[0]) >= 1 else f"the primary has not synced it within {policy.wait_ms} ms"
    replicas = cast("int", reply)
    if replicas >= policy.replicas_min:
        return None
    return f"{replicas} of {policy.replicas_min} replicas have it after {policy.wait_ms} ms"
