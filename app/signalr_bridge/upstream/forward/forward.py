"""Handlers in any language: a signed HTTP call tells a backend of an event, and the answer says how it ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

from signalr_bridge.endpoints.outcome import Judgement, Meaning, describe, fails_outputs
from signalr_bridge.errors import BridgeError, HubError, NoHandler, Overloaded
from signalr_bridge.protocol.admission import NEGOTIATE
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.upstream_event import CONNECTED, CONNECTIONS
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings.model import ForwardSettings
from signalr_bridge.tracing import Called
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import explain_outside
from signalr_bridge.upstream.forward.backends import Backends, delay_for_connection, delay_for_message, may_repeat
from signalr_bridge.upstream.forward.formats import BackendFailed, BackendVerdict, Envelope, Signers
from signalr_bridge.upstream.forward.queue import Backlog, Slot
from signalr_bridge.upstream.forward.rule import Rule, read_rule
from signalr_bridge.upstream.outbox import Outbox
from signalr_bridge.upstream.refused import close_refused
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.refusals import Refusals
from signalr_bridge.web.trace import TRACE

_LOG = logging.getLogger("signalr_bridge.upstream")

Pause: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits so many seconds."""


class EventBindings(Protocol):
    """The bindings of a function that events of a hub start: what it is given besides, and where its outputs go."""

    async def read_inputs(self, context: Context) -> Mapping[str, object]:
        """The values of its input bindings by their names. Raises ``OutsideFailure`` for one that cannot be made."""
        ...

    async def send_outputs(self, context: Context, outputs: Mapping[str, bytes], others: Sequence[str]) -> None:
        """Send what its outputs hold, each to the hub of the binding. Raises ``OutsideFailure``.

        Args:
            context: The event.
            outputs: JSON text by the names of the bindings.
            others: The names of outputs that are left alone.
        """
        ...

    def note_failure(self) -> None:
        """Take notice of a call that failed: the program may have been started anew, with other functions."""
        ...


