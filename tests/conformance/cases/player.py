"""Plays one case: each step through a runner, with its expectation.

Several runners play a case with faults together, step by step, so that one fault is enough for all of them.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from tests.conformance.cases import contract
from tests.conformance.cases.match import Comparison, filled
from tests.conformance.cases.runner_process import RunnerError, RunnerProcess
from tests.conformance.cases.servers import CaseServer, Servers
from tests.conformance.cases.steps import CLIENT, Case, Step
from tests.conformance.cases.watch import CaseFailedError, Watch

_EVENTUALLY_SECONDS: Final = 60.0
_EVENTUALLY_PAUSE_SECONDS: Final = 0.05
_CALL_SECONDS: Final = 60.0
"""The default deadline of the cases' clients. It leaves time for a restart on a busy machine."""


def play(case: Case, runners: Mapping[str, RunnerProcess], servers: Servers) -> dict[str, str]:
    """Play a case with some runners, by their names. Return the failures by the name of the runner."""
    failures: dict[str, str] = {}
    with servers.lend(case.server) as server, ThreadPoolExecutor(len(runners)) as threads:
        plays = {name: Play(case, runner, server) for name, runner in runners.items()}

        def together(action: Callable[[Play], None]) -> None:
            """Call a function for all plays that have not failed, at the same time."""
            begun = {name: threads.submit(action, each) for name, each in plays.items() if name not in failures}
            for name, future in begun.items():
                error = future.exception()
                if error is not None:
                    failures[name] = _failure_of(error, runners[name])

        try:
            together(Play.begin)
            for number, step in enumerate(case.steps, 1):
                if step.kind == "fault":
                    server.fault(step.value, step.options)
                else:
                    together(partial(Play.step, number=number, step=step))
        finally:
            failures_of_steps, failures = failures, {}
            together(Play.end)
    return {**failures, **failures_of_steps}


def _failure_of(error: BaseException, runner: RunnerProcess) -> str:
    text = str(error) if isinstance(error, CaseFailedError) else f"{type(error).__name__}: {error}"
    return f"{text}\n{runner.errors}".rstrip()


