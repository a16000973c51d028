"""Something that expires and is renewed ahead of time, by one attempt at a time: nobody waits without need."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from signalr_bridge.endpoints.credentials.failure import CredentialFailure, explain_failure
from signalr_bridge.endpoints.credentials.renewal import Held, Step, Trouble, decide, rest_seconds

T = TypeVar("T")
_LOG = logging.getLogger("signalr_bridge.credentials")


class Renewed(Generic[T]):
    """``fetch`` gets a new value and may take ``seconds``. ``clock`` gives seconds since 1970, ``random`` 0 to 1.

    ``what`` says in a log what it is; ``longest_rest`` is how long at most, in seconds, a failing issuer is left alone.
    """

    def __init__(
        self,
        what: str,
        fetch: Callable[[], Awaitable[Held[T]]],
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        seconds: float,
        longest_rest: float = 30.0,
    ) -> None:
        self._what, self._fetch = what, fetch
        self._clock, self._random = clock, random
        self._seconds, self._longest_rest = seconds, longest_rest
        self._held: Held[T] | None = None
        self._trouble: Trouble | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> str | None:
        """Why the last attempt failed; None when it did not."""
        return None if self._trouble is None else self._trouble.reason

    async def get(self) -> T:
        """At once while the old value is good. Raises ``CredentialFailure``."""
        step = decide(self._held, self._trouble, self._clock())
        if step is Step.WAIT:
            await asyncio.shield(self._start())
        elif step is Step.USE_AND_RENEW:
            self._start()
        if self._held is None or self._clock() >= self._held.expires_at:
            raise self._failure()
        return self._held.value

    def nudge(self) -> None:
        """Have it renewed if it is time."""
        if decide(self._held, self._trouble, self._clock()) in {Step.USE_AND_RENEW, Step.WAIT}:
            self._start()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _start(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._renew())
        return self._task

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                self._held = await self._fetch()
        except Exception as error:  # whatever a credential's library raises
            self._note(explain_failure(error))
        else:
            if self._trouble is not None:
                _LOG.info("credential is back", extra={"credential": self._what})
            self._trouble = None

    def _note(self, failure: CredentialFailure) -> None:
        failures = 1 if self._trouble is None else self._trouble.failures + 1
        rest = rest_seconds(failures, failure.retry_after, self._longest_rest, self._random)
        if self.trouble != failure.reason:
            _LOG.warning("no credential", extra={"credential": self._what, "why": failure.reason})
        self._trouble = Trouble(failures, failure.reason, self._clock() + rest, failure.forbidden)

    def _failure(self) -> CredentialFailure:
        trouble = self._trouble
        if trouble is None:  # what was fetched is over already
            return CredentialFailure("the issuer's clock is wrong: what it gave had expired")
        return CredentialFailure(trouble.reason, forbidden=trouble.forbidden)
