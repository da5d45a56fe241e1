"""Waits for the turns of the event loop that a lane needs."""

import asyncio


async def let_lanes_send() -> None:
    """Let lanes decide about the calls that have arrived, and begin to send them."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
