"""``tallykeeper counter``: shows and changes counters."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import click

from tallykeeper.v1.counter_pb2 import NewCounter
from tallykeeper_cli.terminal import columns
from tallykeeper_cli.terminal.failures import Refused
from tallykeeper_cli.terminal.parameter_types import INTEGER, LENGTH
from tallykeeper_cli.terminal.session import Session, mutates, noun, reads
from tallykeeper_client import UNCHANGED

counter: Final = noun("counter", "Show and change counters.")


@counter.command("get")
@click.argument("counters", nargs=-1, required=True, metavar="COUNTER...")
@reads
def get(session: Session, *, counters: Sequence[str]) -> None:
    """Show counters as they are at one moment."""
    found = session.client.batch_get_counters(counters)
    session.output.show(columns.COUNTER, found.counters)
    if found.missing:
        message = f"no such counter: {', '.join(found.missing)}"
        raise Refused(message)


@counter.command("list")
@click.argument("prefix", default="")
@reads
def list_counters(session: Session, *, prefix: str) -> None:
    """List counters.

    The counters whose names begin with PREFIX are listed, or all counters.
    """
    session.output.show(columns.COUNTER, session.client.iterate_counters(prefix, page_size=1000))


@counter.command("increment")
@click.argument("counter")
@click.option(
    "--delta", type=INTEGER, default=1, show_default=True, help="The number to add. A number below 0 subtracts."
)
@click.option("--create-ttl", type=LENGTH, help="The time to live of a new counter, such as 90s, 1h30m or 30d.")
@click.option("--create-min", type=INTEGER, help="The minimum of a new counter.")
@click.option("--create-max", type=INTEGER, help="The maximum of a new counter.")
@mutates
def increment(
    session: Session,
    *,
    counter: str,
    delta: int,
    create_ttl: timedelta | None,
    create_min: int | None,
    create_max: int | None,
) -> None:
    """Add to a counter. A counter that does not exist begins at 0.

    The --create options configure a counter that does not exist yet. They change nothing about a counter that exists.
    To limit each day, put the day into the counter's name:

    \b
      tallykeeper counter increment logins:2026-05-01 --create-ttl 1d --create-max 5
    """  # noqa: D301  # click knows the character that \b stands for
    create = None
    if any(value is not None for value in (create_ttl, create_min, create_max)):
        create = NewCounter(ttl=create_ttl, min=create_min, max=create_max)
    response = session.client.increment(counter, delta=delta, create=create, **session.options)
    session.changed(response, columns.COUNTER, [response.counter])


@counter.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("counter")
@click.argument("value", type=INTEGER)
@click.option("--expected-value", type=INTEGER, help="Set the counter only if it has this value now.")
@mutates
def set_counter(session: Session, *, counter: str, value: int, expected_value: int | None) -> None:
    """Set a counter to a value."""
    response = session.client.set_counter(counter, value, expected_value=expected_value, **session.options)
    session.changed(response, columns.COUNTER, [response.counter])


@counter.command("configure")
@click.argument("counter")
@click.option("--min", type=INTEGER, help="The minimum of the counter.")
@click.option("--max", type=INTEGER, help="The maximum of the counter.")
@click.option("--ttl", type=LENGTH, help="The time to live from now, such as 90s, 1h30m or 30d.")
@click.option(
    "--clear", type=click.Choice(["min", "max", "ttl"]), multiple=True, help="A setting to clear; may be repeated."
)
@mutates
def configure(session: Session, *, counter: str, clear: Sequence[str], **given: int | timedelta | None) -> None:
    """Set or clear a counter's bounds and its time to live."""
    response = session.client.configure_counter(counter, **_settings(given, clear), **session.options)
    session.changed(response, columns.COUNTER, [response.counter])


@counter.command("delete")
@click.argument("counter")
@mutates
def delete(session: Session, *, counter: str) -> None:
    """Delete a counter with its bounds, and show it as it was."""
    response = session.client.delete_counter(counter, **session.options)
    session.changed(response, columns.COUNTER, [response.counter])


def _settings(given: Mapping[str, int | timedelta | None], clear: Sequence[str]) -> Mapping[str, Any]:
    """Return the arguments of the settings: a value to set, None to clear, or UNCHANGED."""
    if both := [name for name in clear if given[name] is not None]:
        message = f"{both[0]} is both set and cleared"
        raise click.UsageError(message)
    if not clear and all(value is None for value in given.values()):
        message = f"nothing to configure: name one of {', '.join(given)}"
        raise click.UsageError(message)
    return {name: None if name in clear else UNCHANGED if value is None else value for name, value in given.items()}
