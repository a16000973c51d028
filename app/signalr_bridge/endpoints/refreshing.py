"""Tokens and keys that expire: they are cached, and refreshed ahead of time so that requests need not wait."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from signalr_bridge.runtime import Random, WallClock
from signalr_bridge.web.observer import Observer
from signalr_bridge.wire.client import read_retry_after

T = TypeVar("T")

_AHEAD_SECONDS = 600.0
_PAUSE_SECONDS = 60.0
_FIRST_REST, _LONGEST_WISH = 1.0, 600.0
"""Seconds: the first rest after a failure, and the longest one that an issuer may ask for."""


@dataclass(frozen=True, slots=True)
class CachedToken(Generic[T]):
    """A value, when it is to be refreshed, and when it expires. Times are seconds since 1970."""

    value: T = field(repr=False)
    refresh_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class RefreshFailure:
    """How often refreshing has failed in a row, why the last time, and when it is tried again.

    ``retry_at`` is in seconds since 1970. ``forbidden`` is that of ``CredentialFailure``.
    """

    failures: int
    reason: str
    retry_at: float
    forbidden: bool = False


class RefreshAction(Enum):
    """What a request does about the value it needs."""

    USE = "use the cached value"
    USE_AND_REFRESH = "use the cached value, and have it refreshed in the meantime"
    WAIT = "have it refreshed, and wait"
    REFUSE = "fail, because refreshing has just failed"


def decide(cached: CachedToken[T] | None, failure: RefreshFailure | None, now: float) -> RefreshAction:
    """What to do about a value, with what is cached, and the last attempt's failure. ``now`` is seconds since 1970."""
    resting = failure is not None and now < failure.retry_at
    if cached is None or now >= cached.expires_at:
        return RefreshAction.REFUSE if resting else RefreshAction.WAIT
    return RefreshAction.USE_AND_REFRESH if now >= cached.refresh_at and not resting else RefreshAction.USE


def cache_token(value: T, expires_at: float, now: float, refresh_at: float | None = None) -> CachedToken[T]:
    """A token with the time of its refresh. All times are seconds since 1970.

    It is refreshed when the issuer proposes (``refresh_at``), else ten minutes before its end, or after half of a short
    life. It is never refreshed at once, because an issuer with a cache gives the same token until shortly before its
    end.
    """
    half = max((expires_at - now) / 2, 0.0)
    planned = expires_at - min(_AHEAD_SECONDS, half) if refresh_at is None else refresh_at
    return CachedToken(value, max(planned, now + min(_PAUSE_SECONDS, half)), expires_at)


def rest_seconds(failures: int, retry_after: float | None, longest: float, random: Random) -> float:
    """Seconds until the issuer is asked again.

    Args:
        failures: How many attempts failed in a row. The rest doubles with each, with jitter.
        retry_after: Seconds that the issuer asked for.
        longest: The most seconds, unless the issuer asked for more.
        random: Gives 0 to 1.
    """
    backoff = min(_FIRST_REST * float(1 << min(failures - 1, 16)), longest)
    return max(backoff * (0.5 + random() / 2), min(retry_after or 0.0, _LONGEST_WISH))


class CredentialFailure(Exception):
    """A credential cannot be had. ``reason`` may be shown. ``retry_after`` are the seconds that the issuer asked for.

    ``forbidden`` means that the service itself refused to issue a key, because the identity's role does not allow it.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, forbidden: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.retry_after, self.forbidden = reason, retry_after, forbidden


def explain_failure(error: Exception) -> CredentialFailure:
    """The failure for whatever a library raised."""
    if isinstance(error, CredentialFailure):
        return error
    if isinstance(error, TimeoutError | asyncio.IncompleteReadError):
        return CredentialFailure("no answer in time")
    response: Any = find_response(error)
    if response is None:
        return CredentialFailure(f"failed: {type(error).__name__}")
    retry_after = read_retry_after(response.headers)
    return CredentialFailure(f"status {int(response.status_code)}", retry_after=retry_after)


def find_response(error: BaseException | None) -> Any:
    """The HTTP response behind an error of Azure's libraries, perhaps by way of other errors. None without one."""
    for _ in range(8):
        if error is None:
            return None
        response = getattr(error, "response", None)
        if response is not None and hasattr(response, "status_code"):
            return response
        error = error.__cause__ or error.__context__
    return None


