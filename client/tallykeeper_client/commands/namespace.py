"""``tallykeeper namespace``: tells which namespaces there are, and what is in them."""

import json
from typing import Final

import click

from tallykeeper_client.commands import columns
from tallykeeper_client.commands.session import Session, noun, reads

namespace: Final = noun("namespace", "Look at namespaces.")


@namespace.command("list")
@click.argument("prefix", default="")
@reads
def list_namespaces(session: Session, *, prefix: str) -> None:
    """List namespaces.

    Those that were ever changed and begin with PREFIX, or all.
    """
    for name in session.client.iterate_namespaces(prefix, page_size=1000):
        click.echo(json.dumps({"namespace": name}) if session.output.as_json else name)


@namespace.command("get")
@reads
def get(session: Session) -> None:
    """Show what a namespace holds and how it is kept."""
    session.output.show_one(columns.NAMESPACE, session.client.get_namespace())