class Forward:
    """One ``[forward.<name>]`` rule as a handler.

    Args:
        rule: Which events go where.
        signers: Gives what signs. Each attempt is signed with what is in force by then.
        backends: Posts the events.
        outbox: Takes the outputs in the backends' answers.
        backlog: Keeps the order of each connection's events, and the events that go on in the background.
        runtime: The clocks, the random numbers and the ids.
        observer: Is told of every event that is posted again.
        pause: Waits between two attempts.
        refusals: Remembers connections that were refused after the service had its answer.
        bindings: Those of the function that the events start. None where the rule stands for no function.
    """

    takes_json = True

    def __init__(
        self,
        rule: Rule,
        signers: Signers,
        backends: Backends,
        outbox: Outbox,
        backlog: Backlog,
        *,
        runtime: Runtime,
        observer: Observer,
        pause: Pause = asyncio.sleep,
        refusals: Refusals | None = None,
        bindings: EventBindings | None = None,
    ) -> None:
        self.source, self.hub, self.category, self.event = rule.source, rule.hub, rule.category, rule.event
        self._rule, self._signers = rule, signers
        self._called = Called(rule.path, "backend", {"signalr.handler": rule.source})
        self._backends, self._outbox, self._backlog = backends, outbox, backlog
        self._runtime, self._observer, self._pause = runtime, observer, pause
        self._refusals, self._bindings = refusals, bindings

    async def answer(self, context: Context) -> Payload:
        """Post the event, send the outputs of the answer, and return its result.

        A connection event that its backend has not taken within the rule's time goes on in the background.

        Raises:
            Rejected: The backend refused the event.
            NoHandler: The event's name cannot stand in a URL.
            Overloaded: Too many events wait for backends.
            BackendFailed: The backend gave no answer, or one that means a failure.
        """
        if context.event in {".", ".."}:
            raise NoHandler("No handler answers an event of this name.")
        envelope = await self._write(context)
        slot = self._enter(context, envelope)
        if context.category != CONNECTIONS:
            return await self._deliver_message(context, envelope, slot)
        delivery = self._deliver_connection(context, envelope, slot)
        await self._backlog.deliver(delivery, self._rule.seconds, lambda error: self._end_late(context, error))
        return None

    async def _write(self, context: Context) -> Envelope:
        id, now = f"msg_{self._runtime.new_id()}", self._now()
        if self._bindings is None:
            return self._rule.format.write(context, id, now)
        return self._rule.format.write(context, id, now, await self._bindings.read_inputs(context))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._runtime.wall_clock(), UTC)

    def _enter(self, context: Context, envelope: Envelope) -> Slot:
        try:
            return self._backlog.queue.enter((self._rule.origin, context.connection_id), self.source)
        except Overloaded as error:
            if context.category == CONNECTIONS:
                self._give_up(context, envelope, error.detail)
            raise

    async def _deliver_message(self, context: Context, envelope: Envelope, slot: Slot) -> Payload:
        ends = self._runtime.clock() + self._rule.seconds
        with slot:
            try:
                await slot.wait(self._rule.seconds)
            except TimeoutError:
                raise BackendFailed("The events before this one took all of its time.") from None
            verdict = await self._try(context, envelope, ends)
            return await self._finish(context, verdict)

    async def _try(self, context: Context, envelope: Envelope, ends: float) -> BackendVerdict:
        """Post the event until the backend has answered, at most up to ``ends``, a moment of the runtime's clock.

        A message shares this time among its attempts. Each attempt of a connection event has the rule's full time.
        """
        lasting = context.category == CONNECTIONS
        decide, attempt = (delay_for_connection if lasting else delay_for_message), 1
        while True:
            try:
                seconds = self._rule.seconds if lasting else ends - self._runtime.clock()
                verdict = await self._try_once(context, envelope, seconds)
            except HubError:
                self._tell_attempt("refused")
                raise
            except BackendFailed as failure:
                self._tell_attempt("failed")
                if self._bindings is not None:
                    self._bindings.note_failure()
                delay = decide(failure, attempt, ends - self._runtime.clock(), self._runtime.random)
                if delay is None:
                    raise
                self._tell_retry(context, failure, attempt, delay)
            else:
                self._tell_attempt("done")
                return verdict
            await self._pause(delay)
            attempt += 1

    def _tell_attempt(self, result: str) -> None:
        self._observer.forward_attempted(handler=self.source, result=result)

    def _tell_retry(self, context: Context, failure: BackendFailed, attempt: int, delay: float) -> None:
        self._observer.forward_retried(
            handler=self.source,
            hub=context.hub,
            event=context.event,
            reason=str(failure),
            attempt=attempt,
            delay=delay,
        )

    async def _try_once(self, context: Context, envelope: Envelope, seconds: float) -> BackendVerdict:
        headers = envelope.headers | self._signers()[self.source].sign(envelope.id, self._now(), envelope.body)
        if (trace := TRACE.get().traceparent) is not None:
            headers |= {"traceparent": trace}
        reply = await self._backends.post(
            self._rule.origin,
            envelope.url,
            envelope.body,
            headers,
            max(seconds, 0.001),
            patient=seconds > self._rule.seconds / 2,
            called=self._called,
        )
        return self._rule.format.read(reply, context.event)

    async def _deliver_connection(self, context: Context, envelope: Envelope, slot: Slot) -> None:
        ends = self._runtime.clock() + self._rule.retry_seconds
        with slot:
            try:
                await slot.wait()
                verdict = await self._try(context, envelope, ends)
            except asyncio.CancelledError:
                self._give_up(context, envelope, "shutting down")
                raise
            except BackendFailed as failure:
                if may_repeat(failure):
                    self._give_up(context, envelope, str(failure))
                raise
            await self._finish(context, verdict)

    def _give_up(self, context: Context, envelope: Envelope, reason: str) -> None:
        self._backlog.give_up(context, self.source, envelope.id, reason)
        self._observer.forward_given_up(handler=self.source)

    async def _end_late(self, context: Context, error: Exception) -> None:
        """Deal with an error after the service has been answered 200.

        All that is left to do is to close the connection that was refused, and to log a failure.
        """
        if isinstance(error, HubError) and context.event.lower() == CONNECTED:
            await close_refused(context, error.detail, self._refusals)
        elif not isinstance(error, HubError):
            where = {"handler": self.source, "hub": context.hub, "event": context.event}
            if (reason := explain_outside(error)) is None:
                _LOG.error("connection event failed late", exc_info=error, extra=where)
            else:
                extra = where | {"error": type(error).__name__, "reason": reason}
                _LOG.error("connection event failed late", extra=extra)

    async def _finish(self, context: Context, verdict: BackendVerdict) -> Payload:
        for line in verdict.logs:
            _LOG.info("backend", extra={"handler": self.source, "hub": context.hub, "line": line})
        if verdict.outputs:
            self._check(context, await self._send(context, verdict.outputs))
        if self._bindings is not None and (verdict.named or verdict.left_alone):
            await self._bindings.send_outputs(context, verdict.named, verdict.left_alone)
        return verdict.result

    async def _send(self, context: Context, outputs: bytes) -> Iterable[Judgement]:
        try:
            return await self._outbox.send_outputs(context.hub.lower(), outputs)
        except BridgeError as error:
            raise BackendFailed(f"The backend's outputs are not well formed ({error.code}): {error.detail}") from None

    def _check(self, context: Context, judgements: Iterable[Judgement]) -> None:
        for index, judgement in enumerate(judgements):
            result = judgement.result
            if fails_outputs(judgement):
                raise BackendFailed(f"Output {index} was not delivered: {result.status} ({describe(result)}).")
            if judgement.meaning is Meaning.PARTIAL:
                extra = {"handler": self.source, "hub": context.hub, "output": index, "outcomes": describe(result)}
                _LOG.warning("output delivered in part", extra=extra)


def build_forwards(
    rules: Mapping[str, ForwardSettings],
    signers: Signers,
    backends: Backends,
    outbox: Outbox,
    backlog: Backlog,
    *,
    runtime: Runtime,
    observer: Observer,
    pause: Pause = asyncio.sleep,
    refusals: Refusals | None = None,
) -> list[Forward]:
    """A handler for each of the rules of events, by their names. The other arguments are those of ``Forward``.

    Raises ``SettingsError`` for a rule that could never work.
    """
    return [
        Forward(
            read_rule(name, rule, runtime.new_id),
            signers,
            backends,
            outbox,
            backlog,
            runtime=runtime,
            observer=observer,
            pause=pause,
            refusals=refusals,
        )
        for name, rule in rules.items()
        if rule.category != NEGOTIATE
    ]
