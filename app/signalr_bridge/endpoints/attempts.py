"""One operation on one endpoint, tried again until it succeeds, may not be repeated or reaches its deadline."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from signalr_bridge.endpoints.endpoint import ANSWERS, Code, Endpoint, Outcome, Transport, Verdict, plain_outcome
from signalr_bridge.endpoints.health import Health, counts_against
from signalr_bridge.endpoints.pending import Pending
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.runtime import Clock, Random
from signalr_bridge.web.observer import Observer

LEAST_SECONDS = 0.1
"""An attempt with fewer seconds left is not begun: it would turn a certain failure into an unknown outcome."""

CAPACITY = 100
"""The tokens of a full ``RetryBreaker``. Retries end when half of them are gone."""

LEAST_PATIENCE = 0.9
"""Seconds. A call with less time that fails tells nothing of the endpoint. One caller's haste must harm no others."""

MOST_TOKENS = 3
"""How many tokens one call may take, however often it is tried. One call alone must not end the retries of others."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried, and how many seconds lie between two attempts.

    Args:
        most_attempts: The most attempts of one call that failed.
        most_throttled: The most attempts of one call that was throttled. None leaves that to the deadline.
        first_delay: Seconds before the second attempt.
        longest_delay: The most seconds of a delay. Delays double up to it, with full jitter.
        fixed: Whether every delay is ``first_delay``, without jitter.
        attempt_seconds: The most seconds of one attempt. None leaves that to the deadline.
    """

    most_attempts: int = 3
    most_throttled: int | None = None
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
    most = policy.most_throttled if outcome.code is Code.THROTTLED else policy.most_attempts
    if (most is not None and attempt >= most) or not _is_worth_another(action, outcome):
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
    """Ends a storm of retries. A failed attempt takes a token, any other attempt gives one back.

    Throttled attempts have tokens of their own, and end the retries of throttled calls alone. A service that asks for a
    pause works, so other calls go on.
    """

    tokens: int = CAPACITY
    throttled_tokens: int = CAPACITY

    @property
    def is_open(self) -> bool:
        """Whether calls, or throttled calls, are left at their last attempt."""
        return min(self.tokens, self.throttled_tokens) <= CAPACITY // 2

    def ends_retries(self, outcome: Outcome) -> bool:
        """Whether a call whose last attempt had this outcome is left at it."""
        left = self.throttled_tokens if outcome.code is Code.THROTTLED else self.tokens
        return left <= CAPACITY // 2

    def record(self, outcome: Outcome, attempt: int = 1) -> None:
        """Counts the outcome of one attempt. ``attempt`` is its number within its call, from 1."""
        if outcome.verdict in ANSWERS or not _has_failed(outcome):
            if self.tokens < CAPACITY:
                self.tokens += 1
            if self.throttled_tokens < CAPACITY:
                self.throttled_tokens += 1
        elif outcome.code is Code.THROTTLED:  # a call that waits as it was asked to is one token, however long it waits
            self.throttled_tokens = max(self.throttled_tokens - (attempt == 1), 0)
        elif attempt <= MOST_TOKENS:
            self.tokens = max(self.tokens - 1, 0)


def _has_failed(outcome: Outcome) -> bool:
    """Whether an attempt failed in a way that may pass."""
    if outcome.verdict is Verdict.UNREACHABLE or outcome.verdict is Verdict.UNKNOWN:
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


