"""The HTTP client for all calls: kept connections, bounded reads, and errors that say whether the request went out.

It hides the library that it uses. It sends no cookies, takes no proxies from the environment, follows no redirects, and
opens as many connections as are needed.
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

# Raised before the first byte of the request went out. A host name that DNS cannot have raises UnicodeError.
_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    UnicodeError,
)
_FAILURES = (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, ConnectionError)


class CallFailed(Exception):
    """A call got no response that can be used.

    The text is the kind of failure, in one word. It never holds the URL, which may hold a key.
    """


class NotSent(CallFailed):
    """Nothing of the request went out. There was no such host, connection, TLS or valid URL, or not in time."""


class NoResponse(CallFailed):
    """The request may have been received. The connection broke, or the response did not come, or not all of it."""


class TimedOut(NoResponse):
    """The response did not come in time, after the connection had been made."""


class BadResponse(CallFailed):
    """What came is not an HTTP response, or not one that is taken."""


class ResponseTooLarge(BadResponse):
    """The body has more bytes than its reader takes."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client differs from others.

    Args:
        idle_seconds: How long an idle connection is kept. This must be less than the server's own time. Otherwise a
            request is lost when the server closes the connection at the same moment.
        dns_seconds: How long the addresses of a name are remembered.
        headers: Headers of every request.
        omit_headers: Names of headers that the library would add, and that are left out.
        decompress: Whether a compressed body is unpacked.
        tls: The certificates that are trusted, instead of those that this machine trusts.
    """

    idle_seconds: float = 15.0
    dns_seconds: int = 10
    headers: Mapping[str, str] = field(default_factory=dict)
    omit_headers: tuple[str, ...] = ()
    decompress: bool = False
    tls: ssl.SSLContext | None = None


class Response:
    """The head of a response, and its body on demand. It can be used inside its request's block."""

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
        """Whether requests can be made."""
        return self._session is not None

    def open(self) -> None:
        """Begin to keep connections. It needs a running event loop. It does nothing when the client is open."""
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
        """End all connections. It does nothing when the client is closed."""
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
            method: The HTTP method.
            url: The URL, completely escaped. It goes out as it is.
            headers: The headers besides those of the options.
            body: The body, if there is one.
            seconds: How long connecting, the request and the whole response may take together. None means no limit, and
                the caller may cancel.

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
        if url.raw_host:  # this checks the port, too
            return url
    except ValueError:
        pass
    raise NotSent("InvalidURL")


def _to_timeout(seconds: float | None) -> aiohttp.ClientTimeout:
    """The time-outs of a request. Connecting has a little less time, so that its error says that nothing was sent."""
    if seconds is None:
        return aiohttp.ClientTimeout(total=None)
    # Without the threshold aiohttp rounds moments up to whole seconds.
    return aiohttp.ClientTimeout(total=seconds, connect=seconds * 0.9, ceil_threshold=seconds + 1)


def _explain_sent(error: Exception) -> CallFailed:
    """The error of a request that may have gone out."""
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
