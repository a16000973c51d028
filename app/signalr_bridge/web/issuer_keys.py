"""The public keys of token issuers. They are found by discovery and cached, and fetched seldom, one fetch at a time."""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from signalr_bridge.errors import BadToken, MalformedJson
from signalr_bridge.runtime import Clock, WallClock
from signalr_bridge.tracing import Called, tracing_call
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.tokens import (
    LEEWAY_SECONDS,
    Claims,
    PublishedKey,
    TokenRules,
    check_times,
    choose_rules,
    find_issuer,
    read_claims,
    read_keys,
    read_keys_address,
    take_apart,
    verify,
)
from signalr_bridge.wire.proxies import read_proxies

SECONDS_BETWEEN_FETCHES = 60
"""Least seconds between two fetches that succeed. Any token can name an unknown key, so fetches must be limited."""

FIRST_REST_SECONDS = 2.0
"""Seconds without a fetch after a failure. They double with each failure, up to ``SECONDS_BETWEEN_FETCHES``."""

FRESH_SECONDS = 3600
"""After so many seconds the keys are fetched again, while the old ones still verify."""

KEPT_SECONDS = 86_400
"""After so many seconds without an answer of the issuer its keys are not trusted. One may have been withdrawn."""

FETCH_SECONDS = 5.0
"""How long a fetch may take."""

Fetch = Callable[[], Awaitable[Mapping[str, PublishedKey]]]
"""Fetches an issuer's keys by id."""

WELL_KNOWN = ".well-known/openid-configuration"
_MOST_BYTES = 1_048_576


class KeyCache:
    """The keys of one issuer, which are fetched when they are needed.

    Args:
        fetch: Fetches the keys. It raises when it fails.
        clock: Gives monotonic seconds.
        fetch_seconds: After so many seconds a fetch is cancelled.
        issuer: The issuer's name, for the observer.
        observer: Is told of each fetch.
    """

    def __init__(
        self,
        fetch: Fetch,
        clock: Clock,
        fetch_seconds: float = FETCH_SECONDS,
        *,
        issuer: str = "",
        observer: Observer,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._fetch_seconds = fetch_seconds
        self._issuer, self._observer = issuer, observer
        self._keys: Mapping[str, PublishedKey] = {}
        self._fetched_at = self._next_fetch_at = float("-inf")
        self._rest_seconds = FIRST_REST_SECONDS
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> PublishedKey | None:
        """The key with this id. None when the issuer does not publish it, or could not be asked."""
        known = self._known(key_id)
        if known is None or self._age() > FRESH_SECONDS:
            self._start_fetching()
        if known is None and self._fetching is not None:
            await asyncio.wait([self._fetching])  # a caller that disconnects does not end the fetch for the others
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
            self._observer.keys_fetched(issuer=self._issuer, seconds=self._fetched_at - began)
        except Exception as error:  # whatever it is, unknown keys stay refused, and the known ones stay
            ended = self._clock()
            self._observer.key_fetch_failed(issuer=self._issuer, error=type(error).__name__, seconds=ended - began)
            self._next_fetch_at = ended + self._rest_seconds  # from the end: a time-out is longer than the rest
            self._rest_seconds = min(self._rest_seconds * 2, SECONDS_BETWEEN_FETCHES)
        finally:
            self._fetching = None


class Discovery:
    """Fetches keys by way of discovery documents.

    Args:
        documents: The addresses of an issuer's discovery documents, of which some may be missing.
        certificates: Which TLS certificates are trusted. By default those of httpx, or those in ``SSL_CERT_FILE``.
        issuer: If given, the documents must name this issuer.
    """

    def __init__(
        self, documents: Sequence[str], certificates: ssl.SSLContext | None = None, *, issuer: str | None = None
    ) -> None:
        self._documents = tuple(documents)
        self._certificates = certificates or httpx.create_ssl_context()
        self._issuer = issuer

    async def fetch(self) -> Mapping[str, PublishedKey]:
        """The keys by id. Raises what went wrong when no document led to a key."""
        answers = await asyncio.gather(*(self._fetch_keys(one) for one in self._documents), return_exceptions=True)
        keys: dict[str, PublishedKey] = {}
        for answer in answers:
            keys |= answer if isinstance(answer, dict) else {}
        if not keys:
            raise next(answer for answer in answers if isinstance(answer, BaseException))
        return keys

    async def _fetch_keys(self, document: str) -> dict[str, PublishedKey]:
        return read_keys(await self._get(read_keys_address(await self._get(document), self._issuer)))

    async def _get(self, address: str) -> bytes:
        # Redirects are not followed. A client lives for one request, because there are only a few in an hour.
        # httpx does not read the environment: it fails at entries of NO_PROXY such as fd00::/8, and knows no networks.
        client = httpx.AsyncClient(verify=self._certificates, trust_env=False, proxy=_find_proxy(address))
        async with client:
            return await _get(client, address)


def openid_discovery(issuer: str, certificates: ssl.SSLContext | None = None) -> Discovery:
    """The discovery of an OpenID Connect issuer. Source: OpenID Connect Discovery 1.0, section 4."""
    return Discovery([f"{issuer.rstrip('/')}/{WELL_KNOWN}"], certificates, issuer=issuer)


def _find_proxy(address: str) -> httpx.Proxy | None:
    """The proxy for an address, by the same rules as for calls to the service."""
    url, proxies = httpx.URL(address), read_proxies(os.environ)
    if proxies is None or url.scheme != "https":
        return None
    proxy = proxies.find(url.host, url.port or 443)
    if proxy is None:
        return None
    headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    return httpx.Proxy(httpx.URL(scheme="http", host=proxy.host, port=proxy.port), headers=headers)


async def _get(client: httpx.AsyncClient, address: str) -> bytes:
    body = bytearray()
    parts = urlsplit(address)
    with tracing_call("GET", f"{parts.scheme}://{parts.netloc}", Called(parts.path, "identity")):
        async with client.stream("GET", address) as response:
            response.raise_for_status()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    raise MalformedJson("The token issuer's answer is too large.")
    return bytes(body)


@dataclass(frozen=True, slots=True)
class Verified:
    """The claims of a verified token, and the rules that the token fulfils."""

    rules: TokenRules
    claims: Claims = field(repr=False)


class IssuerKeys:
    """A key cache for each issuer, shared by all rules that name it. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Clock, make: Callable[[str], KeyCache] | None = None, *, observer: Observer) -> None:
        self._caches: dict[str, KeyCache] = {}
        self._make = make or (
            lambda issuer: KeyCache(openid_discovery(issuer).fetch, clock, issuer=issuer, observer=observer)
        )

    def of(self, issuer: str) -> KeyCache:
        """The key cache of an issuer."""
        if issuer not in self._caches:
            self._caches[issuer] = self._make(issuer)
        return self._caches[issuer]


class Issuers:
    """Verifies tokens by rules. ``clock`` gives seconds since 1970."""

    def __init__(self, rules: Sequence[TokenRules], keys: IssuerKeys, clock: WallClock) -> None:
        self.rules = tuple(rules)
        self._keys = keys
        self._clock = clock

    async def check(self, token: str) -> Verified:
        """The claims of a token, once it has been verified. Raises ``BadToken`` with the reason."""
        found = take_apart(token)
        issuer = find_issuer(read_claims(found), self.rules)
        key = await self._keys.of(issuer).find(found.key_id)
        if key is None:
            raise BadToken("the issuer publishes no such key, or cannot be asked")
        verify(found, key)
        claims = read_claims(found)
        check_times(claims, self._clock(), LEEWAY_SECONDS)
        return Verified(choose_rules(claims, self.rules), claims)
