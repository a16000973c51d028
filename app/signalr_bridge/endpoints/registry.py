"""The endpoints of a connection: one is chosen for each client, and an operation goes to all that it concerns."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import TypeAlias

from signalr_bridge.endpoints.attempts import Attempts, RetryPolicy, tell_end
from signalr_bridge.endpoints.endpoint import Code, Endpoint, Outcome, Transport, Verdict, plain_outcome
from signalr_bridge.endpoints.health import Health, Report, State
from signalr_bridge.endpoints.outcome import Result, Status, merge
from signalr_bridge.endpoints.pending import Start, wait_for_all
from signalr_bridge.errors import NoEndpointAvailable, UnknownEndpoint
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.runtime import Clock, Random
from signalr_bridge.web.observer import Observer

Condition: TypeAlias = Callable[[Endpoint], bool]
"""Whether an endpoint is online, or is down."""
Strategy: TypeAlias = Callable[[Sequence[Endpoint], str | None, Random], Endpoint]
"""Chooses one of the candidates for a user id. There is at least one, and each has a weight above 0."""

_OFFLINE_CODES = {State.DENIED: Code.DENIED, State.MISROUTED: Code.ENDPOINT_MISROUTED}


def negotiation_candidates(endpoints: Sequence[Endpoint], is_online: Condition) -> list[Endpoint]:
    """The endpoints that a client may be sent to: online primaries, else online secondaries. None has the weight 0.

    An endpoint that is the only one is a candidate whatever its state.
    """
    if len(endpoints) == 1:
        return list(endpoints)
    online = [one for one in endpoints if one.weight > 0 and is_online(one)]
    primaries = [one for one in online if one.endpoint_type == "Primary"]
    return primaries or online


def pinned_candidates(endpoints: Sequence[Endpoint], is_online: Condition, name: str) -> list[Endpoint] | None:
    """The online endpoints of this name, in any case and with any weight. None when no endpoint has the name."""
    named = [one for one in endpoints if one.name.lower() == name.lower()]
    if not named:
        return None
    return named if len(endpoints) == 1 else [one for one in named if is_online(one)]


def split_targets(
    endpoints: Sequence[Endpoint], is_down: Condition, names: Collection[str] | None
) -> tuple[Sequence[Endpoint], Sequence[Endpoint]]:
    """The endpoints to ask, and those that are left out because they are down.

    A single endpoint is asked whatever its state. An instance that is configured twice is asked once.

    Args:
        endpoints: All endpoints of the connection.
        is_down: Whether an endpoint is down.
        names: The names of the endpoints that are concerned, in lower case. None means all.
    """
    if len(endpoints) == 1 and names is None:
        return endpoints, ()
    selected = _unite([one for one in endpoints if names is None or one.name.lower() in names])
    if len({one.url for one in endpoints}) == 1:
        return selected, []
    down = [one for one in selected if is_down(one)]
    return [one for one in selected if one not in down], down


def _unite(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """One endpoint for each URL, a primary before others. With two, clients would get every message twice."""
    winners: dict[str, Endpoint] = {}
    for one in sorted(endpoints, key=lambda one: one.endpoint_type != "Primary"):
        winners.setdefault(one.url, one)
    return [one for one in endpoints if winners[one.url] is one]


def choose_weighted(candidates: Sequence[Endpoint], user_id: str | None, random: Random) -> Endpoint:
    """A random candidate, in proportion to the weights."""
    if len(candidates) == 1:
        return candidates[0]
    left = random() * sum(one.weight for one in candidates)
    for one in candidates:
        left -= one.weight
        if left < 0:
            return one
    return candidates[-1]


def choose_sticky(candidates: Sequence[Endpoint], user_id: str | None, random: Random) -> Endpoint:
    """The same endpoint for the same user, as long as it is a candidate. Without a user id the choice is random.

    The method is weighted rendezvous hashing. When a candidate goes, only its users move. When it is back, they return.
    """
    if user_id is None:
        return choose_weighted(candidates, user_id, random)
    return max(candidates, key=lambda one: _score(one, user_id))


def _score(endpoint: Endpoint, user_id: str) -> float:
    digest = blake2b(f"{endpoint.url}\0{user_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    share = ((int.from_bytes(digest) >> 12) + 0.5) / 2**52  # above 0, below 1
    return -endpoint.weight / math.log(share)


STRATEGIES: Mapping[str, Strategy] = {"weighted": choose_weighted, "sticky-user": choose_sticky}
"""The strategies by their names in ``BRIDGE_HUBS__<HUB>__STRATEGY``."""


class _View:
    """What depends on the health of the endpoints. It is made anew when the state of an endpoint has changed.

    Args:
        changes: How often a state had changed.
        up: The endpoints that an operation goes to.
        down: Those that are left out, because they are down.
        candidates: Those that a client may be sent to.
    """

    __slots__ = ("accepted", "candidates", "changes", "down", "up")

    def __init__(
        self, changes: int, up: Sequence[Endpoint], down: Sequence[Endpoint], candidates: Sequence[Endpoint]
    ) -> None:
        self.changes, self.up, self.down, self.candidates = changes, up, down, candidates
        accepted = (plain_outcome(one.name, one.endpoint_type, Verdict.ACCEPTED) for one in up)
        self.accepted = Result(Status.ACCEPTED, tuple(accepted))
        """The result when all that are up accept, and none is down."""


class Plan:
    """An operation, and the endpoints that it goes to. What ``starts`` begin gives the outcomes for ``merge``.

    Args:
        starts: Begin the operation, at one endpoint each.
        merge: The result, from the outcomes of all that ``starts`` begin, in their order.
    """

    __slots__ = ("merge", "starts")

    def __init__(self, starts: Sequence[Start[Outcome]], merge: Callable[[list[Outcome]], Result]) -> None:
        self.starts, self.merge = starts, merge


class Registry:
    """All endpoints of a connection. It never changes. When settings change, another one takes its place.

    Args:
        clock: Gives monotonic seconds.
        random: Gives a number from 0 to 1.
        strategies: The names of the strategies that spread clients, by hub in lower case.
        policy: How often a call is tried again.
        observer: Is told of retries and of what became of each operation.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        transport: Transport,
        health: Health,
        *,
        clock: Clock,
        random: Random,
        strategies: Mapping[str, str] | None = None,
        policy: RetryPolicy | None = None,
        observer: Observer,
    ) -> None:
        self.endpoints = tuple(endpoints)
        self.longest_url = max((len(one.server_url) for one in self.endpoints), default=0)
        """The most bytes that come before the path of an operation."""
        self._names = {one.name.lower() for one in self.endpoints}
        self._instances = split_targets(self.endpoints, _never, None)[0]
        self._transport, self._health = transport, health
        self._random = random
        self._strategies = {hub: STRATEGIES[name] for hub, name in (strategies or {}).items()}
        self._observer = observer
        self._attempts = Attempts(
            transport, health, clock=clock, random=random, policy=policy or RetryPolicy(), observer=observer
        )
        self._view = self._make_view()

    def is_online(self, endpoint: Endpoint) -> bool:
        """Whether the endpoint may get new clients."""
        return self._health.is_online(endpoint.url)

    def report(self, endpoint: Endpoint) -> Report:
        """The endpoint's state, since when, and its last error."""
        return self._health.report(endpoint.url)

    def has_open_breaker(self, endpoint: Endpoint) -> bool:
        """Whether retries to the endpoint are held back."""
        return self._attempts.has_open_breaker(endpoint.url)

    def has_worked(self, *, now: bool = False) -> bool:
        """Whether at least one endpoint has answered to our credential. ``now``: and is online."""
        candidates = [endpoint for endpoint in self.endpoints if not now or self.is_online(endpoint)]
        return any(self._health.has_worked(endpoint.url) for endpoint in candidates)

    def has_name(self, name: str) -> bool:
        """Whether an endpoint has this name, in any case."""
        return name.lower() in self._names

    def choose_for_client(self, name: str | None = None, *, hub: str = "", user_id: str | None = None) -> Endpoint:
        """The endpoint for a client: one called ``name``, or one of the candidates by the hub's strategy.

        Raises ``UnknownEndpoint`` and ``NoEndpointAvailable``.
        """
        if name is not None:
            pinned = pinned_candidates(self.endpoints, self.is_online, name)
            if pinned is None:
                raise UnknownEndpoint("No endpoint has this name.")
            return self._check(pinned)[int(self._random() * len(pinned))]
        candidates = self._check(self._find_view().candidates)
        choose = self._strategies.get(hub.lower(), STRATEGIES["weighted"])
        return candidates[0] if len(candidates) == 1 else choose(candidates, user_id, self._random)

    def _check(self, candidates: Sequence[Endpoint]) -> Sequence[Endpoint]:
        if not candidates:
            raise NoEndpointAvailable("No SignalR endpoint is online; try again.", headers={"Retry-After": "5"})
        return candidates

    def fits(self, action: Action, message: Message) -> bool:
        """Whether the service takes a message of this size. Raises ``MalformedJson`` if it cannot be packed."""
        return self._transport.fits(action, message)

    async def perform(
        self,
        operation: Operation,
        message: Message | None,
        *,
        names: Collection[str] | None,
        deadline: float,
        down_too: bool = False,
    ) -> Result:
        """The result of one operation on every endpoint that is up, side by side.

        Args:
            operation: What is done.
            message: What is sent. None for an operation that sends nothing.
            names: The names of the endpoints that are asked, in lower case. None means all.
            deadline: A time of the registry's clock.
            down_too: Whether endpoints that are known to be down are asked as well.
        """
        view = self._find_view()
        if names is None and len(view.up) == 1 and not view.down:  # the usual case
            outcome = await self._attempts.begin(view.up[0], operation, message, deadline)
            return _merge_whole(view.accepted, operation.action, [outcome])
        plan = self.plan(operation, message, names=names, deadline=deadline, down_too=down_too)
        return plan.merge(await wait_for_all(plan.starts))

    def plan(
        self,
        operation: Operation,
        message: Message | None,
        *,
        names: Collection[str] | None,
        deadline: float,
        down_too: bool = False,
    ) -> Plan:
        """What ``perform`` does, for whoever waits for several operations at once. The arguments are the same."""
        view = self._find_view()
        up, down = view.up, view.down
        if down_too or names is not None:
            up, down = split_targets(self.endpoints, _never if down_too else self._is_down, names)
        if down:
            up, down = self._try_again(up, down, operation.action, deadline)
        starts = [partial(self._attempts.begin, one, operation, message, deadline) for one in up]
        if up is view.up and not down:
            return Plan(starts, partial(_merge_whole, view.accepted, operation.action))
        return Plan(starts, partial(self._merge, operation, down))

    async def perform_at(self, endpoint: Endpoint, operation: Operation, *, deadline: float) -> Outcome:
        """The outcome of an operation without a message on one endpoint. One of several that is down is not asked.

        ``deadline`` is a time of the registry's clock.
        """
        is_down = len(self._instances) > 1 and self._is_down(endpoint)
        if is_down and not self._may_try(endpoint, operation.action, deadline):
            return self._leave_out(endpoint, operation)
        return await self._attempts.begin(endpoint, operation, None, deadline)

    def instances(self) -> Sequence[Endpoint]:
        """One endpoint for each instance, whatever its state."""
        return self._instances

    def _try_again(
        self, up: Sequence[Endpoint], down: Sequence[Endpoint], action: Action, deadline: float
    ) -> tuple[Sequence[Endpoint], Sequence[Endpoint]]:
        """The endpoints to ask, and those to leave out. One that may work again is asked by one call, as a trial."""
        tried = [one for one in down if self._may_try(one, action, deadline)]
        return ([*up, *tried], [one for one in down if one not in tried]) if tried else (up, down)

    def _may_try(self, endpoint: Endpoint, action: Action, deadline: float) -> bool:
        # A client that is called may keep us waiting, and a caller may not wait, so such a call tells too little.
        tells = action is not Action.INVOKE and self._attempts.tells(deadline)
        return tells and self._health.begin_trial(endpoint.url, action.is_message)

    def _merge(self, operation: Operation, down: Sequence[Endpoint], outcomes: list[Outcome]) -> Result:
        return merge(operation.action, [*outcomes, *(self._leave_out(one, operation) for one in down)])

    def _find_view(self) -> _View:
        if self._view.changes != self._health.changes:
            self._view = self._make_view()
        return self._view

    def _make_view(self) -> _View:
        up, down = split_targets(self.endpoints, self._is_down, None)
        return _View(self._health.changes, up, down, negotiation_candidates(self.endpoints, self.is_online))

    def _is_down(self, endpoint: Endpoint) -> bool:
        return self._health.state(endpoint.url).is_down

    def _leave_out(self, endpoint: Endpoint, operation: Operation) -> Outcome:
        """The outcome of an endpoint that is down and so not asked. The observer is told of it."""
        code = _OFFLINE_CODES.get(self._health.state(endpoint.url))
        outcome = Outcome(endpoint.name, endpoint.endpoint_type, Verdict.OFFLINE, None, code)
        tell_end(self._observer, operation, outcome, 0.0)
        return outcome


def _merge_whole(accepted: Result, action: Action, outcomes: list[Outcome]) -> Result:
    """The result of an operation that went to all endpoints: ``accepted``, when it holds these outcomes."""
    return accepted if outcomes and tuple(outcomes) == accepted.outcomes else merge(action, outcomes)


def _never(_: Endpoint) -> bool:
    return False
