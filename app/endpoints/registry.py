"""The endpoints there are, and one operation on as many of them as it concerns."""

import asyncio
from collections.abc import Callable, Collection, Sequence

from app.endpoints.endpoint import Endpoint
from app.endpoints.health import Health
from app.endpoints.outcome import Outcome, Result, Verdict, merge
from app.endpoints.retry import next_delay
from app.endpoints.router import negotiation_candidates, split_targets
from app.endpoints.transport import Transport
from app.errors import NoEndpointAvailable, UnknownEndpoint
from app.protocol.rest import Operation


class Registry:
    """All endpoints. ``clock`` gives monotonic seconds, ``random`` a number from 0 to 1."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        transport: Transport,
        health: Health,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self.endpoints = tuple(endpoints)
        self._transport = transport
        self._health = health
        self._clock = clock
        self._random = random

    def is_online(self, endpoint: Endpoint) -> bool:
        return self._health.is_online(endpoint.url)

    def has_worked(self, *, now: bool = False) -> bool:
        """Whether one endpoint at least has answered to our credential; ``now``: and is online."""
        candidates = [endpoint for endpoint in self.endpoints if not now or self.is_online(endpoint)]
        return any(self._health.has_worked(endpoint.url) for endpoint in candidates)

    def has_name(self, name: str) -> bool:
        return any(one.name.lower() == name.lower() for one in self.endpoints)

    def choose_for_client(self, name: str | None = None) -> Endpoint:
        """Where to send a client: the endpoint ``name``, or a random one of the candidates.

        Raises ``UnknownEndpoint`` and ``NoEndpointAvailable``.
        """
        endpoints = self.endpoints
        if name is not None:
            endpoints = tuple(one for one in endpoints if one.name.lower() == name.lower())
            if not endpoints:
                raise UnknownEndpoint("No endpoint has this name.")
        candidates = negotiation_candidates(endpoints, self.is_online)
        if name is not None:
            candidates = [one for one in candidates if len(self.endpoints) == 1 or self.is_online(one)]
        if not candidates:
            raise NoEndpointAvailable("No SignalR endpoint is online; try again.", headers={"Retry-After": "5"})
        return candidates[int(self._random() * len(candidates))]

    async def perform(
        self, operation: Operation, body: bytes | None, *, names: Collection[str] | None, deadline: float
    ) -> Result:
        """One operation on every online endpoint, or on those called ``names`` (in lower case), side by side.

        ``deadline`` is a moment of the registry's clock. Waits for all; one that fails cancels no other.
        """
        online, offline = split_targets(self.endpoints, self.is_online, names)
        calls = [self._perform_on(endpoint, operation, body, deadline) for endpoint in online]
        outcomes = [await calls[0]] if len(calls) == 1 else await asyncio.gather(*calls)
        missing = [Outcome(one.name, one.endpoint_type, Verdict.OFFLINE) for one in offline]
        return merge(operation.action, [*outcomes, *missing])

    async def _perform_on(
        self, endpoint: Endpoint, operation: Operation, body: bytes | None, deadline: float
    ) -> Outcome:
        attempt = 1
        while True:
            seconds = max(deadline - self._clock(), 0.001)
            outcome = await self._transport.perform(endpoint, operation, body, seconds)
            self._health.record_call(endpoint.url, outcome.verdict, answered=outcome.status_code is not None)
            remaining = deadline - self._clock()
            delay = next_delay(operation.action, outcome, attempt, remaining, self._random)
            if delay is None:
                return outcome
            await asyncio.sleep(delay)
            attempt += 1
