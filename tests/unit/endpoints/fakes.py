"""Stand-ins of what the registry is given: endpoints, a transport that says what it is told, a clock that jumps."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace
from signalr_bridge.endpoints.directory import EndpointDirectory, EndpointMap
from signalr_bridge.endpoints.endpoint import Code, Endpoint, Outcome, Verdict, make_endpoint
from signalr_bridge.endpoints.health import Health
from signalr_bridge.endpoints.pending import Pending
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.protocol.connection_string import ConnectionString
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.settings.model import EndpointType
from signalr_bridge.web.observer import SILENT

NOW = 1_700_000_000


def key_of(name: str) -> str:
    """The access key of the endpoint ``name``, as long as PyJWT likes them."""
    return f"key-of-{name}".ljust(32, "-")


def endpoint(name: str, endpoint_type: EndpointType = "Primary", *, url: str | None = None) -> Endpoint:
    address = url or f"https://{name}.example"
    return make_endpoint(name, endpoint_type, ConnectionString(address, key_of(name)), lambda: NOW)


def said(name: str, verdict: Verdict, status: int | None = None, code: str | None = None) -> Outcome:
    return Outcome(name, "Primary", verdict, status, None if code is None else Code(code))


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Call:
    endpoint: str
    operation: Operation
    message: Message | None
    seconds: float


@dataclass(slots=True)
class FakeTransport:
    """Answers each endpoint's calls from its list; the last answer of a list stays. Endpoints without one accept."""

    answers: dict[str, list[Outcome]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    delay: float = 0.0
    delays: dict[str, float] = field(default_factory=dict)
    before: Callable[[Endpoint], None] | None = None
    running: int = 0
    most_running: int = 0

    def fits(self, action: Action, message: Message) -> bool:
        return True

    def begin(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, seconds: float
    ) -> Pending[Outcome]:
        self.calls.append(Call(endpoint.name, operation, message, seconds))
        if self.before is not None:
            self.before(endpoint)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        return Pending.run(self.answer(endpoint))

    async def answer(self, endpoint: Endpoint) -> Outcome:
        try:
            await asyncio.sleep(self.delays.get(endpoint.name, self.delay))
        finally:
            self.running -= 1
        script = self.answers.get(endpoint.name, [])
        if not script:
            return Outcome(endpoint.name, endpoint.endpoint_type, Verdict.ACCEPTED)
        answer = script.pop(0) if len(script) > 1 else script[0]
        return replace(answer, name=endpoint.name, endpoint_type=endpoint.endpoint_type)

    @property
    def called(self) -> list[str]:
        return [call.endpoint for call in self.calls]


def registry(
    endpoints: Sequence[Endpoint],
    transport: FakeTransport,
    *,
    health: Health | None = None,
    clock: Callable[[], float] | None = None,
    random: float = 0.0,
) -> Registry:
    return Registry(
        endpoints, transport, health or new_health(), clock=clock or Clock(), random=lambda: random, observer=SILENT
    )


def directory(registry: Registry) -> EndpointDirectory:
    """One that has this registry for every hub."""
    return EndpointDirectory(lambda: EndpointMap("", {"": registry}))


def new_health() -> Health:
    return Health(lambda: NOW)


def offline(*names: str) -> Health:
    """A health that knows these endpoints to be down."""
    health = new_health()
    for name in names:
        health.record_probe(f"https://{name}.example", said(name, Verdict.UNREACHABLE))
    return health
