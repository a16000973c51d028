"""Something that expires and is renewed ahead of time, by one attempt at a time: nobody waits without need."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

from signalr_bridge.runtime import Random, WallClock
from signalr_bridge.web.observer import SILENT, Observer
from signalr_bridge.wire.client import read_retry_after

T = TypeVar("T")

_AHEAD_SECONDS = 600.0
_PAUSE_SECONDS = 60.0
_FIRST_REST, _LONGEST_WISH = 1.0, 600.0


@dataclass(frozen=True, slots=True)
class CachedToken(Generic[T]):
    """A value, from when on it is renewed, and until when it is good."""

    value: T = field(repr=False)
    renew_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class RefreshFailure:
    """How often renewing has failed in a row, why the last time, and when it is tried again."""

    failures: int
    reason: str
    retry_at: float
    forbidden: bool = False


class RefreshAction(Enum):
    """What a request does about the value it needs."""

    USE = "use what is held"
    USE_AND_RENEW = "use what is held, and have it renewed meanwhile"
    WAIT = "have it renewed, and wait"
    REFUSE = "do without: renewing has just failed"


def decide(held: CachedToken[T] | None, refresh_failure: RefreshFailure | None, now: float) -> RefreshAction:
    resting = refresh_failure is not None and now < refresh_failure.retry_at
    if held is None or now >= held.expires_at:
        return RefreshAction.REFUSE if resting else RefreshAction.WAIT
    return RefreshAction.USE_AND_RENEW if now >= held.renew_at and not resting else RefreshAction.USE


def cache_token(value: T, expires_at: float, now: float, renew_at: float | None = None) -> CachedToken[T]:
    """``renew_at`` is what the issuer proposes; else ten minutes before the end, or at half time of a short life.

    Never at once: an issuer that keeps its tokens gives the same one again until shortly before its end.
    """
    half = max((expires_at - now) / 2, 0.0)
    planned = expires_at - min(_AHEAD_SECONDS, half) if renew_at is None else renew_at
    return CachedToken(value, max(planned, now + min(_PAUSE_SECONDS, half)), expires_at)


def rest_seconds(failures: int, retry_after: float | None, longest: float, random: Random) -> float:
    """How long to leave the issuer alone after ``failures`` in a row: doubling with jitter, or what it asked for."""
    backoff = min(_FIRST_REST * float(1 << min(failures - 1, 16)), longest)
    return max(backoff * (0.5 + random() / 2), min(retry_after or 0.0, _LONGEST_WISH))


class CredentialFailure(Exception):
    """``reason`` may be shown; ``retry_after`` (seconds) is what the issuer asked for.

    ``forbidden``: the service itself refused to issue a key, for the identity has no role that may have one.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, forbidden: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.retry_after, self.forbidden = reason, retry_after, forbidden


def explain_failure(error: Exception) -> CredentialFailure:
    """What a library raised, as a failure."""
    if isinstance(error, CredentialFailure):
        return error
    if isinstance(error, TimeoutError | asyncio.IncompleteReadError):
        return CredentialFailure("no answer in time")
    response: Any = find_response(error)
    if response is None:
        return CredentialFailure(f"failed: {type(error).__name__}")
    retry_after = read_retry_after(str(response.headers.get("Retry-After", "")))
    return CredentialFailure(f"status {int(response.status_code)}", retry_after=retry_after)


def find_response(error: BaseException | None) -> Any:
    """The HTTP answer that an error of Azure's libraries came from, perhaps over others."""
    for _ in range(8):
        if error is None:
            return None
        response = getattr(error, "response", None)
        if response is not None and hasattr(response, "status_code"):
            return response
        error = error.__cause__ or error.__context__
    return None


class RefreshingToken(Generic[T]):
    """``fetch`` gets a new value and may take ``seconds``. ``clock`` gives seconds since 1970, ``random`` 0 to 1.

    ``what`` says in a log what it is; ``longest_rest`` is how long at most, in seconds, a failing issuer is left alone.
    """

    def __init__(
        self,
        what: str,
        fetch: Callable[[], Awaitable[CachedToken[T]]],
        *,
        clock: WallClock,
        random: Random,
        seconds: float,
        longest_rest: float = 30.0,
        observer: Observer = SILENT,
    ) -> None:
        self._what, self._fetch = what, fetch
        self._clock, self._random = clock, random
        self._seconds, self._longest_rest = seconds, longest_rest
        self._observer = observer
        self._cached: CachedToken[T] | None = None
        self._failed: RefreshFailure | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def refresh_failure(self) -> str | None:
        """Why the last attempt failed; None when it did not."""
        return None if self._failed is None else self._failed.reason

    async def get(self) -> T:
        """At once while the old value is good. Raises ``CredentialFailure``."""
        step = decide(self._cached, self._failed, self._clock())
        if step is RefreshAction.WAIT:
            await self._wait()
        elif step is RefreshAction.USE_AND_RENEW:
            self._start()
        if self._cached is None or self._clock() >= self._cached.expires_at:
            raise self._failure()
        return self._cached.value

    def nudge(self) -> None:
        """Have it renewed if it is time."""
        if decide(self._cached, self._failed, self._clock()) in {RefreshAction.USE_AND_RENEW, RefreshAction.WAIT}:
            self._start()

    async def close(self) -> None:
        self.stop()
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task

    def stop(self) -> None:
        """Fetches nothing from now on. Whoever waits gets a ``CredentialFailure``."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def _wait(self) -> None:
        """Until the attempt has ended. A request that goes does not end it for others, and its end ends no request."""
        self._start()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _start(self) -> None:
        if not self._stopped and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                self._cached = await self._fetch()
        except Exception as error:  # whatever a credential's library raises
            self._note(explain_failure(error))
        else:
            failures = 0 if self._failed is None else self._failed.failures
            self._observer.credential_refreshed(credential=self._what, failures=failures)
            self._failed = None

    def _note(self, failure: CredentialFailure) -> None:
        failures = 1 if self._failed is None else self._failed.failures + 1
        rest = rest_seconds(failures, failure.retry_after, self._longest_rest, self._random)
        is_news = self.refresh_failure != failure.reason
        self._observer.credential_failed(
            credential=self._what, reason=failure.reason, failures=failures, is_news=is_news
        )
        self._failed = RefreshFailure(failures, failure.reason, self._clock() + rest, failure.forbidden)

    def _failure(self) -> CredentialFailure:
        refresh_failure = self._failed
        if self._stopped:
            return CredentialFailure("the settings name this credential no more")
        if refresh_failure is None:  # what was fetched is over already
            return CredentialFailure("the issuer's clock is wrong: what it gave had expired")
        return CredentialFailure(refresh_failure.reason, forbidden=refresh_failure.forbidden)
