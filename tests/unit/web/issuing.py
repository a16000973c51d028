"""Tokens of an OpenID Connect issuer: its keys of every kind, and what a good token says."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from signalr_bridge.web.tokens import PublishedKey, TokenRules, read_keys

from tests.unit.upstream.issued import private_key as rsa_key

ISSUER = "https://issuer.example"
AUDIENCE = "api://chat"
NOW = 1_800_000_000.0
RULES = TokenRules(ISSUER, frozenset({AUDIENCE}))

PrivateKey: TypeAlias = RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_CURVES: Mapping[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
ALGORITHMS = {"RS256": "rsa", "PS256": "rsa", "ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed"}
"""Each algorithm, and the key that is for it."""


@cache
def private_key(name: str) -> PrivateKey:
    """Always the same one for a name, whose beginning is its kind."""
    kind = name.partition("-")[0]
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind])
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed" else rsa_key(name)


def jwk(name: str, **more: Any) -> dict[str, Any]:
    """The key as an issuer publishes it."""
    key = private_key(name)
    match key:
        case RSAPrivateKey():
            public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case _:
            public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": name, "use": "sig"} | more


def key_set(*names: str) -> bytes:
    return json.dumps({"keys": [jwk(name) for name in names]}).encode()


def published(*names: str) -> dict[str, PublishedKey]:
    return read_keys(key_set(*names))


def said(now: float = NOW, **more: Any) -> dict[str, Any]:
    """What a good token says; a claim that is None is left out."""
    times = {"iat": int(now), "nbf": int(now), "exp": int(now) + 3600}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", **times, **more}
    return {name: value for name, value in claims.items() if value is not None}


def signed(
    claims: Any = None, name: str = "rsa", algorithm: str = "RS256", header: Mapping[str, Any] | None = None
) -> str:
    """Signed with the key ``name``, which it names. ``claims`` may be bytes, as they are to stand in the token."""
    payload = claims if isinstance(claims, bytes) else json.dumps(said() if claims is None else claims).encode()
    headers = {"typ": "JWT", "kid": name, **(header or {})}
    return jwt.PyJWS().encode(payload, private_key(name), algorithm, headers=headers)
