"""The keys that a token issuer publishes (JWKS), read from its documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from app.errors import MalformedJson
from app.protocol import json_text

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""Asymmetric ones alone: with HS256 the public key itself would be the secret."""

_FEWEST_BITS = 2048


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key, and the algorithms it is for."""

    key: RSAPublicKey
    algorithms: tuple[str, ...] = ALGORITHMS


def read_keys_address(document: bytes) -> str:
    """Where the keys are, from a discovery document; always ``https``. ``MalformedJson``."""
    found = json_text.decode(document)
    address = found.get("jwks_uri") if isinstance(found, dict) else None
    if not isinstance(address, str) or not address.lower().startswith("https://"):
        raise MalformedJson("The discovery document names no https address of keys.")
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
    algorithm = jwk.get("alg")
    if jwk.get("use", "sig") != "sig" or algorithm not in (None, *ALGORITHMS):
        return None
    try:
        key = RSAAlgorithm.from_jwk(dict(jwk))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if not isinstance(key, RSAPublicKey) or key.key_size < _FEWEST_BITS:
        return None
    return PublishedKey(key, ALGORITHMS if algorithm is None else (algorithm,))
