"""The keys that a token issuer publishes (JWKS), read from its documents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from signalr_bridge.errors import MalformedJson
from signalr_bridge.protocol import json_text

AnyPublicKey: TypeAlias = RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""Those of RSA. Asymmetric ones alone: with HS256 the public key itself would be the secret."""

_FEWEST_BITS = 2048
_FROM_JWK: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
_OF_CURVES = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key, and the algorithms it is for."""

    key: AnyPublicKey
    algorithms: tuple[str, ...] = ALGORITHMS


def read_keys_address(document: bytes, issuer: str | None = None) -> str:
    """Where the keys are, from a discovery document; always ``https``. ``MalformedJson``, also for the document of
    somebody else than ``issuer``."""
    found = json_text.decode(document)
    address = found.get("jwks_uri") if isinstance(found, dict) else None
    if not isinstance(address, str) or not address.lower().startswith("https://"):
        raise MalformedJson("The discovery document names no https address of keys.")
    if issuer is not None and found.get("issuer") != issuer:
        raise MalformedJson("The discovery document is that of another issuer.")
    return address


def read_keys(document: bytes) -> dict[str, PublishedKey]:
    """The keys that can verify tokens, by id; others are skipped. ``MalformedJson`` when there is none."""
    found = json_text.decode(document)
    listed = found.get("keys") if isinstance(found, dict) else None
    keys: dict[str, PublishedKey] = {}
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and isinstance(one.get("kid"), str) and (key := _read_key(one)) is not None:
            keys.setdefault(one["kid"], key)
    if not keys:
        raise MalformedJson("The document lists no key that could verify a token.")
    return keys


def _read_key(jwk: Mapping[str, Any]) -> PublishedKey | None:
    if jwk.get("use", "sig") != "sig":
        return None
    try:
        key, possible = _read_public(dict(jwk))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    named = jwk.get("alg")
    algorithms = possible if named is None else tuple(one for one in possible if one == named)
    return PublishedKey(key, algorithms) if algorithms else None


def _read_public(jwk: dict[str, Any]) -> tuple[AnyPublicKey, tuple[str, ...]]:
    """A public key and the algorithms that are possible with it. Raises ``ValueError`` and what PyJWT does."""
    key = _FROM_JWK[jwk["kty"]](jwk)
    match key:
        case RSAPublicKey() if key.key_size >= _FEWEST_BITS:
            return key, ALGORITHMS
        case ec.EllipticCurvePublicKey():
            return key, _OF_CURVES[key.curve.name]
        case Ed25519PublicKey() | Ed448PublicKey():
            return key, ("EdDSA",)
    raise ValueError("a private key, or one that is too short")
