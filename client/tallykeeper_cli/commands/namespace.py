"""``tallykeeper namespace``: tells which namespaces there are, and what is in them."""

from typing import Final

import click
from click.core import ParameterSource

from tallykeeper_cli.terminal import columns
from tallykeeper_cli.terminal.session import Session, noun, reads

namespace: Final = noun("namespace", "Look at namespaces.")


@namespace.command("list")
@click.argument("prefix", default="")
@reads
def list_namespaces(session: Session, *, prefix: str) -> None:
    """List namespaces.

    Those that were ever changed and begin with PREFIX, or all.
    """
    session.output.show(columns.NAMESPACES, session.client.iterate_namespaces(prefix, page_size=1000))


@namespace.command("get")
@click.argument("name", required=False)
@reads
def get(session: Session, *, name: str | None) -> None:
    """Show what a namespace holds and how it is kept.

    NAME stands for --namespace NAME.
    """
    context = click.get_current_context()
    named = session.client.namespace
    if name not in {None, named} and context.get_parameter_source("namespace") is ParameterSource.COMMANDLINE:
        message = f"{name!r} and --namespace {named!r} are two namespaces; name one"
        raise click.UsageError(message)
    session.output.show_one(columns.NAMESPACE, session.client.get_namespace(namespace=name).namespace)
