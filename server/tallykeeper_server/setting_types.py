"""The types of settings: they check a value and name the rule that a bad value breaks."""

import math
import re
from pathlib import Path
from typing import Any, Final

import click

from tallykeeper_server.domain.durability import Durability
from tallykeeper_server.domain.limits import LABEL_PATTERN
from tallykeeper_server.store.nodes.store_url import SCHEMES, parsed_store_url

DURABILITIES: Final = tuple(level.value for level in Durability)
"""The levels of durability by their names."""
_PORT_MAX: Final = 65_535


class ListenAddress(click.ParamType[str]):
    """An address: ``host:port``, with port 0 for any free port, or ``unix:path`` if Unix sockets are permitted."""

    name = "address"

    def __init__(self, *, unix: bool = True) -> None:
        self._unix = unix

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address, or fail with the rule that it breaks."""
        text = str(value)
        if self._unix and text.startswith("unix:") and len(text) > len("unix:"):
            return text
        host_and_port = re.fullmatch(r"(?:[^:]+|\[.+\]):([0-9]{1,5})", text)
        if not host_and_port or int(host_and_port[1]) > _PORT_MAX:
            rule = f"host:port (port 0 .. {_PORT_MAX}, IPv6 as in [::1]:50051)"
            self.fail(f"{text!r} is not {rule}{' or unix:path' if self._unix else ''}", param, ctx)
        return text


class HttpAddress(ListenAddress):
    """``host:port``, or nothing."""

    def __init__(self) -> None:
        super().__init__(unix=False)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address, or nothing; fail with the rule that it breaks."""
        return super().convert(value, param, ctx) if value else ""


class HttpOrigins(click.ParamType[str]):
    """Origins of web pages, joined by commas."""

    name = "origin,…"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or fail with the rule that it breaks."""
        text = str(value)
        for origin in text.split(",") if text else ():
            if not re.fullmatch(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", origin):
                rule = "scheme://host or scheme://host:port in lower case, with nothing after it"
                self.fail(f"{origin!r} in {text!r} is no origin: {rule}", param, ctx)
        return text


class StoreAddress(click.ParamType[str]):
    """``embedded`` or the URL of a Redis or Valkey."""

    name = "store"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the store, or fail with the rule that it breaks."""
        text = str(value)
        if text != "embedded" and not text.startswith(SCHEMES):
            self.fail(
                f"{_beginning_of(text)!r} is neither 'embedded' nor a URL that begins with {_listed()}", param, ctx
            )
        try:
            if text != "embedded":
                parsed_store_url(text)
        except ValueError as error:
            self.fail(f"{_beginning_of(text)!r} cannot be used: {error}", param, ctx)
        return text


class DurabilityOfNamespaces(click.ParamType[str]):
    """``namespace=level`` pairs, joined by commas."""

    name = "namespace=level,…"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or fail with the rule that it breaks. A namespace must not appear twice."""
        text = str(value)
        names: set[str] = set()
        for pair in text.split(",") if text else ():
            name, _, level = pair.partition("=")
            if not re.fullmatch(LABEL_PATTERN, name) or level not in DURABILITIES:
                rule = f"namespace=level with a level of {', '.join(DURABILITIES)}"
                self.fail(f"{pair!r} in {text!r} is not {rule}", param, ctx)
            if name in names:
                self.fail(f"namespace {name!r} has two levels in {text!r}", param, ctx)
            names.add(name)
        return text


class FilePath(click.Path):
    """A path that is not empty and holds no NUL."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401  # click's
        """Return the path, or fail with the rule that it breaks."""
        if not str(value) or "\0" in str(value):
            self.fail(f"{value!r} is not a path", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401  # click's
        """Return the number, or fail. click finds nan in every range, so that nan is refused here."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number", param, ctx)
        return number


def _beginning_of(url: str) -> str:
    """Return the part of a bad URL that may be shown: its scheme. The text after it may be a password."""
    scheme, slashes, _ = url.partition("//")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:?", scheme):
        return "…"
    return f"{scheme}{slashes}…" if slashes else scheme


def without_password(url: str) -> str:
    """Return a URL without its user and its passwords, also if the URL is bad."""
    hidden = re.sub(r"(password=)[^&]*", r"\1…", url)
    return re.sub(r"//.*@", "//", hidden, flags=re.DOTALL)


def _listed() -> str:
    return ", ".join(SCHEMES)
