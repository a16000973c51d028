"""One operation on one endpoint, tried as often as it may be before its deadline."""

import asyncio
from dataclasses import dataclass

from signalr_bridge.endpoints.endpoint import Code, Endpoint, Outcome, Transport, Verdict
from signalr_bridge.endpoints.health import Health
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.runtime import Clock, Random
from signalr_bridge.web.observer import SILENT, Observer

LEAST_SECONDS = 0.1
"""An attempt with less time than this is not begun: it would turn a certain no into a perhaps."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried, and after how many seconds again.

    A call that is throttled is tried to the end of its deadline, however many attempts that takes.

    Args:
        most_attempts: how many attempts there are at most.
        first_delay: seconds before the second attempt.
        longest_delay: seconds up to which delays double, with full jitter.
        fixed: delays stay as the first one is.
        attempt_seconds: how long one attempt may take.
    """

    most_attempts: int = 3
    first_delay: float = 0.1
    longest_delay: float = 60.0
    fixed: bool = False
    attempt_seconds: float | None = None

    def delay(self, attempt: int, random: Random) -> float:
        """Seconds to wait after the attempt of this number, from 1."""
        if self.fixed:
            return self.first_delay
        return min(self.first_delay * float(1 << min(attempt - 1, 30)), self.longest_delay) * random()


def next_delay(
    policy: RetryPolicy, action: Action, outcome: Outcome, attempt: int, remaining: float, random: Random
) -> float | None:
    """Seconds to wait before trying again, or None to leave it at ``outcome``.

    ``attempt`` counts from 1; ``remaining`` is what is left of the deadline; ``random`` gives a number from 0 to 1.
    """
    throttled = outcome.code is Code.THROTTLED
    if (attempt >= policy.most_attempts and not throttled) or not _is_worth_another(action, outcome):
        return None
    delay = max(policy.delay(attempt, random), outcome.retry_after or 0.0)
    return delay if delay + LEAST_SECONDS <= remaining else None


def _is_worth_another(action: Action, outcome: Outcome) -> bool:
    if action is Action.INVOKE or outcome.code is Code.NO_CREDENTIAL:
        return False
    if outcome.verdict is Verdict.UNREACHABLE or outcome.code is Code.THROTTLED:
        return True
    if not action.may_repeat:
        return False  # it may have been delivered
    return outcome.verdict is Verdict.UNKNOWN or (outcome.status_code or 0) >= 500


def attempt_seconds(policy: RetryPolicy, action: Action, attempt: int, remaining: float) -> float:
    """How long an attempt may take. What may happen twice leaves half of the time for another one."""
    share = (
        max(remaining / 2, min(LEAST_SECONDS, remaining))
        if action.may_repeat and attempt < policy.most_attempts
        else remaining
    )
    return share if policy.attempt_seconds is None else min(share, policy.attempt_seconds)


def settle(earlier: Outcome | None, last: Outcome) -> Outcome:
    """What to say after several attempts. If an earlier one may have been done, a later refusal does not undo it."""
    undecided = earlier is not None and earlier.verdict is Verdict.UNKNOWN
    if earlier is not None and undecided and last.verdict in {Verdict.UNREACHABLE, Verdict.REJECTED}:
        return earlier
    return last


CAPACITY = 100
"""So many attempts more may fail than succeed; at half of that retries end."""


@dataclass(slots=True)
class Breaker:
    """Ends a storm of retries. Every failed attempt takes a token, every answered one gives one back."""

    tokens: int = CAPACITY

    @property
    def is_open(self) -> bool:
        """Whether retries are off."""
        return self.tokens <= CAPACITY // 2

    def record(self, outcome: Outcome) -> None:
        if _has_failed(outcome):
            self.tokens = max(self.tokens - 1, 0)
        elif self.tokens < CAPACITY:
            self.tokens += 1


def _has_failed(outcome: Outcome) -> bool:
    """In a way that one may want to try again."""
    if outcome.verdict in {Verdict.UNREACHABLE, Verdict.UNKNOWN}:
        return True
    return outcome.code is Code.THROTTLED or (outcome.status_code or 0) >= 500


def tell_end(observer: Observer, operation: Operation, outcome: Outcome, seconds: float) -> None:
    """Tell ``observer`` what became of an operation at one endpoint after ``seconds``."""
    observer.operation_ended(
        endpoint=outcome.name,
        hub=operation.hub,
        action=operation.action,
        outcome=outcome.verdict,
        code=outcome.code,
        reason=outcome.why,
        seconds=seconds,
    )


class Attempts:
    """Tries operations, and remembers how each endpoint fares.

    ``clock`` gives monotonic seconds, ``random`` a number from 0 to 1.
    """

    def __init__(
        self,
        transport: Transport,
        health: Health,
        *,
        clock: Clock,
        random: Random,
        policy: RetryPolicy,
        observer: Observer = SILENT,
    ) -> None:
        self._transport, self._health = transport, health
        self._clock, self._random, self._policy = clock, random, policy
        self._observer = observer
        self._breakers: dict[str, Breaker] = {}

    async def perform(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, deadline: float
    ) -> Outcome:
        """What the endpoint said in the end. Never raises for what the endpoint or the network does.

        ``deadline`` is a moment of the clock.
        """
        began = self._clock()
        outcome = await self._perform(endpoint, operation, message, deadline)
        tell_end(self._observer, operation, outcome, self._clock() - began)
        return outcome

    async def _perform(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, deadline: float
    ) -> Outcome:
        breaker = self._breakers.get(endpoint.url)
        if breaker is None:
            breaker = self._breakers[endpoint.url] = Breaker()
        earlier, attempt = None, 1
        while True:
            remaining = deadline - self._clock()
            if remaining <= 0:  # nothing was sent, and nothing will be
                return earlier or Outcome(endpoint.name, endpoint.endpoint_type, Verdict.UNREACHABLE)
            seconds = attempt_seconds(self._policy, operation.action, attempt, remaining)
            outcome = await self._try_once(endpoint, operation, message, seconds)
            breaker.record(outcome)
            earlier = settle(earlier, outcome)
            remaining = deadline - self._clock()
            delay = next_delay(self._policy, operation.action, outcome, attempt, remaining, self._random)
            if delay is None or breaker.is_open:
                return earlier
            self._observer.operation_retried(
                endpoint=endpoint.name,
                hub=operation.hub,
                action=operation.action,
                outcome=outcome.verdict,
                code=outcome.code,
                attempt=attempt,
                delay=delay,
            )
            await asyncio.sleep(delay)
            attempt += 1

    async def _try_once(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, seconds: float
    ) -> Outcome:
        period = self._health.period(endpoint.url)
        outcome = await self._transport.perform(endpoint, operation, message, seconds)
        # A client that keeps its caller waiting is not the endpoint's fault.
        if operation.action is not Action.INVOKE or outcome.verdict is not Verdict.UNKNOWN:
            self._health.record_call(endpoint.url, outcome, period)
        return outcome
