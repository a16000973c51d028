"""Calls the backends, with a bound on what they answer, a breaker for each of them, and rules for another attempt."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from signalr_bridge.runtime import Clock, Random
from signalr_bridge.tracing import UNNAMED, Called
from signalr_bridge.upstream.forward.formats import (
    BackendFailed,
    BackendUnavailable,
    CircuitOpen,
    NoConnection,
    NoResponse,
    NotSent,
    Reply,
)
from signalr_bridge.wire import client

FAILURES_TO_OPEN = 5
"""After so many calls in a row that were refused or not answered, the breaker opens."""

OPEN_SECONDS = 1.0
"""Seconds between a failure and the next probe."""

LARGEST_ANSWER = 16 * 1024 * 1024
"""In bytes."""

FIRST_DELAY = 0.1
"""In seconds. It doubles with each attempt, with full jitter."""

LONGEST_DELAY = 5.0
"""In seconds."""

MOST_ATTEMPTS = 3
"""Of a message. A connection event is tried for as long as the rule says."""

IDLE_SECONDS = 1.5
"""For how long a connection is kept to a backend that does not say how long it keeps it. A call on one that has just
gone would be lost. Of the common servers that do not say it, gunicorn hangs up first, after 2 s.

Source: https://gunicorn.org/reference/settings/.
"""

_HEADERS = {"User-Agent": "signalr-bridge", "Accept": "*/*", "Accept-Encoding": "identity"}

# A message is posted again only when it certainly was not sent. A connection event is posted at least once.
_AGAIN_FOR_MESSAGES = (NotSent,)
_AGAIN_FOR_CONNECTIONS = (NotSent, NoResponse, CircuitOpen, BackendUnavailable)

_LOG = logging.getLogger("signalr_bridge.upstream")


@dataclass(slots=True)
class BackendBreaker:
    """Leaves one backend alone after failures in a row. Moments are monotonic seconds.

    A call that was allowed is followed by ``record_answer``, ``record_failure`` or ``forget``.
    """

    failures: int = 0
    _retry_at: float = 0.0
    _probing: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the backend is left alone."""
        return self.failures >= FAILURES_TO_OPEN

    def allow(self, now: float) -> bool:
        """Whether to call. While the breaker is open, one call at a time is allowed, after a pause, as a probe."""
        if not self.is_open:
            return True
        if self._probing or now < self._retry_at:
            return False
        self._probing = True
        return True

    def record_answer(self) -> None:
        """Close the breaker. Any answer, even a 500, shows that the backend is there."""
        self.failures, self._probing = 0, False

    def record_failure(self, now: float) -> None:
        """Count a call that was refused or not answered. The breaker may open by it."""
        self.failures += 1
        self._probing = False
        self._retry_at = now + OPEN_SECONDS

    def forget(self) -> None:
        """End a call that says nothing about the backend."""
        self._probing = False


