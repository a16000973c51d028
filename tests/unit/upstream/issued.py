"""Tokens as Entra issues them, and as somebody else might: keys, claims, and an issuer without a network."""

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from signalr_bridge.upstream.entra import EntraRules, make_rules
from signalr_bridge.web.tokens import PublishedKey

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
OTHER_TENANT = "11111111-86f1-41af-91ab-2d7cd011db47"
AUDIENCE = "api://signalr-bridge"
APPLICATION = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"
OTHER_APPLICATION = "cccccccc-0000-1111-2222-dddddddddddd"
NOW = 1_800_000_000.0

RULES = make_rules(TENANT, [AUDIENCE], [APPLICATION], "https://login.microsoftonline.com")
V1 = {"iss": f"https://sts.windows.net/{TENANT}/", "appid": APPLICATION, "ver": "1.0", "idtyp": "app"}
V2 = {"iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "azp": APPLICATION, "ver": "2.0"}


def private_key(name: str, bits: int = 2048) -> RSAPrivateKey:
    """Always the same one for a name."""
    return _generate(name, bits)


@cache
def _generate(name: str, bits: int) -> RSAPrivateKey:
    return generate_private_key(65_537, bits)


def published(name: str) -> PublishedKey:
    return PublishedKey(private_key(name).public_key())


def public_text(name: str) -> bytes:
    return private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(name: str, bits: int = 2048, **more: Any) -> dict[str, Any]:
    """The key as an issuer publishes it."""
    public = RSAAlgorithm.to_jwk(private_key(name, bits).public_key(), as_dict=True)
    return {**public, "kid": name, "use": "sig"} | more


def claims(version: Mapping[str, Any] = V1, now: float = NOW, **more: Any) -> dict[str, Any]:
    """What a good token says; a claim that is None is left out."""
    times = {"iat": int(now), "nbf": int(now), "exp": int(now) + 3600}
    said = {**times, "aud": AUDIENCE, "tid": TENANT, "oid": "an-object", "sub": "an-object", **version, **more}
    return {name: value for name, value in said.items() if value is not None}


def token(
    said: Any = None,
    name: str = "first",
    algorithm: str = "RS256",
    header: Mapping[str, Any] | None = None,
    **more: Any,
) -> str:
    """Signed with the key ``name``, which it names."""
    payload = claims(**more) if said is None else said
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {"typ": "JWT", "kid": name, **(header or {})}
    return jwt.PyJWS().encode(text, private_key(name), algorithm, headers=headers)


def handmade(header: Any, payload: Any, secret: bytes | None = None) -> str:
    """What no library writes: any header, and the signature HS256 by ``secret``, or none."""
    signed = ".".join(encoded(json.dumps(one).encode()) for one in (header, payload))
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256')) if secret else ''}"


def encoded(text: bytes) -> str:
    return urlsafe_b64encode(text).rstrip(b"=").decode()


def rules(*, applications: list[str] | None = None, authority: str = "https://login.microsoftonline.com") -> EntraRules:
    return make_rules(TENANT, [AUDIENCE, "api://second"], applications or [APPLICATION], authority)


class FakeIssuer:
    """Publishes ``names``, when ``ready`` and not ``broken``; counts how often it was asked."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked = 0
        self.broken: Exception | None = None
        self.ready = asyncio.Event()
        self.ready.set()

    async def fetch(self) -> Mapping[str, PublishedKey]:
        self.asked += 1
        await self.ready.wait()
        if self.broken is not None:
            raise self.broken
        return {name: published(name) for name in self.names}


class FakeClock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
