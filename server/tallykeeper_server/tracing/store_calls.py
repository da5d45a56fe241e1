"""A store that records a span for each call to Redis or Valkey that carries out traced calls."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import ClassVar, Final

from tallykeeper_server.domain.durability import Durability
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.domain.mutations import Bundle
from tallykeeper_server.store.nodes.commands import Argument, Command, Reply
from tallykeeper_server.store.nodes.routes import CommandChannel, Group, GroupReplies
from tallykeeper_server.store.redis_store import RedisStore
from tallykeeper_server.store.script_calls import ScriptCalls, ScriptResult
from tallykeeper_server.tracing.tracer import CURRENT_STEP, Step

SCRIPT: Final = "EVALSHA"
PIPELINE: Final = "PIPELINE"


class TracedScriptCalls(ScriptCalls):
    """Script calls with spans. A span includes the wait for durability, which uses the same connection."""

    async def run(self, bundles: Sequence[Bundle], durability: Durability, *, final: bool = True) -> ScriptResult:
        """Run bundles as ScriptCalls does."""
        step = CURRENT_STEP.get()
        if step is not None:
            step.mutations = sum(len(bundle.mutations) for bundle in bundles)
        return await super().run(bundles, durability, final=final)

    async def _call(
        self, call: tuple[list[Argument], list[Argument]], wait: Command | None, channel: CommandChannel
    ) -> tuple[list[Reply], Reply]:
        step = CURRENT_STEP.get()
        if step is None:
            return await super()._call(call, wait, channel)
        with _span(step, SCRIPT):
            return await super()._call(call, wait, channel)


class TracedRedisStore(RedisStore):
    """A store whose script calls and reads have spans."""

    script_calls_class: ClassVar[type[ScriptCalls]] = TracedScriptCalls

    async def _ask(self, groups: Sequence[Group]) -> list[GroupReplies]:
        step = CURRENT_STEP.get()
        if step is None:
            return await super()._ask(groups)
        with _span(step, _operation_of(groups)) as reasons:
            answers = await super()._ask(groups)
            reasons += [answer.reason for answer in answers if isinstance(answer, TallyError)]
        return answers


@contextmanager
def _span(step: Step, operation: str) -> Iterator[list[str]]:
    """Record a span for the work in this context. The first reason in the yielded list is the span's error."""
    began_at = perf_counter()
    reasons: list[str] = []
    try:
        yield reasons
    except TallyError as error:
        reasons.append(error.reason)
        raise
    except BaseException:
        reasons.append("CANCELLED")
        raise
    finally:
        step.end_store_call(operation, began_at, next(iter(reasons), ""))


def _operation_of(groups: Sequence[Group]) -> str:
    """Return the name of the only command, or PIPELINE if there are several."""
    commands = [command for _, group in groups for command in group]
    return str(commands[0][0]) if len(commands) == 1 else PIPELINE
