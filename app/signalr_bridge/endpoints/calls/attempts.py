"""One operation on one endpoint, tried as often as it may be before its deadline."""

import asyncio
from collections.abc import Callable

from signalr_bridge.endpoints.calls.breaker import Breaker
from signalr_bridge.endpoints.calls.retry import RetryPolicy, attempt_seconds, next_delay, settle
from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.endpoints.health import Health
from signalr_bridge.endpoints.outcome import Outcome, Verdict
from signalr_bridge.endpoints.transport import Transport
from signalr_bridge.protocol.rest import Action, Operation


class Attempts:
    """``clock`` gives monotonic seconds, ``random`` a number from 0 to 1."""

    def __init__(
        self,
        transport: Transport,
        health: Health,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        policy: RetryPolicy,
    ) -> None:
        self._transport, self._health = transport, health
        self._clock, self._random, self._policy = clock, random, policy
        self._breakers: dict[str, Breaker] = {}

    async def perform(self, endpoint: Endpoint, operation: Operation, body: bytes | None, deadline: float) -> Outcome:
        """``deadline`` is a moment of the clock. Never raises for what the endpoint or the network does."""
        breaker = self._breakers.get(endpoint.url)
        if breaker is None:
            breaker = self._breakers[endpoint.url] = Breaker()
        earlier, attempt = None, 1
        while True:
            remaining = deadline - self._clock()
            if remaining <= 0:  # nothing was sent, and nothing will be
                return earlier or Outcome(endpoint.name, endpoint.endpoint_type, Verdict.UNREACHABLE)
            seconds = attempt_seconds(self._policy, operation.action, attempt, remaining)
            outcome = await self._try_once(endpoint, operation, body, seconds)
            breaker.record(outcome)
            earlier = settle(earlier, outcome)
            remaining = deadline - self._clock()
            delay = next_delay(self._policy, operation.action, outcome, attempt, remaining, self._random)
            if delay is None or breaker.is_open:
                return earlier
            await asyncio.sleep(delay)
            attempt += 1

    async def _try_once(self, endpoint: Endpoint, operation: Operation, body: bytes | None, seconds: float) -> Outcome:
        period = self._health.period(endpoint.url)
        outcome = await self._transport.perform(endpoint, operation, body, seconds)
        # A client that keeps its caller waiting is not the endpoint's fault.
        if operation.action is not Action.INVOKE or outcome.verdict is not Verdict.UNKNOWN:
            self._health.record_call(endpoint.url, outcome, period)
        return outcome
