"""Asks a token issuer for its keys: its discovery documents over TLS, and the keys that they point to."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence

import httpx

from signalr_bridge.errors import MalformedJson
from signalr_bridge.web.tokens.published_key import PublishedKey, read_keys, read_keys_address

WELL_KNOWN = ".well-known/openid-configuration"
_MOST_BYTES = 1_048_576


class Discovery:
    """``documents`` are the addresses of an issuer's discovery documents, of which some may be missing; with
    ``issuer`` they must say that they are its own. ``certificates``: the issuers of TLS certificates that are believed,
    by default those that httpx brings, or those in ``SSL_CERT_FILE``."""

    def __init__(
        self, documents: Sequence[str], certificates: ssl.SSLContext | None = None, *, issuer: str | None = None
    ) -> None:
        self._documents = tuple(documents)
        self._certificates = certificates or httpx.create_ssl_context()
        self._issuer = issuer

    async def fetch(self) -> Mapping[str, PublishedKey]:
        """The keys by id. Raises what went wrong when no document led to any."""
        # Redirects are not followed. A client lives for one fetch: there are but a few in an hour.
        async with httpx.AsyncClient(verify=self._certificates) as client:
            answers = await asyncio.gather(
                *(self._fetch_keys(client, one) for one in self._documents), return_exceptions=True
            )
        keys: dict[str, PublishedKey] = {}
        for answer in answers:
            keys |= answer if isinstance(answer, dict) else {}
        if not keys:
            raise next(answer for answer in answers if isinstance(answer, BaseException))
        return keys

    async def _fetch_keys(self, client: httpx.AsyncClient, document: str) -> dict[str, PublishedKey]:
        return read_keys(await _get(client, read_keys_address(await _get(client, document), self._issuer)))


def openid_discovery(issuer: str, certificates: ssl.SSLContext | None = None) -> Discovery:
    """Of an OpenID Connect issuer, whose document stands at its own address (OpenID Connect Discovery, 4)."""
    return Discovery([f"{issuer.rstrip('/')}/{WELL_KNOWN}"], certificates, issuer=issuer)


async def _get(client: httpx.AsyncClient, address: str) -> bytes:
    body = bytearray()
    async with client.stream("GET", address) as response:
        response.raise_for_status()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _MOST_BYTES:
                raise MalformedJson("The token issuer's answer is too large.")
    return bytes(body)
