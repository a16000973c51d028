"""Two primaries and a secondary under load, while one primary is killed, hangs and refuses the credential.

``python -m tests.contract.faults.failover`` does so with the intervals of production, and prints how long each fault
took to be noticed.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.endpoints.endpoint import Verdict
from signalr_bridge.endpoints.outcome import Result, Status
from signalr_bridge.errors import NoEndpointAvailable
from signalr_bridge.negotiate.negotiator import ClientToken, Negotiator
from signalr_bridge.outbound.sender import Sender
from signalr_bridge.protocol.rest import Action, Message, Operation

from tests.contract.bridge.running import build_probing
from tests.contract.endpoints.programmable import Server, answer_of, programmable_server

EACH_SECOND = 500
_TICK = 0.02
_PROBE = "/connections/probe"
_GOOD = answer_of(404, x_ms_error_code="Warning.Connection.NotExisted")


@dataclass(slots=True)
class Load:
    """Negotiates and sends at a steady rate; keeps where clients were sent and what became of every message."""

    directory: EndpointDirectory
    negotiator: Negotiator
    sender: Sender
    seconds: float | None
    """The deadline of a send; None is the bridge's own."""
    negotiated: Counter[str] = field(default_factory=Counter)
    results: dict[int, Result] = field(default_factory=dict)
    turned_away: int = 0
    """Clients that got no endpoint: a machine that stands still for a moment makes all of them look down."""
    misled: int = 0
    """Clients that were sent to the secondary while a primary was online."""
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            due = asyncio.get_running_loop().time()
            while True:
                for _ in range(int(EACH_SECOND * _TICK)):
                    tasks.create_task(self._negotiate())
                    tasks.create_task(self._send(next(self._ids)))
                due += _TICK
                await asyncio.sleep(max(due - asyncio.get_running_loop().time(), 0.001))

    async def _negotiate(self) -> None:
        try:
            info = await self.negotiator.negotiate("chat", ClientToken())
        except NoEndpointAvailable:
            self.turned_away += 1
            return
        place = urlsplit(info.url).netloc
        self.negotiated[place] += 1
        registry = self.directory.find("chat")
        primaries = [one for one in registry.endpoints if one.endpoint_type == "Primary"]
        if place not in {urlsplit(one.url).netloc for one in primaries}:
            self.misled += any(map(registry.is_online, primaries))

    async def _send(self, number: int) -> None:
        message = Message("t", json.dumps([number]).encode())
        operation = Operation(Action.SEND_TO_ALL, "chat")
        self.results[number] = await self.sender.perform(operation, message, seconds=self.seconds)


@dataclass(slots=True)
class Trial:
    """The machine under load. ``primary`` is the one with the faults."""

    load: Load
    directory: EndpointDirectory
    servers: dict[str, Server]

    @property
    def primary(self) -> Server:
        return self.servers["default"]

    @property
    def is_online(self) -> bool:
        registry = self.directory.find("chat")
        return registry.is_online(registry.endpoints[0])

    def sent_there(self) -> int:
        """How many clients were sent to the primary so far."""
        return self.load.negotiated[urlsplit(self.primary.url).netloc]

    def probes(self) -> int:
        return sum(_PROBE in one.target for one in self.primary.requests)

    def heal(self) -> None:
        self.primary.answer, self.primary.close = answer_of(202), False
        self.primary.honest = {_PROBE: _GOOD}

    def break_by(self, fault: Callable[[Server], None]) -> None:
        self.primary.honest = {}
        fault(self.primary)

    def lies(self) -> list[str]:
        """Where a result and what the endpoint saw contradict each other; and messages that arrived twice."""
        seen = {name: Counter(_numbers(server)) for name, server in self.servers.items()}
        found = [
            f"{number} twice at {name}" for name, one in seen.items() for number, times in one.items() if times > 1
        ]
        for number, result in self.load.results.items():
            accepted = [one.name for one in result.outcomes if one.verdict is Verdict.ACCEPTED]
            found += [f"{number} never arrived at {name}" for name in accepted if number not in seen[name]]
            tried = {one.verdict for one in result.outcomes if one.verdict is not Verdict.OFFLINE}
            if result.status is Status.ACCEPTED and tried != {Verdict.ACCEPTED}:
                found.append(f"{number} is called accepted")
        return found


def _numbers(server: Server) -> list[int]:
    return [json.loads(one.body)["arguments"][0] for one in server.requests if one.method == "POST" and one.body]


@asynccontextmanager
async def trial(probe_seconds: float, deadline: float | None) -> AsyncIterator[Trial]:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(programmable_server()) for _ in range(3)]
        for server in servers:
            server.honest = {_PROBE: _GOOD}
        app = build_probing(probe_seconds, *(server.url for server in servers))
        await stack.enter_async_context(app.router.lifespan_context(app))
        load = Load(app.state.parts.directory, app.state.parts.negotiator, app.state.parts.sender, deadline)
        running = asyncio.create_task(load.run())
        try:
            yield Trial(load, app.state.parts.directory, dict(zip(("default", "b", "c"), servers, strict=True)))
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running  # raises what ended it before


async def until(look: Callable[[], bool], seconds: float) -> float:
    """How long it took, in seconds."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    while not look():
        if loop.time() > begin + seconds:
            raise AssertionError(f"not within {seconds} s")
        await asyncio.sleep(0.01)
    return loop.time() - begin


def hang(server: Server) -> None:
    server.answer = None


FAULTS: dict[str, Callable[[Server], None]] = {
    "killed": lambda server: server.refuse(),
    "hangs": hang,
    "turns 401": lambda server: server.say(401),
}


@dataclass(frozen=True, slots=True)
class Observed:
    """Of one fault: seconds to notice it and the recovery, and clients sent there after it was noticed."""

    noticed: float
    back: float
    sent_while_down: int
    probes_before_notice: int


async def observe(one: Trial, fault: str, hold: float, patience: float) -> Observed:
    """Break, wait for the notice, watch for ``hold`` seconds, heal, and wait until clients are sent there again."""
    probes = one.probes()
    one.break_by(FAULTS[fault])
    noticed = await until(lambda: not one.is_online, patience)
    probes = one.probes() - probes
    before = one.sent_there()
    await asyncio.sleep(hold)
    sent = one.sent_there() - before
    one.heal()
    if fault == "killed":
        await one.primary.listen()
    back = await until(lambda: one.sent_there() > before + sent, patience)
    return Observed(noticed, back, sent, probes)


async def main() -> None:
    async with trial(probe_seconds=10, deadline=None) as one:
        await until(lambda: one.sent_there() > 0 and one.probes() > 0, 20)
        for fault in FAULTS:
            found = await observe(one, fault, hold=1, patience=30)
            verdict = "ok" if found.noticed <= 12 and found.back <= 10.5 and not found.sent_while_down else "TOO LATE"
            print(
                f"{fault:10} noticed after {found.noticed:5.2f} s, back after {found.back:5.2f} s  {verdict}",
                flush=True,
            )
        sent, lies = len(one.load.results), one.lies()
    clients = f"{sum(one.load.negotiated.values())} negotiates and {one.load.turned_away} turned away"
    print(f"{sent} sends, {clients}; contradictions: {lies[:5] or 'none'}")


if __name__ == "__main__":
    asyncio.run(main())
