"""The id of an import. Each start has a new id, and an interrupted import is continued by its id.

The id has the time of the start, and digests of the file and the options, so that no other file can continue it.
"""

import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import click

_FILE_DIGITS: Final = 12
_OPTIONS_DIGITS: Final = 6
_FORM: Final = re.compile(
    rf"import-(?P<began>[0-9a-f]{{8}})-(?P<random>[0-9a-f]{{8}})"
    rf"-(?P<file>[0-9a-f]{{{_FILE_DIGITS}}})-(?P<options>[0-9a-f]{{{_OPTIONS_DIGITS}}})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportId:
    """The id, and the values in it."""

    began_seconds: int
    random: str
    file: str
    options: str

    @classmethod
    def fresh(cls, file_digest: str, options: Iterable[object]) -> Self:
        """Return the id of an import that begins now."""
        return cls(
            began_seconds=int(time.time()),
            random=secrets.token_hex(4),
            file=file_digest[:_FILE_DIGITS],
            options=_digest_of(options),
        )

    @classmethod
    def resumed(cls, text: str, file_digest: str, options: Iterable[object]) -> Self:
        """Read the id of an interrupted import.

        Raises click.UsageError if the text is not an id, or belongs to another file or to other options.
        """
        found = _FORM.fullmatch(text.strip())
        if not found:
            message = f"--resume {text!r} is not the id of an import; the interrupted import printed its id as import-…"
            raise click.UsageError(message)
        named = cls(
            began_seconds=int(found["began"], 16),
            random=found["random"],
            file=found["file"],
            options=found["options"],
        )
        if named.file != file_digest[:_FILE_DIGITS]:
            message = f"--resume {text} belongs to a file with other content; continue with the unchanged file"
            raise click.UsageError(message)
        if named.options != _digest_of(options):
            message = f"--resume {text} was started with other options or in another namespace; use the same ones"
            raise click.UsageError(message)
        return named

    @property
    def age_seconds(self) -> float:
        """The time since the import began, by this machine's clock."""
        return time.time() - self.began_seconds

    def __str__(self) -> str:
        return f"import-{self.began_seconds:08x}-{self.random}-{self.file}-{self.options}"


def _digest_of(options: Iterable[object]) -> str:
    text = "\n".join(map(repr, options))
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace")).hexdigest()[:_OPTIONS_DIGITS]
