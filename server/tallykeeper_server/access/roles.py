"""Roles, and the rights that grants of roles give an identity."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

EVERYWHERE: Final = "*"


class Role(IntEnum):
    """A role in a namespace. Each role includes the roles before it."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMINISTER = 3

    @property
    def may_change(self) -> bool:
        """True if the role permits changes. A method that needs such a role changes something."""
        return self >= Role.WRITE


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in some namespaces."""

    role: Role
    namespaces: tuple[str, ...]
    """Names of namespaces. ``shop-*`` stands for all names that begin with ``shop-``, and ``*`` for all names."""


class Rights:
    """The rights that all grants of an identity give it."""

    def __init__(self, grants: Iterable[Grant]) -> None:
        self._exact: dict[str, Role] = {}
        prefixes: dict[str, Role] = {}
        for grant in grants:
            for name in grant.namespaces:
                roles, key = (prefixes, name[:-1]) if name.endswith("*") else (self._exact, name)
                roles[key] = max(grant.role, roles.get(key, Role.NONE))
        self._everywhere = prefixes.pop("", Role.NONE)
        self._prefixes = tuple(prefixes.items())

    def role_in(self, namespace: str) -> Role:
        """Return the highest role in a namespace."""
        role = max(self._exact.get(namespace, Role.NONE), self._everywhere)
        for prefix, granted in self._prefixes:
            if granted > role and namespace.startswith(prefix):
                role = granted
        return role


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller: an identity with its rights."""

    identity: str
    """Empty on a server that asks for no credentials."""
    rights: Rights = field(compare=False)
    expires_at: float = math.inf
    """The time at which the credential expires, in seconds since 1970."""


ANYBODY: Final = Caller("", Rights([Grant(Role.ADMINISTER, (EVERYWHERE,))]))
"""The caller of a server that asks for no credentials."""
