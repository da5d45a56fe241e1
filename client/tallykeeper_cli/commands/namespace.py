"""``tallykeeper namespace``: lists namespaces, and shows what they hold."""

from typing import Final

import click
from click.core import ParameterSource

from tallykeeper_cli.terminal import columns
from tallykeeper_cli.terminal.session import Session, noun, reads

namespace: Final = noun("namespace", "List and show namespaces.")


@namespace.command("list")
@click.argument("prefix", default="")
@reads
def list_namespaces(session: Session, *, prefix: str) -> None:
    """List namespaces.

    The namespaces that were ever changed and begin with PREFIX are listed, or all that were ever changed.
    """
    session.output.show(columns.NAMESPACES, session.client.iterate_namespaces(prefix, page_size=1000))


@namespace.command("get")
@click.argument("name", required=False)
@reads
def get(session: Session, *, name: str | None) -> None:
    """Show what a namespace holds, and its settings.

    NAME means the same as --namespace NAME.
    """
    context = click.get_current_context()
    named = session.client.namespace
    if name not in {None, named} and context.get_parameter_source("namespace") is ParameterSource.COMMANDLINE:
        message = f"{name!r} and --namespace {named!r} are two namespaces; give only one"
        raise click.UsageError(message)
    session.output.show_one(columns.NAMESPACE, session.client.get_namespace(namespace=name).namespace)