class Backends:
    """The connections to all backends, open while the ``async with`` block runs.

    Args:
        clock: Gives monotonic seconds.
        connections: The most connections to one backend.

    Attributes:
        advice: What to do when the backend of an origin does not answer. It goes into the log, and may be added to.
    """

    def __init__(self, clock: Clock, connections: int = 64) -> None:
        self.advice: dict[str, str] = {}
        self._clock = clock
        self._breakers: dict[str, BackendBreaker] = {}
        options = client.ClientOptions(idle_seconds=IDLE_SECONDS, headers=_HEADERS, connections=connections)
        self._client = client.Client(options)

    @property
    def open_breakers(self) -> Mapping[str, bool]:
        """Whether the backend of each origin that was called is left alone."""
        return {origin: one.is_open for origin, one in self._breakers.items()}

    async def __aenter__(self) -> Self:
        self._client.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def post(
        self,
        origin: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        seconds: float,
        *,
        patient: bool = True,
        called: Called = UNNAMED,
    ) -> Reply:
        """Post one event, and return the backend's reply.

        Args:
            origin: Scheme, host and port of the backend. Each origin has a breaker.
            url: The URL, completely escaped.
            body: What is posted.
            headers: The headers besides those of every call.
            seconds: How long the call may take.
            patient: False when so little time is left that a time-out says nothing about the backend.
            called: What the span of the call says.

        Raises:
            BackendFailed: One of its kinds, when there is no reply.
        """
        breaker = self._breakers.get(origin) or self._breakers.setdefault(origin, BackendBreaker())
        was_open = breaker.is_open
        if not breaker.allow(self._clock()):
            raise CircuitOpen("The backend is not called for a moment: it did not answer several times in a row.")
        try:
            reply = await self._post_in_time(url, body, headers, seconds, called)
            breaker.record_answer()
        except TimeoutError:
            if patient:
                breaker.record_failure(self._clock())
            raise NoResponse(f"The backend did not answer within {seconds:.3g} s.") from None
        except NoConnection:
            raise
        except (NotSent, NoResponse):
            breaker.record_failure(self._clock())
            raise
        except BackendFailed:
            breaker.record_answer()
            raise
        finally:
            breaker.forget()
            _log_change(origin, was_open, breaker, self.advice.get(origin))
        return reply

    async def _post_in_time(
        self, url: str, body: bytes, headers: Mapping[str, str], seconds: float, called: Called
    ) -> Reply:
        try:
            return await self._post(url, body, headers, seconds, called)
        except (client.TimedOut, client.ConnectTimedOut):
            raise TimeoutError from None  # a connection that is not made in time has always counted as no response
        except client.PoolExhausted as error:
            raise NoConnection(_describe(error)) from None
        except client.NotSent as error:
            raise NotSent(_describe(error)) from None
        except client.NoResponse as error:
            raise NoResponse(_describe(error)) from None
        except client.ResponseTooLarge:
            raise BackendFailed(f"The backend's answer has more than {LARGEST_ANSWER:,} bytes.") from None
        except client.BadResponse as error:
            raise BackendFailed(_describe(error)) from None

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float, called: Called) -> Reply:
        response = await self._client.request(
            "POST", url, headers=headers, body=body, seconds=seconds, largest=LARGEST_ANSWER, called=called
        )
        found = response.headers
        media_type = found.get("Content-Type", "").partition(";")[0].strip().lower()
        retry_after = client.read_retry_after(found)
        return Reply(response.status, media_type, response.body, retry_after)


def _log_change(origin: str, was_open: bool, breaker: BackendBreaker, advice: str | None) -> None:
    if breaker.is_open and not was_open:
        extra = {"backend": origin} | ({} if advice is None else {"reason": advice})
        _LOG.warning("backend does not answer and is left alone", extra=extra)
    elif was_open and not breaker.is_open:
        _LOG.warning("backend answers again", extra={"backend": origin})


def _describe(error: client.CallFailed) -> str:
    return f"The backend gave no answer ({error})."


def may_repeat(failure: BackendFailed) -> bool:
    """Whether a connection event that failed like this is worth another attempt."""
    return isinstance(failure, _AGAIN_FOR_CONNECTIONS)


def delay_for_message(failure: BackendFailed, attempt: int, remaining: float, random: Random) -> float | None:
    """Seconds until a message's next attempt. None means that there is none.

    Args:
        failure: How the last attempt failed.
        attempt: How many attempts there were, from 1.
        remaining: Seconds of the message's time that are left.
        random: Gives a number from 0 to 1.
    """
    if not isinstance(failure, _AGAIN_FOR_MESSAGES) or attempt >= MOST_ATTEMPTS:
        return None
    return _within(_back_off(attempt, random), remaining)


def delay_for_connection(failure: BackendFailed, attempt: int, remaining: float, random: Random) -> float | None:
    """Seconds until a connection event's next attempt. None means that there is none.

    It waits for as long as the backend asks, if the time allows. The arguments are those of ``delay_for_message``.
    """
    if not may_repeat(failure):
        return None
    asked = failure.retry_after if isinstance(failure, BackendUnavailable) else None
    return _within(max(_back_off(attempt, random), _within(asked or 0.0, remaining) or 0.0), remaining)


def _back_off(attempt: int, random: Random) -> float:
    return random() * min(FIRST_DELAY * 2.0 ** min(attempt - 1, 16), LONGEST_DELAY)


def _within(delay: float, remaining: float) -> float | None:
    return delay if delay < remaining else None