class Renewals(Protocol):
    """How often one token or key was renewed."""

    @property
    def renewals(self) -> Mapping[str, int]:
        """How many attempts there were: ``done``, ``refused`` where the issuer forbids it, and ``failed``."""
        ...

    @property
    def expires_at(self) -> float | None:
        """When the value expires, in seconds since 1970. None when there is none."""
        ...


class RefreshingToken(Generic[T]):
    """A value that is refreshed before it expires. Only one attempt runs at a time.

    Args:
        what: What the log calls it.
        fetch: Gets a new value.
        clock: Gives seconds since 1970.
        random: Gives 0 to 1.
        seconds: How long one attempt may take.
        longest_rest: The most seconds between two attempts while the issuer fails.
        observer: Is told of each refresh.
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
        observer: Observer,
    ) -> None:
        self._what, self._fetch = what, fetch
        self._clock, self._random = clock, random
        self._seconds, self._longest_rest = seconds, longest_rest
        self._observer = observer
        self._cached: CachedToken[T] | None = None
        self._failed: RefreshFailure | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._renewals = {"done": 0, "refused": 0, "failed": 0}

    @property
    def renewals(self) -> Mapping[str, int]:
        """How many attempts there were, by their results."""
        return self._renewals

    @property
    def expires_at(self) -> float | None:
        """When the value expires, in seconds since 1970. None when there is none."""
        return None if self._cached is None else self._cached.expires_at

    @property
    def refresh_failure(self) -> str | None:
        """Why the last attempt failed. None when it did not."""
        return None if self._failed is None else self._failed.reason

    def ready(self) -> T | None:
        """The value while it is valid, and else None. It is refreshed in the meantime when it is time."""
        action = decide(self._cached, self._failed, self._clock())
        if action is RefreshAction.USE_AND_REFRESH:
            self._start()
        is_valid = action in {RefreshAction.USE, RefreshAction.USE_AND_REFRESH}
        return self._cached.value if is_valid and self._cached is not None else None

    async def get(self) -> T:
        """The value. This does not wait while the old value is valid. Raises ``CredentialFailure``."""
        action = decide(self._cached, self._failed, self._clock())
        if action is RefreshAction.WAIT:
            await self._wait()
        elif action is RefreshAction.USE_AND_REFRESH:
            self._start()
        if self._cached is None or self._clock() >= self._cached.expires_at:
            raise self._failure()
        return self._cached.value

    def nudge(self) -> None:
        """Starts a refresh if it is time, without waiting."""
        if decide(self._cached, self._failed, self._clock()) in {RefreshAction.USE_AND_REFRESH, RefreshAction.WAIT}:
            self._start()

    async def close(self) -> None:
        """Fetches nothing from now on, and waits until a refresh that is running has ended."""
        self.stop()
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task

    def stop(self) -> None:
        """Fetches nothing from now on. Requests that wait get a ``CredentialFailure``."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def _wait(self) -> None:
        """Waits until the attempt has ended. A cancelled request does not cancel the attempt."""
        self._start()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _start(self) -> None:
        if not self._stopped and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                self._cached = await self._fetch()
        except Exception as error:  # whatever a credential's library raises
            self._note(explain_failure(error))
        else:
            failures = 0 if self._failed is None else self._failed.failures
            self._renewals["done"] += 1
            self._observer.credential_refreshed(credential=self._what, failures=failures)
            self._failed = None

    def _note(self, failure: CredentialFailure) -> None:
        failures = 1 if self._failed is None else self._failed.failures + 1
        rest = rest_seconds(failures, failure.retry_after, self._longest_rest, self._random)
        is_news = self.refresh_failure != failure.reason
        self._renewals["refused" if failure.forbidden else "failed"] += 1
        self._observer.credential_failed(
            credential=self._what, reason=failure.reason, failures=failures, is_news=is_news
        )
        self._failed = RefreshFailure(failures, failure.reason, self._clock() + rest, failure.forbidden)

    def _failure(self) -> CredentialFailure:
        failed = self._failed
        if self._stopped:
            return CredentialFailure("the settings name this credential no more")
        if failed is None:  # what was fetched has expired already
            return CredentialFailure("the issuer's clock is wrong: what it gave had expired")
        return CredentialFailure(failed.reason, forbidden=failed.forbidden)
