"""One operation on one endpoint, tried again until it succeeds, may not be repeated or reaches its deadline."""

import asyncio
from dataclasses import dataclass

from signalr_bridge.endpoints.endpoint import Code, Endpoint, Outcome, Transport, Verdict
from signalr_bridge.endpoints.health import Health
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.runtime import Clock, Random
from signalr_bridge.web.observer import Observer

LEAST_SECONDS = 0.1
"""An attempt with fewer seconds left is not begun: it would turn a certain failure into an unknown outcome."""

CAPACITY = 100
"""The tokens of a full ``RetryBreaker``. Retries end when half of them are gone."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried, and how many seconds lie between two attempts.

    A throttled call is tried again until its deadline, with no limit on the number of attempts.

    Args:
        most_attempts: The most attempts of one call.
        first_delay: Seconds before the second attempt.
        longest_delay: The most seconds of a delay. Delays double up to it, with full jitter.
        fixed: Whether every delay is ``first_delay``, without jitter.
        attempt_seconds: The most seconds of one attempt. None leaves that to the deadline.
    """

    most_attempts: int = 3
    first_delay: float = 0.1
    longest_delay: float = 60.0
    fixed: bool = False
    attempt_seconds: float | None = None

    def delay(self, attempt: int, random: Random) -> float:
        """Seconds to wait after an attempt. ``attempt`` counts from 1, ``random`` gives 0 to 1."""
        if self.fixed:
            return self.first_delay
        return min(self.first_delay * float(1 << min(attempt - 1, 30)), self.longest_delay) * random()


def next_delay(
    policy: RetryPolicy, action: Action, outcome: Outcome, attempt: int, remaining: float, random: Random
) -> float | None:
    """Seconds to wait before trying again, or None to leave it at ``outcome``.

    Args:
        policy: How often a call may be tried.
        action: What the call does. It says whether the call may be repeated.
        outcome: What the last attempt brought.
        attempt: The number of the last attempt, from 1.
        remaining: Seconds until the deadline.
        random: Gives 0 to 1.
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
    return outcome.verdict is Verdict.UNKNOWN or outcome.is_server_error


def attempt_seconds(policy: RetryPolicy, action: Action, attempt: int, remaining: float) -> float:
    """How many seconds an attempt may take, of the ``remaining`` ones until the deadline.

    An action that may be repeated leaves half of the time for another attempt. ``attempt`` counts from 1.
    """
    share = (
        max(remaining / 2, min(LEAST_SECONDS, remaining))
        if action.may_repeat and attempt < policy.most_attempts
        else remaining
    )
    return share if policy.attempt_seconds is None else min(share, policy.attempt_seconds)


def settle(earlier: Outcome | None, last: Outcome) -> Outcome:
    """The outcome of several attempts. A later refusal does not undo an earlier one that may have taken effect."""
    undecided = earlier is not None and earlier.verdict is Verdict.UNKNOWN
    if earlier is not None and undecided and last.verdict in {Verdict.UNREACHABLE, Verdict.REJECTED}:
        return earlier
    return last


@dataclass(slots=True)
class RetryBreaker:
    """Ends a storm of retries. A failed attempt takes a token, any other attempt gives one back."""

    tokens: int = CAPACITY

    @property
    def is_open(self) -> bool:
        """Whether retries are off."""
        return self.tokens <= CAPACITY // 2

    def record(self, outcome: Outcome) -> None:
        """Counts the outcome of one attempt."""
        if _has_failed(outcome):
            self.tokens = max(self.tokens - 1, 0)
        elif self.tokens < CAPACITY:
            self.tokens += 1


def _has_failed(outcome: Outcome) -> bool:
    """Whether an attempt failed in a way that may pass."""
    if outcome.verdict in {Verdict.UNREACHABLE, Verdict.UNKNOWN}:
        return True
    return outcome.verdict is Verdict.REJECTED and (outcome.code is Code.THROTTLED or outcome.is_server_error)


def tell_end(observer: Observer, operation: Operation, outcome: Outcome, seconds: float) -> None:
    """Tell ``observer`` what became of an operation at one endpoint after ``seconds``."""
    observer.operation_ended(
        endpoint=outcome.name,
        hub=operation.hub,
        action=operation.action,
        outcome=outcome.verdict,
        code=outcome.code,
        reason=outcome.why,
        has_credential=outcome.code is not Code.NO_CREDENTIAL,
        seconds=seconds,
    )


class Attempts:
    """Tries operations, and keeps a breaker for each endpoint.

    Args:
        transport: Makes one attempt.
        health: Is told how each call went.
        clock: Gives monotonic seconds.
        random: Gives 0 to 1.
        policy: How often a call is tried.
        observer: Is told of retries and of what became of each operation.
    """

    def __init__(
        self,
        transport: Transport,
        health: Health,
        *,
        clock: Clock,
        random: Random,
        policy: RetryPolicy,
        observer: Observer,
    ) -> None:
        self._transport, self._health = transport, health
        self._clock, self._random, self._policy = clock, random, policy
        self._observer = observer
        self._breakers: dict[str, RetryBreaker] = {}

    async def perform(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, deadline: float
    ) -> Outcome:
        """The outcome after all attempts. Failures of the endpoint and of the network are outcomes, not errors.

        ``deadline`` is a time of the clock.
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
            breaker = self._breakers[endpoint.url] = RetryBreaker()
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
        # When a called client keeps us waiting, that says nothing about the endpoint.
        if operation.action is not Action.INVOKE or outcome.verdict is not Verdict.UNKNOWN:
            self._health.record_call(endpoint.url, outcome, period)
        return outcome
