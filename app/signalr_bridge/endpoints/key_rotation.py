"""A transport around another one: a call that is refused with 401 is tried again with the other credentials.

These are the current ones, the former ones, and those of settings that are read again. The service answers 401 before
it does anything, so even a message may be sent again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from signalr_bridge.endpoints.endpoint import Credential, Endpoint, Outcome, Transport
from signalr_bridge.endpoints.pending import Pending
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.runtime import Clock

KEPT_SECONDS = 600.0
"""How many seconds a former credential is still tried when a newer one is refused."""

_REFUSED = 401


class RecentCredentials:
    """The credentials of each instance, by its URL. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._current: dict[str, list[Credential]] = {}
        self._former: dict[str, list[tuple[Credential, float]]] = {}

    def use(self, endpoints: Iterable[Endpoint]) -> None:
        """Makes the credentials of ``endpoints`` the current ones. Those of an instance that has gone are dropped."""
        before, self._current = self._current, _by_url(endpoints)
        self.forget()
        ends = self._clock() + KEPT_SECONDS
        former = {url: [*self._former.get(url, []), *((one, ends) for one in before.get(url, []))] for url in before}
        self._former = {
            url: kept
            for url, now in self._current.items()
            if (kept := [(one, end) for one, end in former.get(url, []) if one not in now])
        }

    def known(self, url: str) -> Sequence[Credential]:
        """The current credentials of an instance, then those that were current within ``KEPT_SECONDS``."""
        self.forget()
        return [*self._current.get(url, []), *(one for one, _ in reversed(self._former.get(url, [])))]

    @property
    def every(self) -> Sequence[Credential]:
        """All credentials that are current or may still be tried."""
        return [one for url in self._current for one in self.known(url)]

    def forget(self) -> None:
        """Drops the credentials that were replaced more than ``KEPT_SECONDS`` ago."""
        now = self._clock()
        fresh = {url: [(one, end) for one, end in kept if now < end] for url, kept in self._former.items()}
        self._former = {url: kept for url, kept in fresh.items() if kept}


def _by_url(endpoints: Iterable[Endpoint]) -> dict[str, list[Credential]]:
    found: dict[str, list[Credential]] = {}
    for one in endpoints:
        held = found.setdefault(one.url, [])
        if one.credential not in held:
            held.append(one.credential)
    return found


class KeyRotation:
    """A transport that tries the other credentials of an instance when one is refused.

    Args:
        inner: The transport that makes each attempt.
        keys: The credentials of each instance.
        reread: Reads the settings again.
        clock: Gives monotonic seconds.
    """

    def __init__(
        self,
        inner: Transport,
        keys: RecentCredentials,
        *,
        reread: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._inner = inner
        self._keys = keys
        self._reread = reread
        self._clock = clock

    def fits(self, action: Action, message: Message) -> bool:
        """What ``inner`` says of the message. Raises ``MalformedJson``."""
        return self._inner.fits(action, message)

    def begin(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, seconds: float
    ) -> Pending[Outcome]:
        """What ``inner`` says in the end. All attempts together take at most ``seconds``."""
        ends = self._clock() + seconds

        def judge(outcome: Outcome) -> Coroutine[Any, Any, Outcome] | None:
            if outcome.status_code != _REFUSED:
                return None
            return self._try_all_others(endpoint, operation, message, ends, outcome)

        return self._inner.begin(endpoint, operation, message, seconds).follow(judge)

    async def _try_all_others(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, ends: float, outcome: Outcome
    ) -> Outcome:
        tried = [endpoint.credential]
        outcome = await self._try_others(endpoint, operation, message, ends, tried, outcome)
        if outcome.status_code == _REFUSED:
            await self._read_again(ends)
            outcome = await self._try_others(endpoint, operation, message, ends, tried, outcome)
        return outcome

    async def _try_others(
        self,
        endpoint: Endpoint,
        operation: Operation,
        message: Message | None,
        ends: float,
        tried: list[Credential],
        outcome: Outcome,
    ) -> Outcome:
        """The outcome with each credential that was not ``tried`` yet, up to the first that is not refused."""
        for credential in _without(self._keys.known(endpoint.url), tried):
            seconds = ends - self._clock()
            if outcome.status_code != _REFUSED or seconds <= 0:
                break
            tried.append(credential)
            outcome = await self._inner.begin(replace(endpoint, credential=credential), operation, message, seconds)
        return outcome

    async def _read_again(self, ends: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(ends - self._clock(), 0)):
                await self._reread()


def _without(known: Sequence[Credential], tried: Sequence[Credential]) -> list[Credential]:
    return [one for one in known if all(one is not other for other in tried)]
