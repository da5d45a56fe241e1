"""The levels that reservations hold: those that end one change them too, and so must declare them."""

from collections.abc import Mapping, Sequence
from typing import cast

from tallykeeper_server.domain.levels import LevelName, Reservation, ReservationName
from tallykeeper_server.domain.mutations import Bundle, Mutation


def reservations_to_read(bundles: Sequence[Bundle]) -> list[tuple[str, ReservationName]]:
    """Return the reservations that the bundles resolve, with their namespaces, each once."""
    names = {
        (bundle.namespace, cast("ReservationName", mutation.levels[0])): None
        for bundle in bundles
        for mutation in bundle.mutations
        if mutation.resolves
    }
    return list(names)


def declare_holds(bundles: Sequence[Bundle], held: Mapping[tuple[str, ReservationName], Reservation]) -> list[Bundle]:
    """Return the bundles with the levels of each reservation that is resolved.

    Those are what it held when it was read, and what a mutation in front holds that may make it.
    """
    lines: dict[tuple[str, LevelName], list[LevelName]] = {
        key: [line.name for line in reservation.lines] for key, reservation in held.items()
    }
    declared = []
    for bundle in bundles:
        mutations = []
        for mutation in bundle.mutations:
            key = (bundle.namespace, mutation.levels[0])
            if mutation.resolves:
                mutations.append(_with_levels(mutation, lines.get(key, [])))
            else:
                mutations.append(mutation)
                if isinstance(mutation.levels[0], ReservationName):
                    lines.setdefault(key, []).extend(mutation.levels[1:])
        declared.append(bundle._replace(mutations=tuple(mutations)))
    return declared


def _with_levels(mutation: Mutation, more: Sequence[LevelName]) -> Mutation:
    return mutation._replace(levels=tuple(dict.fromkeys((*mutation.levels, *more))))