class _Call(msgspec.Struct):
    """One operation on one endpoint, through all its attempts. ``period`` is that of the last one."""

    endpoint: Endpoint
    operation: Operation
    message: Message | None
    deadline: float
    began: float
    breaker: RetryBreaker
    period: int


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

    def begin(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, deadline: float
    ) -> Pending[Outcome]:
        """The outcome after all attempts. Failures of the endpoint and of the network are outcomes, not errors.

        The first attempt is begun at once. Further ones follow in a task of their own. Raises what ``Transport.begin``
        raises. ``deadline`` is a time of the clock.
        """
        began = self._clock()
        if began >= deadline:  # nothing was sent, and nothing will be
            outcome = plain_outcome(endpoint.name, endpoint.endpoint_type, Verdict.UNREACHABLE)
            tell_end(self._observer, operation, outcome, 0.0)
            return Pending.known(outcome)
        seconds = attempt_seconds(self._policy, operation.action, 1, deadline - began)
        period = self._health.period(endpoint.url)
        call = _Call(endpoint, operation, message, deadline, began, self._breaker(endpoint.url), period)
        return self._transport.begin(endpoint, operation, message, seconds).follow(partial(self._judge, call))

    def _judge(self, call: _Call, outcome: Outcome) -> Coroutine[Any, Any, Outcome] | None:
        """Records the outcome of the first attempt. Gives the further attempts when there are any."""
        self._record(call, outcome, 1)
        now = self._clock()
        delay = None if outcome.verdict in ANSWERS else self._next_delay(call, outcome, 1, now)
        if delay is None:
            tell_end(self._observer, call.operation, outcome, now - call.began)
            return None
        return self._try_again(call, outcome, delay)

    async def _try_again(self, call: _Call, earlier: Outcome, first_delay: float) -> Outcome:
        attempt, last = 1, earlier
        delay: float | None = first_delay
        while delay is not None:
            self._tell_retry(call, last, attempt, delay)
            await asyncio.sleep(delay)
            remaining = call.deadline - self._clock()
            if remaining <= 0:
                break
            attempt += 1
            seconds = attempt_seconds(self._policy, call.operation.action, attempt, remaining)
            call.period = self._health.period(call.endpoint.url)
            last = await self._transport.begin(call.endpoint, call.operation, call.message, seconds)
            self._record(call, last, attempt)
            earlier = settle(earlier, last)
            delay = self._next_delay(call, last, attempt, self._clock())
        tell_end(self._observer, call.operation, earlier, self._clock() - call.began)
        return earlier

    def _next_delay(self, call: _Call, outcome: Outcome, attempt: int, now: float) -> float | None:
        action, remaining = call.operation.action, call.deadline - now
        delay = next_delay(self._policy, action, outcome, attempt, remaining, self._random)
        return None if delay is None or call.breaker.ends_retries(outcome) else delay

    def _tell_retry(self, call: _Call, outcome: Outcome, attempt: int, delay: float) -> None:
        self._observer.operation_retried(
            endpoint=call.endpoint.name,
            hub=call.operation.hub,
            action=call.operation.action,
            outcome=outcome.verdict,
            code=outcome.code,
            attempt=attempt,
            delay=delay,
        )

    def tells(self, deadline: float) -> bool:
        """Whether a call that begins now has so much time that its end tells something of the endpoint."""
        return deadline - self._clock() >= LEAST_PATIENCE

    def _record(self, call: _Call, outcome: Outcome, attempt: int) -> None:
        if outcome.code is Code.OVERLOADED:  # it was our own pool that was full
            return
        call.breaker.record(outcome, attempt)
        # When a called client keeps us waiting, or a caller does not wait, that says nothing about the endpoint.
        is_hasty = call.deadline - call.began < LEAST_PATIENCE and counts_against(outcome)
        if not is_hasty and (call.operation.action is not Action.INVOKE or outcome.verdict is not Verdict.UNKNOWN):
            is_message = call.operation.action.is_message
            self._health.record_call(call.endpoint.url, outcome, call.period, is_message=is_message)

    def has_open_breaker(self, url: str) -> bool:
        """Whether retries to the endpoint of this URL are held back."""
        breaker = self._breakers.get(url)
        return breaker is not None and breaker.is_open

    def _breaker(self, url: str) -> RetryBreaker:
        breaker = self._breakers.get(url)
        if breaker is None:
            breaker = self._breakers[url] = RetryBreaker()
        return breaker
