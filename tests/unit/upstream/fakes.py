"""What stands in for the parts around the trigger: an outbox that remembers, and a call as the service makes it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from signalr_bridge.endpoints.endpoint import Code, Outcome, Verdict
from signalr_bridge.endpoints.outcome import Judgement, Result, Status, judge
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.rest import Action, ClientAnswer, Message, Operation
from signalr_bridge.protocol.upstream_event import EventHeaders, sign, write_event_headers
from signalr_bridge.runtime import RUNTIME, Clock
from signalr_bridge.settings.model import UpstreamSettings
from signalr_bridge.upstream.authenticator import UpstreamAuthenticator, VerificationKey, Verifier, make_upstream_rules
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import ANY, Dispatch, Handler
from signalr_bridge.upstream.entra import EntraTokens
from signalr_bridge.upstream.event_feed import EventFeed
from signalr_bridge.upstream.receiver import Receiver
from signalr_bridge.web.observer import SILENT, Observer
from signalr_bridge.wire.exchange import Answer

KEY = "the-key-of-eastus"
ACCEPTED = Result(Status.ACCEPTED, (Outcome("eastus", "Primary", Verdict.ACCEPTED, 202),))


def result(status: Status, *verdicts: Verdict, code: str | None = None) -> Result:
    said = None if code is None else Code(code)
    return Result(status, tuple(Outcome(f"e{n}", "Primary", one, code=said) for n, one in enumerate(verdicts)), said)


class FakeOutbox:
    """Remembers what was performed and sent; answers with ``results`` in turn, then ``accepted``."""

    def __init__(self, *results: Result) -> None:
        self.performed: list[tuple[Operation, Message | None, str | None]] = []
        self.sent: list[tuple[str, bytes]] = []
        self.results = list(results)
        self.output_results: Sequence[Result] = (ACCEPTED,)
        self.refusal: Exception | None = None
        self.answer = ClientAnswer()

    async def perform(
        self, operation: Operation, message: Message | None = None, *, endpoint: str | None = None
    ) -> Result:
        if self.refusal is not None:
            raise self.refusal
        self.performed.append((operation, message, endpoint))
        return self.results.pop(0) if self.results else ACCEPTED

    async def perform_each(
        self, operations: Sequence[Operation], message: Message, *, endpoint: str | None = None
    ) -> Sequence[Result]:
        return [await self.perform(one, message, endpoint=endpoint) for one in operations]

    async def invoke(
        self, operation: Operation, message: Message, *, endpoint: str | None = None, seconds: float | None = None
    ) -> Judgement:
        if self.refusal is not None:
            raise self.refusal
        self.performed.append((operation, message, endpoint))
        answered = Outcome("eastus", "Primary", Verdict.ACCEPTED, answer=self.answer)
        return judge(Action.INVOKE, Result(Status.ACCEPTED, (answered,)))

    async def send_outputs(self, hub: str, outputs: bytes) -> Sequence[Judgement]:
        if self.refusal is not None:
            raise self.refusal
        self.sent.append((hub, outputs))
        return [judge(Action.SEND_TO_ALL, one) for one in self.output_results]


@dataclass
class FakeHandler:
    """Answers what it is told to, or raises it."""

    ending: Payload = None
    hub: str = ANY
    category: str = ANY
    event: str = ANY
    source: str = "fake"
    takes_json: bool = False
    seen: list[Context] = field(default_factory=list)

    async def answer(self, context: Context) -> Payload:
        self.seen.append(context)
        if isinstance(self.ending, BaseException):
            raise self.ending
        return self.ending


def event(**values: str) -> EventHeaders:
    known = {"hub": "chat", "category": "messages", "event": "send", "connection_id": "c1"}
    return EventHeaders(**(known | values))


def context(outbox: FakeOutbox | None = None, arguments: Sequence[Any] = (), **values: Any) -> Context:
    headers = {name: values.pop(name) for name in EventHeaders.__struct_fields__ if name in values}
    return Context(event(**headers), outbox or FakeOutbox(), arguments=arguments, **values)


def header_lines(headers: EventHeaders, **more: str) -> list[tuple[bytes, bytes]]:
    """As a server hands them over; ``more`` with underscores for dashes. An empty value removes the line."""
    named = {"Content-Type": "application/json"} | write_event_headers(headers)
    if headers.connection_id:
        named["X-ASRS-Signature"] = sign(headers.connection_id, KEY)
    values = {name.lower(): value for name, value in named.items()}
    values |= {name.replace("_", "-").lower(): value for name, value in more.items()}
    return [(name.encode(), value.encode()) for name, value in values.items() if value]


KEYS = (VerificationKey("eastus", KEY),)


def authenticator(
    verifiers: Iterable[Verifier] = KEYS, tokens: EntraTokens | None = None, **upstream: Any
) -> UpstreamAuthenticator:
    """One with the same rules for every hub; ``upstream`` are settings."""
    settings = UpstreamSettings.model_validate(upstream)
    return UpstreamAuthenticator(make_upstream_rules(settings, verifiers, tokens))


class Caller:
    """The service, calling a receiver over ``handlers``."""

    def __init__(
        self,
        *handlers: Handler,
        outbox: FakeOutbox | None = None,
        keys: Iterable[VerificationKey] = KEYS,
        codes: Iterable[str] = (),
        allow_unsigned: bool = False,
        unhandled_is_fine: bool = False,
        events: EventFeed | None = None,
        observer: Observer = SILENT,
        clock: Clock = RUNTIME.clock,
    ) -> None:
        self.outbox = outbox or FakeOutbox()
        self.reads: list[int] = []
        known = authenticator(
            keys, code=tuple(codes), allow_unsigned=allow_unsigned, unhandled="200" if unhandled_is_fine else "404"
        )
        self.receiver = Receiver(
            lambda: known,
            Dispatch(handlers),
            self.outbox,
            most_bytes=1000,
            events=events,
            observer=observer,
            clock=clock,
        )

    async def call(
        self, headers: EventHeaders, body: bytes | Exception = b"", query: bytes = b"", **more: str
    ) -> Answer:
        async def read_body(limit: int) -> bytes:
            self.reads.append(limit)
            if isinstance(body, Exception):
                raise body
            return body

        return await self.receiver.receive(query, header_lines(headers, **more), read_body)

    async def message(self, body: bytes, media_type: str = "application/json", **headers: str) -> Answer:
        return await self.call(event(**headers), body, content_type=media_type)

    async def connection(self, name: str, body: bytes = b"", media_type: str = "application/json") -> Answer:
        return await self.call(event(category="connections", event=name), body, content_type=media_type)
