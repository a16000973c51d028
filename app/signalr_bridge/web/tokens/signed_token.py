"""A signed JSON Web Token: taken apart, its signature checked, and its times. Pure: key and time are given.

Source: RFC 7515 (JWS), RFC 7519 (JWT), RFC 8725 (best practices). Every refusal is a ``BadToken`` that says why, in
words without anything of the token's: for the log. Outside all of them look alike.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import jwt

from signalr_bridge.errors import BadToken, MalformedJson
from signalr_bridge.protocol import json_text
from signalr_bridge.web.tokens.published_key import ALGORITHMS, PublishedKey

Claims = Mapping[str, Any]

ASYMMETRIC = (*ALGORITHMS, "ES256", "ES384", "ES512", "EdDSA")

_SCHEME = "bearer"
_LONGEST_TOKEN = 16_384
_LONGEST_KEY_ID = 256
_TYPES = {"jwt", "at+jwt", "application/jwt", "application/at+jwt"}
_JWS = jwt.PyJWS(algorithms=ASYMMETRIC)


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token in its parts. Nothing that it says is believed before ``verify``."""

    key_id: str
    algorithm: str
    signed: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def read_bearers(authorizations: Iterable[str]) -> tuple[str, ...]:
    """The tokens in headers ``Authorization: Bearer <token>``; other schemes are not looked at."""
    parted = [one.strip().partition(" ") for one in authorizations]
    return tuple(token.strip() for scheme, _, token in parted if scheme.lower() == _SCHEME)


def take_apart(token: str) -> SignedToken:
    """Raises ``BadToken`` for what is no token, or one that nobody could verify."""
    if not token.isascii():
        raise BadToken("the token holds characters that are not ASCII")
    if len(token) > _LONGEST_TOKEN:
        raise BadToken("the token is too long")
    parts = token.split(".")
    if len(parts) != 3:
        raise BadToken("the token is encrypted" if len(parts) == 5 else "the token does not have three parts")
    header = _read_object(_decode(parts[0], "header"), "header")
    signed = f"{parts[0]}.{parts[1]}".encode()
    payload, signature = _decode(parts[1], "payload"), _decode(parts[2], "signature")
    return SignedToken(_read_key_id(header), _read_algorithm(header), signed, payload, signature)


def read_claims(token: SignedToken) -> dict[str, Any]:
    """What the token says, whoever signed it."""
    return _read_object(token.payload, "payload")


def verify(token: SignedToken, key: PublishedKey) -> None:
    """``BadToken`` when the token was not signed with the key it names, by an algorithm that the key is for."""
    if not token.signature:
        raise BadToken("the signature is empty")
    if token.algorithm not in key.algorithms:
        raise BadToken("the key is for another algorithm")
    try:
        valid = _JWS.get_algorithm_by_name(token.algorithm).verify(token.signed, key.key, token.signature)
    except (jwt.PyJWTError, ValueError, TypeError):
        valid = False
    if not valid:
        raise BadToken("the signature is not that of the key")


def check_times(claims: Claims, now: float, leeway: float) -> None:
    """``now`` is in seconds since 1970; ``leeway`` is how far the issuer's clock may be from ours."""
    expires = _read_time(claims, "exp")
    if expires is None:
        raise BadToken("exp is missing")
    if now >= expires + leeway:
        raise BadToken("the token has expired")
    for name, what in (("nbf", "the token is not valid yet"), ("iat", "the token was issued in the future")):
        begins = _read_time(claims, name)
        if begins is not None and begins > now + leeway:
            raise BadToken(what)


def _read_time(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if name in claims and (not isinstance(value, int | float) or isinstance(value, bool) or not _is_moment(value)):
        raise BadToken(f"{name} is no number")
    return value


def _is_moment(value: float) -> bool:
    return isinstance(value, int) or isfinite(value)


def _read_algorithm(header: Claims) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise BadToken("the algorithm is missing or no text")
    if algorithm.lower() == "none":
        raise BadToken("the algorithm is none")
    if algorithm.upper().startswith("HS"):
        raise BadToken("the algorithm is symmetric")
    if algorithm not in ASYMMETRIC:
        raise BadToken("the algorithm is not known")
    return algorithm


def _read_key_id(header: Claims) -> str:
    if "crit" in header:
        raise BadToken("the header has critical extensions")
    if "b64" in header:
        raise BadToken("the header says that the payload is not encoded")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise BadToken("the type is not that of an access or id token")
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not key_id:
        raise BadToken("the key id is missing or no text")
    if len(key_id) > _LONGEST_KEY_ID:
        raise BadToken("the key id is too long")
    return key_id


def _read_object(text: bytes, part: str) -> dict[str, Any]:
    if json_text.first_character(text) != b"{":
        raise BadToken(f"the {part} is no JSON object")
    try:
        json_text.members(text)  # of two claims with one name, others might believe the other
        value: dict[str, Any] = json_text.decode(text)
        return value
    except json_text.DuplicateMember:
        raise BadToken(f"the {part} says something twice") from None
    except MalformedJson:
        raise BadToken(f"the {part} is no well-formed JSON") from None


def _decode(text: str, part: str) -> bytes:
    try:
        return b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadToken(f"the {part} is no base64url") from None
