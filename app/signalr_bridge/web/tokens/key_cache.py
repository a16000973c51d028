"""The issuer's keys, kept: asked for when one is unknown, but seldom, once at a time, and never for long."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from signalr_bridge.web.tokens.published_key import PublishedKey

_LOG = logging.getLogger("signalr_bridge.tokens")

SECONDS_BETWEEN_FETCHES = 60
"""Anybody can name an unknown key: so often, at most, an issuer that answers is asked."""

FIRST_REST_SECONDS = 2.0
"""After a failure the issuer is left in peace for so long; then for twice as long each time, up to the above."""

FRESH_SECONDS = 3600
"""After this time the keys are asked for again, while the old ones still verify."""

KEPT_SECONDS = 86_400
"""After this time without an answer of the issuer its keys are believed no more: one may have been withdrawn."""

FETCH_SECONDS = 5.0

Fetch = Callable[[], Awaitable[Mapping[str, PublishedKey]]]


class KeyCache:
    """``clock`` gives monotonic seconds; ``fetch`` raises when it fails, and is cut off after ``fetch_seconds``."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float], fetch_seconds: float = FETCH_SECONDS) -> None:
        self._fetch = fetch
        self._clock = clock
        self._fetch_seconds = fetch_seconds
        self._keys: Mapping[str, PublishedKey] = {}
        self._fetched_at = self._next_fetch_at = float("-inf")
        self._rest_seconds = FIRST_REST_SECONDS
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> PublishedKey | None:
        """The key; None when the issuer publishes none with this id, or could not be asked."""
        known = self._known(key_id)
        if known is None or self._age() > FRESH_SECONDS:
            self._start_fetching()
        if known is None and self._fetching is not None:
            await asyncio.wait([self._fetching])  # a caller that goes does not end the fetch for the others
            known = self._known(key_id)
        return known

    def _known(self, key_id: str) -> PublishedKey | None:
        return self._keys.get(key_id) if self._age() <= KEPT_SECONDS else None

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _start_fetching(self) -> None:
        if self._fetching is None and self._clock() >= self._next_fetch_at:
            self._fetching = asyncio.create_task(self._refetch())

    async def _refetch(self) -> None:
        began = self._clock()
        try:
            async with asyncio.timeout(self._fetch_seconds):
                self._keys = await self._fetch()
            self._fetched_at = self._clock()
            self._next_fetch_at = began + SECONDS_BETWEEN_FETCHES
            self._rest_seconds = FIRST_REST_SECONDS
        except Exception as error:  # whatever it is, the door stays shut for unknown keys, and the known ones stay
            _LOG.warning("the token issuer's keys could not be fetched", extra={"error": type(error).__name__})
            self._next_fetch_at = self._clock() + self._rest_seconds  # from the end: a time-out is longer than the rest
            self._rest_seconds = min(self._rest_seconds * 2, SECONDS_BETWEEN_FETCHES)
        finally:
            self._fetching = None
