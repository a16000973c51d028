"""Asks every endpoint, again and again, whether it is there and takes our credential."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from app.endpoints.endpoint import Endpoint
from app.endpoints.health import Health
from app.endpoints.registry import Registry
from app.endpoints.transport import Transport
from app.protocol.rest import Action, Operation

PROBE = Operation(Action.CONNECTION_EXISTS, "bridge", connection="probe")
"""A question with a credential: ``/api/health`` needs none and so proves little."""
PROBE_SECONDS = 2.0
INTERVAL_SECONDS = 10.0


class Prober:
    """A background task, entered and left with the application. ``interval`` is in seconds."""

    def __init__(
        self, registry: Registry, transport: Transport, health: Health, *, interval: float = INTERVAL_SECONDS
    ) -> None:
        self._registry = registry
        self._transport = transport
        self._health = health
        self._interval = interval
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        # Spread over the interval, so that many endpoints are not asked in one burst.
        step = self._interval / max(len(self._registry.endpoints), 1) / 10
        for index, endpoint in enumerate(self._registry.endpoints):
            self._tasks.append(asyncio.create_task(self._watch(endpoint, index * step)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self, endpoint: Endpoint, delay: float) -> None:
        await asyncio.sleep(delay)
        while True:
            outcome = await self._transport.perform(endpoint, PROBE, None, PROBE_SECONDS)
            self._health.record_probe(endpoint.url, outcome.verdict)
            await asyncio.sleep(self._interval)
