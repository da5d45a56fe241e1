"""The scripts that read: makes their calls, and gives a script to a store that does not have it."""

from collections.abc import Sequence
from hashlib import sha1
from typing import Any, Final

import msgpack
from hiredis import ReplyError

import tallykeeper_lua
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.nodes.commands import Argument, Command, code_of
from tallykeeper_server.store.nodes.routes import Group, GroupReplies

_PACKER: Final = msgpack.Packer(use_bin_type=False)
"""Packs values as the scripts' cmsgpack unpacks them, which knows one type for texts and bytes."""


def _sha_of(source: str) -> str:
    return sha1(source.encode(), usedforsecurity=False).hexdigest()


_SHAS: Final = {script.name: _sha_of(script.text) for script in tallykeeper_lua.read_scripts()}
_SOURCES: Final = {_sha_of(script.text): script.text for script in tallykeeper_lua.read_scripts()}


def script_command(name: str, keys: Sequence[Argument], arguments: Sequence[Any]) -> Command:
    """Return the command that runs the script ``name``, such as ``levels``, with ``arguments`` as its one ARGV."""
    return ("EVALSHA", _SHAS[f"reads/{name}.lua"], len(keys), *keys, _PACKER.pack(arguments))


def lacks_script(replies: GroupReplies) -> bool:
    """Return whether the store lacks a script that a group of commands called."""
    return not isinstance(replies, TallyError) and any(
        isinstance(reply, ReplyError) and code_of(reply) == "NOSCRIPT" for reply in replies
    )


def with_sources(group: Group) -> Group:
    """Return a group in which each call of a script carries the script's source, which the store then keeps."""
    key, commands = group
    return key, [
        ("EVAL", _SOURCES[str(command[1])], *command[2:]) if command[0] == "EVALSHA" else command
        for command in commands
    ]
