"""The way to the backends: one HTTP session, limits on what comes back, and a breaker for each of them."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from signalr_bridge.upstream.forward.breaker import Breaker
from signalr_bridge.upstream.forward.reply import BackendFailed, NeverArrived, NoAnswer, Reply, Spared

_LOG = logging.getLogger("signalr_bridge.upstream")

LARGEST_ANSWER = 16 * 1024 * 1024
"""In bytes."""
# Less than the 5 s after which common servers hang up: a call on a connection that has just gone would be lost.
_IDLE_SECONDS = 3
# Raised before the first byte of the request went out; UnicodeError by a host name that DNS cannot have.
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL, UnicodeError)


class Backends:
    """The connections to all backends; open while the ``async with`` block runs. ``clock``: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._breakers: dict[str, Breaker] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # No limit: events of different connections do not wait for each other.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS, ttl_dns_cache=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": "signalr-bridge", "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        self._session = None

    async def post(
        self, origin: str, url: str, body: bytes, headers: Mapping[str, str], seconds: float, *, patient: bool = True
    ) -> Reply:
        """One call of a completely escaped URL. Raises ``BackendFailed`` in its kinds.

        Without ``patient`` so little time was left that a time-out says nothing of the backend at ``origin``.
        """
        breaker = self._breakers.get(origin) or self._breakers.setdefault(origin, Breaker())
        was_open = breaker.is_open
        if not breaker.allow(self._clock()):
            raise Spared("The backend is not called for a moment: it did not answer several times in a row.")
        try:
            reply = await self._post_in_time(url, body, headers, seconds)
            breaker.record_answer()
        except TimeoutError:
            if patient:
                breaker.record_failure(self._clock())
            raise NoAnswer(f"The backend did not answer within {seconds:.3g} s.") from None
        except (NeverArrived, NoAnswer):
            breaker.record_failure(self._clock())
            raise
        except BackendFailed:
            breaker.record_answer()
            raise
        finally:
            breaker.forget()
            _log_change(origin, was_open, breaker)
        return reply

    async def _post_in_time(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
        try:
            async with asyncio.timeout(seconds):
                return await self._post(url, body, headers)
        except _NEVER_SENT as error:
            raise NeverArrived(_describe(error)) from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError) as error:
            raise NoAnswer(_describe(error)) from None
        except aiohttp.ClientError as error:
            raise BackendFailed(_describe(error)) from None  # an answer, but no HTTP

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if self._session is None:
            raise RuntimeError("the backends are not open")
        async with self._session.post(
            URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
        ) as response:
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return Reply(response.status, media_type, await _read(response), _read_retry_after(response.headers))


def _log_change(origin: str, was_open: bool, breaker: Breaker) -> None:
    if breaker.is_open and not was_open:
        _LOG.warning("backend does not answer and is spared", extra={"backend": origin})
    elif was_open and not breaker.is_open:
        _LOG.warning("backend answers again", extra={"backend": origin})


def _describe(error: Exception) -> str:
    # Not its text, nor the error as cause: they can hold the URL, and that a key.
    return f"The backend gave no answer ({type(error).__name__})."


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = response.content_length or 0
    if size <= LARGEST_ANSWER:
        size = 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_ANSWER:
                break
    if size > LARGEST_ANSWER:
        raise BackendFailed(f"The backend's answer has more than {LARGEST_ANSWER:,} bytes.")
    return b"".join(chunks)


def _read_retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
