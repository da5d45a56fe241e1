"""Serves the console: one process, one client of the API, and a page for each browser tab."""

import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import uvicorn
from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import ui

from tallykeeper_client import AsyncClient
from tallykeeper_console.host_guard import HostGuard
from tallykeeper_console.pages import root
from tallykeeper_console.pages.context import Console
from tallykeeper_console.pages.shell import STATIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The connection of the console to the server, and what its pages offer."""

    target: str
    credentials: grpc.ChannelCredentials | None
    token: str | None
    namespace: str
    allow_changes: bool


def serve(listener: socket.socket, options: Options, *, names: Collection[str]) -> None:
    """Serve on a socket until the process is asked to end. ``names`` are the host names that browsers may use."""
    console = Console(namespace=options.namespace, target=options.target, allow_changes=options.allow_changes)
    application = FastAPI(
        lifespan=partial(_lifespan, console, options), docs_url=None, redoc_url=None, openapi_url=None
    )
    nicegui_app.add_static_files("/static", STATIC)
    ui.run_with(
        application,
        root=partial(root.page, console),
        title="Tallykeeper",
        favicon=STATIC / "favicon.svg",
        dark=None,
        language="en-US",
        tailwind=False,
        binding_refresh_interval=None,
        show_welcome_message=False,
    )
    guarded: Any = HostGuard(application, names)
    config = uvicorn.Config(guarded, lifespan="on", log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


@asynccontextmanager
async def _lifespan(console: Console, options: Options, _: FastAPI) -> AsyncIterator[None]:
    """Open the client in the event loop that uses it, and close it at the end."""
    async with AsyncClient(
        options.target, namespace=options.namespace, credentials=options.credentials, token=options.token
    ) as client:
        console.open(client)
        try:
            yield
        finally:
            await console.close()
