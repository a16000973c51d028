"""The one way out by HTTP: connections that are kept, bounded reads, and errors that say whether the request went out.

Its users know nothing of the library inside. All of them call without cookies, without proxies from the environment,
without following redirects, and with as many connections as it takes.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL


class CallFailed(Exception):
    """A call got no response that can be used.

    The text is the kind of failure, in one word. It never holds the URL, which may hold a key.
    """


class NotSent(CallFailed):
    """Certainly nothing of the request went out: refused, no such host, no TLS, no connection in time, no valid URL."""


class NoResponse(CallFailed):
    """The request may have been received: the connection broke, or the response did not come, or not all of it."""


class TimedOut(NoResponse):
    """The time was over after the connection had been made."""


class BadResponse(CallFailed):
    """Something came that is not an HTTP response, or not one that is taken."""


class ResponseTooLarge(BadResponse):
    """The body has more bytes than its reader takes."""


# Raised before the first byte of the request went out; UnicodeError by a host name that DNS cannot have.
_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    UnicodeError,
)
_FAILURES = (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, ConnectionError)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client differs from others.

    Args:
        idle_seconds: How long an idle connection is kept. Where the server hangs up at about the same time, a request
            on a connection that has just gone is lost, so this is less than the server's own time.
        dns_seconds: How long the addresses of a name are remembered.
        headers: Headers of every request.
        omit_headers: Names of headers that would be added by themselves and are not.
        decompress: Whether a compressed body is unpacked.
        tls: Whom to believe, instead of those that this machine believes.
    """

    idle_seconds: float = 15.0
    dns_seconds: int = 10
    headers: Mapping[str, str] = field(default_factory=dict)
    omit_headers: tuple[str, ...] = ()
    decompress: bool = False
    tls: ssl.SSLContext | None = None


class Response:
    """The head of a response, and its body for whoever wants it. It lives as long as its request's block."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        """A name is found in any case."""

    async def read(self, largest: int) -> bytes:
        """The whole body, of at most ``largest`` bytes. Raises ``NoResponse`` and ``BadResponse``."""
        if (self._response.content_length or 0) > largest:
            raise ResponseTooLarge("ResponseTooLarge")
        body = bytearray()
        try:
            async for piece in self._response.content.iter_any():
                body += piece
                if len(body) > largest:
                    raise ResponseTooLarge("ResponseTooLarge")
        except _FAILURES as error:
            raise _explain_sent(error) from None
        return bytes(body)


class Client:
    """Makes requests between ``open`` and ``close``, or inside an ``async with`` block. It may be opened again."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None

    @property
    def is_open(self) -> bool:
        return self._session is not None

    def open(self) -> None:
        """Does nothing when open. It needs a running event loop."""
        if self._session is not None:
            return
        options = self._options
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=options.idle_seconds,
                ttl_dns_cache=options.dns_seconds,
                ssl=True if options.tls is None else options.tls,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=options.headers,
            skip_auto_headers=options.omit_headers,
            trust_env=False,
            auto_decompress=options.decompress,
        )

    async def close(self) -> None:
        """End all connections. Does nothing when closed."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        seconds: float | None = None,
    ) -> AsyncIterator[Response]:
        """The response to one request. A body that has not been read when the block ends is dropped.

        Args:
            url: Completely escaped; it goes out as it is.
            headers: Besides those of the options.
            seconds: How long connecting, the request and the whole response may take together. None: as long as the
                caller waits, who may cancel.

        Raises:
            NotSent, NoResponse, BadResponse: As they say.
            ValueError: For a header that HTTP cannot carry. Nothing was sent.
        """
        response = await self._send(method, url, headers, body, seconds)
        try:
            yield Response(response)
        finally:
            response.release()
            await response.wait_for_close()

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float | None
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the HTTP client is not open")
        target, timeout = _to_url(url), _to_timeout(seconds)
        try:
            return await self._session.request(
                method, target, data=body, headers=headers, allow_redirects=False, timeout=timeout
            )
        except _NOT_SENT as error:
            raise NotSent(type(error).__name__) from None
        except _FAILURES as error:
            raise _explain_sent(error) from None


def _to_url(text: str) -> URL:
    try:
        url = URL(text, encoded=True)
        if url.raw_host:  # which looks at the port as well
            return url
    except ValueError:
        pass
    raise NotSent("InvalidURL")


def _to_timeout(seconds: float | None) -> aiohttp.ClientTimeout:
    """Connecting ends a little earlier than all, and so says by its own error that nothing was sent."""
    if seconds is None:
        return aiohttp.ClientTimeout(total=None)
    # Without the threshold aiohttp rounds moments up to whole seconds.
    return aiohttp.ClientTimeout(total=seconds, connect=seconds * 0.9, ceil_threshold=seconds + 1)


def _explain_sent(error: Exception) -> CallFailed:
    """What became of a request that may have gone out."""
    kind = type(error).__name__
    match error:
        case TimeoutError():
            return TimedOut(kind)
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError():
            return NoResponse(kind)
        case aiohttp.ClientError():
            return BadResponse(kind)
    return NoResponse(kind)


def read_retry_after(text: str) -> float | None:
    """The seconds that a ``Retry-After`` asks for, of which there are less than 100,000. A date is not taken.

    Source: https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3.
    """
    text = text.strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