class Play:
    """One case with one runner, while it is played."""

    def __init__(self, case: Case, runner: RunnerProcess, server: CaseServer) -> None:
        self._case = case
        self._runner = runner
        self._server = server
        self._scope = f"case-{secrets.token_hex(6)}"
        self._variables: dict[str, str] = {
            "namespace": self._scope,
            "address": server.address,
            **server.credentials.variables(),
        }
        self._clients: list[str] = []
        self._begun: dict[str, tuple[Step, int]] = {}
        self._watches: dict[str, Watch] = {}

    def begin(self) -> None:
        """Connect a client, unless the first step connects one.

        :raises CaseFailedError: the client cannot be made.
        """
        if self._case.steps[0].kind != "connect":
            self._connect(Step("connect", {}, {}))

    def step(self, number: int, step: Step) -> None:
        """Play one step that is no fault.

        :raises CaseFailedError: the result differs from the expectation.
        """
        actions = {
            "connect": self._connect,
            "call": self._call,
            "batch": self._batch,
            "answer": self._answer,
            "watch": self._watch,
            "entries": self._entries,
            "levels": self._levels,
            "stop": self._stop,
            "ended": self._ended,
            "request_id": self._request_id,
            "close": self._close,
        }
        try:
            actions[step.kind](step)
        except (CaseFailedError, RunnerError) as error:
            what = step.value if isinstance(step.value, str) else ""
            message = f"step {number} ({' '.join(filter(None, (step.kind, what)))}): {error}"
            raise CaseFailedError(message) from error

    def _connect(self, step: Step) -> None:
        options = self._filled(step.value)
        name = options.pop("client", CLIENT)
        given = {"address": self._server.address, "namespace": self._scope, "timeout_ms": int(_CALL_SECONDS * 1000)}
        reply = self._runner.ask(do="connect", client=self._client(name), **{**given, **options})
        self._must_succeed(reply)
        self._clients.append(name)

    def _call(self, step: Step) -> None:
        for _ in range(step.options.get("repeat", 1)):
            if "begin" in step.options:
                self._begun[step.options["begin"]] = (step, self._send_call(step))
            elif "at_once" in step.options:
                self._call_at_once(step)
            elif step.options.get("eventually"):
                self._call_until(step)
            else:
                self._expect(step, step.value, self._runner.reply(self._send_call(step)))

    def _call_at_once(self, step: Step) -> None:
        ids = [self._send_call(step) for _ in range(step.options["at_once"])]
        replies = [self._runner.reply(each) for each in ids]
        found = Counter(map(_outcome, replies))
        if found != Counter(step.options["outcomes"]):
            other = next((reply for reply in replies if _outcome(reply) not in step.options["outcomes"]), replies[0])
            message = f"expected the outcomes {step.options['outcomes']}, got {dict(found)}, such as {_short(other)}"
            raise CaseFailedError(message)

    def _call_until(self, step: Step) -> None:
        deadline = time.monotonic() + _EVENTUALLY_SECONDS
        while True:
            reply = self._runner.reply(self._send_call(step))
            try:
                self._expect(step, step.value, reply)
            except CaseFailedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_EVENTUALLY_PAUSE_SECONDS)
            else:
                return

    def _send_call(self, step: Step) -> int:
        options = {"timeout_ms": step.options["timeout_ms"]} if "timeout_ms" in step.options else {}
        request = contract.request_json(step.value, self._filled(step.options.get("request", {})))
        client = self._client(step.options.get("client", CLIENT))
        return self._runner.send(do="call", client=client, method=step.value, request=request, **options)

    def _batch(self, step: Step) -> None:
        operations = [contract.operation_json(self._filled(operation)) for operation in step.value]
        client = self._client(step.options.get("client", CLIENT))
        mode = contract.MODES[step.options["mode"]]
        reply = self._runner.ask(do="batch", client=client, operations=operations, mode=mode)
        self._expect(step, "BatchService.Apply", reply)

    def _answer(self, step: Step) -> None:
        call, message_id = self._begun.pop(step.value)
        self._expect(step, call.value, self._runner.reply(message_id))

    def _watch(self, step: Step) -> None:
        request = contract.request_json("LedgerService.Watch", self._filled(step.value))
        client = self._client(step.options.get("client", CLIENT))
        message_id = self._runner.send(do="watch", client=client, request=request)
        self._watches[step.options.get("name", "watch")] = Watch(self._runner, message_id)

    def _entries(self, step: Step) -> None:
        watch = self._watches[step.options.get("of", "watch")]
        for expected in step.value:
            self._compare(expected, watch.next_entry())

    def _levels(self, step: Step) -> None:
        watch = self._watches[step.options.get("of", "watch")]
        self._compare(step.value, watch.levels())

    def _stop(self, step: Step) -> None:
        watch = self._watches[step.value]
        self._must_succeed(self._runner.ask(do="stop", watch=watch.message_id))
        if "end" not in watch.last():
            message = f"expected the watch to end without an error, got {watch.last()}"
            raise CaseFailedError(message)

    def _ended(self, step: Step) -> None:
        self._expect(step, "LedgerService.Watch", self._watches[step.value].last())

    def _request_id(self, step: Step) -> None:
        reply = self._runner.ask(do="request_id")
        self._must_succeed(reply)
        self._variables[step.value] = str(reply["ok"]["request_id"])

    def _close(self, step: Step) -> None:
        self._must_succeed(self._runner.ask(do="close", client=self._client(step.value)))
        self._clients.remove(step.value)

    def end(self) -> None:
        """Close the clients.

        :raises RunnerError: the runner did not answer.
        """
        ids = [self._runner.send(do="close", client=self._client(name)) for name in self._clients]
        for message_id in ids:
            self._runner.reply(message_id)

    def _expect(self, step: Step, method: str, reply: Mapping[str, Any]) -> None:
        if "error" in step.options:
            if "error" not in reply:
                message = f"expected an error, got {_short(reply)}"
                raise CaseFailedError(message)
            error = reply["error"]
            comparison = Comparison()
            for name, expected in self._filled(step.options["error"]).items():
                comparison.message(expected, error.get(name), error.get(name), name)
            self._conclude(comparison, reply)
            return
        if "ok" not in reply:
            message = f"expected a response, got {_short(reply)}"
            raise CaseFailedError(message)
        self._compare(step.options["ok"], contract.reply_of(method, reply["ok"]))

    def _compare(self, expected: Any, reply: contract.Reply) -> None:  # noqa: ANN401  # YAML
        comparison = Comparison()
        comparison.message(self._filled(expected), reply.full, reply.given)
        self._conclude(comparison, reply.given)

    def _conclude(self, comparison: Comparison, reply: Any) -> None:  # noqa: ANN401  # JSON
        if comparison.differences:
            message = f"{'; '.join(comparison.differences)}; the reply: {_short(reply)}"
            raise CaseFailedError(message)
        self._variables.update(comparison.saved)

    def _must_succeed(self, reply: Mapping[str, Any]) -> None:
        if "ok" not in reply:
            message = f"expected ok, got {_short(reply)}"
            raise CaseFailedError(message)

    def _filled(self, node: Any) -> Any:  # noqa: ANN401  # YAML
        return filled(node, self._variables)

    def _client(self, name: str) -> str:
        """Return the name of a client for the runner, which plays several cases at the same time."""
        return f"{self._scope}/{name}"


def _outcome(reply: Mapping[str, Any]) -> str:
    return "OK" if "ok" in reply else str(reply["error"]["reason"] or reply["error"]["code"])


def _short(reply: Any, characters: int = 1_000) -> str:  # noqa: ANN401  # JSON
    text = repr(reply)
    return text if len(text) <= characters else f"{text[:characters]} …"
