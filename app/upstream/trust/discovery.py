"""Asks a token issuer for its keys: its discovery documents over TLS, and the keys that they point to."""

import asyncio
import ssl
from collections.abc import Mapping

import httpx

from app.errors import MalformedJson
from app.upstream.trust.published_key import PublishedKey, read_keys, read_keys_address

_DOCUMENTS = ("v2.0/.well-known/openid-configuration", ".well-known/openid-configuration")
"""One for each version of tokens; either may be missing."""

_MOST_BYTES = 1_048_576


class Discovery:
    """``authority`` has no slash at its end. ``certificates``: the issuers of TLS certificates that are believed,
    by default those that httpx brings, or those in ``SSL_CERT_FILE``."""

    def __init__(self, authority: str, tenant: str, certificates: ssl.SSLContext | None = None) -> None:
        self._addresses = [f"{authority}/{tenant}/{path}" for path in _DOCUMENTS]
        self._certificates = certificates or httpx.create_ssl_context()

    async def fetch(self) -> Mapping[str, PublishedKey]:
        """The keys by id. Raises what went wrong when no document led to any."""
        # Redirects are not followed. A client lives for one fetch: there are but a few in an hour.
        async with httpx.AsyncClient(verify=self._certificates) as client:
            answers = await asyncio.gather(
                *(_fetch_keys(client, one) for one in self._addresses), return_exceptions=True
            )
        keys: dict[str, PublishedKey] = {}
        for answer in answers:
            keys |= answer if isinstance(answer, dict) else {}
        if not keys:
            raise next(answer for answer in answers if isinstance(answer, BaseException))
        return keys


async def _fetch_keys(client: httpx.AsyncClient, address: str) -> dict[str, PublishedKey]:
    return read_keys(await _get(client, read_keys_address(await _get(client, address))))


async def _get(client: httpx.AsyncClient, address: str) -> bytes:
    body = bytearray()
    async with client.stream("GET", address) as response:
        response.raise_for_status()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _MOST_BYTES:
                raise MalformedJson("The token issuer's answer is too large.")
    return bytes(body)
