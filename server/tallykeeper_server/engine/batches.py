"""Splits batches into steps, and gives an error of a later step its true meaning."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tallykeeper_server.domain.errors import DeadlineExceededError, OutcomeUnknownError, TallyError
from tallykeeper_server.domain.limits import BATCH_PART_OPERATIONS
from tallykeeper_server.domain.mutations import Bundle, Mutation, Outcome, fingerprint_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The mutations of one namespace that one call brings together."""

    namespace: str
    mutations: tuple[Mutation, ...]
    request_id: str
    """The batch's request id; empty when the caller gave none."""
    atomic: bool
    """True if all mutations or none are applied; false if each is applied or refused alone."""
    identity: str = ""
    """The caller who makes the mutations; empty when the server does not know the caller."""


def bundles_of(batch: Batch) -> Iterator[Bundle]:
    """Yield a batch's steps: one if it is atomic, else one for each 250 mutations, so that others get in between."""
    count = len(batch.mutations)
    kind = "atomic" if batch.atomic else "independent"
    fingerprint = fingerprint_of(batch.mutations, batch=kind) if batch.request_id else b""
    size = count if batch.atomic else BATCH_PART_OPERATIONS
    for part, first in enumerate(range(0, count, size)):
        yield Bundle(
            namespace=batch.namespace,
            mutations=batch.mutations[first : first + size],
            request_id=batch.request_id,
            atomic=batch.atomic,
            identity=batch.identity,
            fingerprint=fingerprint,
            part=part,
            total=count,
        )


@contextmanager
def after_steps(outcomes: Sequence[Outcome], *, is_safe_to_repeat: bool) -> Iterator[None]:
    """Give an error of a later step its true meaning when earlier steps have been applied.

    ``is_safe_to_repeat`` says that the batch has a request id, so that a repeat applies only the rest.

    :raises OutcomeUnknownError: in place of an error that says that nothing happened.
    """
    try:
        yield
    except TallyError as error:
        if not outcomes or error.reason == "INTERNAL":
            raise
        reported = f"the first {len(outcomes)} operations have their results, and then: {error.message}"
        if isinstance(error, DeadlineExceededError):
            raise DeadlineExceededError(reported) from error
        remedy = (
            "send the batch again with the same request id for the rest"
            if is_safe_to_repeat
            else "it has no request id, so a repeat would apply the first operations twice"
        )
        message = f"{reported}; {remedy}"
        raise OutcomeUnknownError(message, is_safe_to_repeat=is_safe_to_repeat) from error
