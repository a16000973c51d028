"""The endpoints there are: one for a client, and one operation on as many of them as it concerns."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Self

from signalr_bridge.endpoints.calls.attempts import Attempts
from signalr_bridge.endpoints.calls.fan_out import fan_out
from signalr_bridge.endpoints.calls.retry import RetryPolicy
from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.endpoints.health import Health, Report, State
from signalr_bridge.endpoints.outcome import Outcome, Result, Verdict, merge
from signalr_bridge.endpoints.router import negotiation_candidates, pinned_candidates, split_targets
from signalr_bridge.endpoints.strategy import STRATEGIES
from signalr_bridge.endpoints.transport import Transport
from signalr_bridge.errors import NoEndpointAvailable, UnknownEndpoint
from signalr_bridge.protocol.rest import Operation

_OFFLINE_CODES = {State.DENIED: "denied", State.MISROUTED: "endpoint-misrouted"}


class Registry:
    """All endpoints of a connection. Never changes: when settings do, another one takes its place.

    ``clock`` gives monotonic seconds, ``random`` a number from 0 to 1. ``strategies`` has the names of how clients are
    spread, by hub in lower case; ``policy`` says how often a call is tried again.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        transport: Transport,
        health: Health,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        strategies: Mapping[str, str] | None = None,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.endpoints = tuple(endpoints)
        self._health = health
        self._random = random
        self._strategies = {hub: STRATEGIES[name] for hub, name in (strategies or {}).items()}
        self._attempts = Attempts(transport, health, clock=clock, random=random, policy=policy or RetryPolicy())

    def find(self, hub: str) -> Self:
        """A registry alone has the endpoints of every hub."""
        return self

    def is_online(self, endpoint: Endpoint) -> bool:
        return self._health.is_online(endpoint.url)

    def report(self, endpoint: Endpoint) -> Report:
        """Its state, since when, and what went wrong last."""
        return self._health.report(endpoint.url)

    def has_worked(self, *, now: bool = False) -> bool:
        """Whether one endpoint at least has answered to our credential; ``now``: and is online."""
        candidates = [endpoint for endpoint in self.endpoints if not now or self.is_online(endpoint)]
        return any(self._health.has_worked(endpoint.url) for endpoint in candidates)

    def has_name(self, name: str) -> bool:
        return any(one.name.lower() == name.lower() for one in self.endpoints)

    def choose_for_client(self, name: str | None = None, *, hub: str = "", user_id: str | None = None) -> Endpoint:
        """Where to send a client: the endpoint ``name``, or one of the candidates by the hub's strategy.

        Raises ``UnknownEndpoint`` and ``NoEndpointAvailable``.
        """
        if name is not None:
            pinned = pinned_candidates(self.endpoints, self.is_online, name)
            if pinned is None:
                raise UnknownEndpoint("No endpoint has this name.")
            return self._check(pinned)[int(self._random() * len(pinned))]
        candidates = self._check(negotiation_candidates(self.endpoints, self.is_online))
        choose = self._strategies.get(hub.lower(), STRATEGIES["weighted"])
        return candidates[0] if len(candidates) == 1 else choose(candidates, user_id, self._random)

    def _check(self, candidates: list[Endpoint]) -> list[Endpoint]:
        if not candidates:
            raise NoEndpointAvailable("No SignalR endpoint is online; try again.", headers={"Retry-After": "5"})
        return candidates

    async def perform(
        self,
        operation: Operation,
        body: bytes | None,
        *,
        names: Collection[str] | None,
        deadline: float,
        down_too: bool = False,
    ) -> Result:
        """One operation on every endpoint that is up, or on those called ``names`` (in lower case), side by side.

        ``deadline`` is a moment of the registry's clock. Waits for all; one that fails cancels no other. ``down_too``:
        those that are known to be down are asked as well.
        """
        up, down = split_targets(self.endpoints, _never if down_too else self._is_down, names)
        call = partial(self._attempts.perform, operation=operation, body=body, deadline=deadline)
        outcomes = await fan_out(call, up) if up else []
        return merge(operation.action, [*outcomes, *map(self._offline, down)])

    async def perform_at(
        self, endpoint: Endpoint, operation: Operation, body: bytes | None, *, deadline: float
    ) -> Outcome:
        """One operation on one endpoint; one that is down, among several, is not tried."""
        if len(self.instances()) > 1 and self._is_down(endpoint):
            return self._offline(endpoint)
        return await self._attempts.perform(endpoint, operation, body, deadline)

    def instances(self) -> Sequence[Endpoint]:
        """Every instance once, whatever its state."""
        return split_targets(self.endpoints, _never, None)[0]

    def _is_down(self, endpoint: Endpoint) -> bool:
        return self._health.state(endpoint.url).is_down

    def _offline(self, endpoint: Endpoint) -> Outcome:
        code = _OFFLINE_CODES.get(self._health.state(endpoint.url))
        return Outcome(endpoint.name, endpoint.endpoint_type, Verdict.OFFLINE, None, code)


def _never(_: Endpoint) -> bool:
    return False
