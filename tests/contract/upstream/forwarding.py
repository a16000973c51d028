"""Rules that forward to a backend, in a world where time passes only when somebody waits."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from signalr_bridge.runtime import Runtime
from signalr_bridge.settings.model import ForwardSettings
from signalr_bridge.upstream.forward.backends import Backends
from signalr_bridge.upstream.forward.forward import Forward, build_forwards
from signalr_bridge.upstream.forward.queue import Backlog
from signalr_bridge.upstream.forward.rule import build_signers
from signalr_bridge.web.observer import SILENT, Observer

from tests.unit.upstream.fakes import FakeOutbox

SECRETS = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgcm90YXRpb24="]


async def _a_little(pauses: list[float]) -> None:
    await asyncio.sleep(0.005)


@dataclass
class World:
    """Each pause takes hardly any time, is noted, and moves the clocks. ``before_retry`` is what happens meanwhile."""

    seconds: float = 0.0
    pauses: list[float] = field(default_factory=list)
    before_retry: Callable[[list[float]], Awaitable[None]] = _a_little
    backlog: Backlog = field(default_factory=Backlog)
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    random: Callable[[], float] = lambda: 1.0
    observer: Observer = SILENT

    def clock(self) -> float:
        return self.seconds

    def wall_clock(self) -> float:
        return time.time() + self.seconds

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds
        await self.before_retry(self.pauses)

    @asynccontextmanager
    async def forwards(self, rules: dict[str, dict[str, Any]]) -> AsyncIterator[list[Forward]]:
        settings = {name: ForwardSettings.model_validate({"secrets": SECRETS} | rule) for name, rule in rules.items()}
        runtime = Runtime(clock=self.clock, wall_clock=self.wall_clock, random=self.random)
        async with Backends(self.clock) as backends, self.backlog:
            signers = build_signers(settings)
            yield build_forwards(
                settings,
                lambda: signers,
                backends,
                self.outbox,
                self.backlog,
                runtime=runtime,
                observer=self.observer,
                pause=self.pause,
            )

    async def settle(self) -> None:
        """Until nothing goes on in the background."""
        async with asyncio.timeout(10):
            while len(self.backlog):  # noqa: ASYNC110 - it tells nobody when it is empty
                await asyncio.sleep(0.005)


@asynccontextmanager
async def forwarding(
    url: str, /, outbox: FakeOutbox | None = None, world: World | None = None, **rule: Any
) -> AsyncIterator[Forward]:
    """One rule, with the backend's address in front of hub and event."""
    world = world or World()
    world.outbox = outbox or world.outbox
    async with world.forwards({"test": {"url": f"{url}/{{hub}}/{{event}}"} | rule}) as [forward]:
        yield forward
