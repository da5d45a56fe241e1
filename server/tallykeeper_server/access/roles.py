"""Roles, and what an identity may do where."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

EVERYWHERE: Final = "*"


class Role(IntEnum):
    """What someone may do in a namespace; each role may do what those before it may."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMINISTER = 3


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in some namespaces."""

    role: Role
    namespaces: tuple[str, ...]
    """Names; one that ends in ``*`` stands for all that begin so, and ``*`` for all."""


class Rights:
    """What the grants of one identity amount to."""

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
    """Who calls."""

    identity: str
    """Empty where nobody is asked who they are."""
    rights: Rights = field(compare=False)
    expires_at: float = math.inf
    """Until when the credential is good, in seconds since 1970."""


ANYBODY: Final = Caller("", Rights([Grant(Role.ADMINISTER, (EVERYWHERE,))]))
"""Whoever calls a server that asks nobody who they are."""
