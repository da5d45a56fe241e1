"""Commands to a node and its replies: their types, and the meaning of a refusal."""

from typing import Final, TypeAlias

from hiredis import ReplyError

from tallykeeper_server.domain.errors import DefectError, StoreOutOfMemoryError, StoreUnavailableError

Argument: TypeAlias = str | bytes | int
Command: TypeAlias = tuple[Argument, ...]
Reply: TypeAlias = "bytes | int | list[Reply] | ReplyError | None"
"""A node's reply to one command: a ReplyError if the node refused the command."""

NOT_SERVING: Final = frozenset(
    {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOPERM", "NOREPLICAS"}
    | {"READONLY", "TRYAGAIN", "UNBLOCKED", "WRONGPASS"}
)
"""The codes with which a node refuses every command for a while, or until an operator changes something."""
_NOT_SERVING_WORDS: Final = (
    "access a non local key",
    "while the cluster is down",
    "max number of clients reached",
)
"""The words of refusals whose code does not say that the node does not serve.

The first two are about a command within a script, where a node of a cluster gives TRYAGAIN or CLUSTERDOWN to other
commands: the slot is being moved and keys are missing here, or slots are not served.
"""


class ScriptUnknownError(Exception):
    """Redis does not have the script that was called. Nothing happened."""


def answered(replies: list[Reply]) -> list[Reply]:
    """Return the replies of a pipeline whose first command was carried out.

    :raises StoreUnavailableError: the first command was refused, as Connection.call says of each error.
    """
    first = replies[0]
    if isinstance(first, ReplyError):
        raise error_of(first) from first
    return replies


def error_of(error: ReplyError) -> Exception:
    """Return the exception for a refusal by a node. A node has not carried out a command that it refuses."""
    code = code_of(error)
    if code == "NOSCRIPT":
        return ScriptUnknownError()
    if code == "OOM":
        return StoreOutOfMemoryError("the store has no memory left for changes; raise its maxmemory")
    if code in NOT_SERVING or any(words in str(error) for words in _NOT_SERVING_WORDS):
        return StoreUnavailableError(f"the store does not serve ({error})")
    return DefectError(f"the store refused a command: {error}")


def code_of(error: ReplyError) -> str:
    """Return the code of a refusal, which is its first word, such as ``LOADING``."""
    return str(error).partition(" ")[0]
