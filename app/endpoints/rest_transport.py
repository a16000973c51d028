"""Operations over the service's REST API, and what its answers mean."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from app.endpoints.endpoint import Endpoint
from app.endpoints.outcome import Outcome, Verdict
from app.protocol.rest import ABSENT_CODES, ERROR_CODE_HEADER, Operation, write_path, write_target
from app.web.trace import trace_headers

# Raised before the first byte of the request went out; UnicodeError by a host name that DNS cannot have.
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL, UnicodeError)


class RestTransport:
    """Calls the service over one session, opened and closed with the application."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = _open_session()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def perform(self, endpoint: Endpoint, operation: Operation, body: bytes | None, seconds: float) -> Outcome:
        try:
            return await self._request(endpoint, operation, body, seconds)
        except _NEVER_SENT:
            return _outcome(endpoint, Verdict.UNREACHABLE)
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return _outcome(endpoint, Verdict.UNKNOWN)

    async def _request(self, endpoint: Endpoint, operation: Operation, body: bytes | None, seconds: float) -> Outcome:
        assert self._session is not None, "the transport is used before the application has started"
        target = write_target(operation)
        token = await endpoint.credential.rest_token(endpoint.server_url + write_path(target))
        headers = {"Authorization": f"Bearer {token}"} | trace_headers()
        if body is not None:
            headers["Content-Type"] = "application/json"
        async with self._session.request(
            operation.action.method,
            URL(endpoint.server_url + target, encoded=True),
            data=body,
            headers=headers,
            allow_redirects=False,
            # Connecting ends a little earlier than all, and so says by its own error that nothing was sent.
            timeout=aiohttp.ClientTimeout(total=seconds, connect=seconds * 0.9, ceil_threshold=seconds + 1),
        ) as response:
            outcome = read_answer(endpoint, operation, response.status, response.headers)
            await response.release()
            return outcome


def _open_session() -> aiohttp.ClientSession:
    """No proxies from the environment, no cookies, as many connections as it takes."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    )


def read_answer(endpoint: Endpoint, operation: Operation, status: int, headers: Mapping[str, str]) -> Outcome:
    """What an HTTP answer of the service means. Source: ``spec/rest-and-management.md`` 5.3 and 10.3."""
    if 200 <= status < 300:
        return _outcome(endpoint, Verdict.ACCEPTED)
    if status == 404:
        absent = headers.get(ERROR_CODE_HEADER, "").strip().lower() in ABSENT_CODES
        return _outcome(endpoint, Verdict.ABSENT) if absent else _rejected(endpoint, status, "endpoint-misrouted")
    if status in {401, 403}:
        return _rejected(endpoint, status, "denied")
    if status in {429, 503}:
        return _rejected(endpoint, status, "throttled", _read_retry_after(headers))
    if status >= 500 and operation.action.is_message:
        return Outcome(endpoint.name, endpoint.endpoint_type, Verdict.UNKNOWN, status)
    return _rejected(endpoint, status, None)


def _outcome(endpoint: Endpoint, verdict: Verdict) -> Outcome:
    return Outcome(endpoint.name, endpoint.endpoint_type, verdict)


def _rejected(endpoint: Endpoint, status: int, code: str | None, retry_after: float | None = None) -> Outcome:
    return Outcome(endpoint.name, endpoint.endpoint_type, Verdict.REJECTED, status, code, retry_after)


def _read_retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
