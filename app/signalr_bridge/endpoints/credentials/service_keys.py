"""What the service issues to an identity, fetched: a key that signs clients' tokens, or a whole token."""

import asyncio
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from signalr_bridge.endpoints.credentials.failure import CredentialFailure, read_retry_after
from signalr_bridge.errors import MalformedMessage
from signalr_bridge.protocol.issued_key import (
    KEY_PATH,
    IssuedKey,
    TokenRequest,
    read_generated_token,
    read_issued_key,
    write_token_request,
)

_LARGEST_ANSWER = 64 * 1024


class ServiceKeys:
    """Over one session for all endpoints, opened when it is needed and closed with the application."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch_key(self, server_url: str, token: str) -> IssuedKey:
        """Raises ``CredentialFailure``."""
        try:
            return read_issued_key(await self._ask("GET", server_url + KEY_PATH, token))
        except MalformedMessage:
            raise CredentialFailure("the answer holds no signing key") from None

    async def generate_token(self, server_url: str, request: TokenRequest, token: str) -> str:
        """Raises ``CredentialFailure``."""
        try:
            return read_generated_token(await self._ask("POST", server_url + write_token_request(request), token))
        except MalformedMessage:
            raise CredentialFailure("the answer holds no token") from None

    async def _ask(self, method: str, url: str, token: str) -> bytes:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._open().request(
                method, URL(url, encoded=True), headers=headers, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise _refuse(response)
                return await _read_body(response)
        except (aiohttp.ClientError, ConnectionError, UnicodeError, asyncio.IncompleteReadError) as error:
            raise CredentialFailure(f"signing key: {type(error).__name__}") from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        return self._session


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _LARGEST_ANSWER:
            raise CredentialFailure("signing key: the answer is too large")
    return bytes(body)


def _refuse(response: aiohttp.ClientResponse) -> CredentialFailure:
    return CredentialFailure(
        f"signing key: status {response.status}",
        retry_after=read_retry_after(response.headers.get("Retry-After", "")),
        forbidden=response.status == 403,
    )
