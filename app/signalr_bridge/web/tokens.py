"""Signed JSON Web Tokens of other issuers: parsing, published keys, signature, times, and rules.

Source: RFC 7515 (JWS), RFC 7519 (JWT), RFC 8725 (best practices). The functions are pure: key and time are arguments.
Every refusal is a ``BadToken`` whose text is for the log, and holds nothing of the token. Outside, all refusals look
alike.
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from signalr_bridge.errors import BadToken, MalformedJson
from signalr_bridge.protocol import json_text

AnyPublicKey: TypeAlias = RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""The algorithms of RSA keys. All of them are asymmetric. With HS256 the public key would be the secret."""

_FEWEST_BITS = 2048
_FROM_JWK: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
_OF_CURVES = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}

Claims = Mapping[str, Any]
"""The claims of a token, by name."""

ASYMMETRIC = (*ALGORITHMS, "ES256", "ES384", "ES512", "EdDSA")
"""All algorithms by which a token may be signed."""

_SCHEME = "bearer"
_LONGEST_TOKEN = 16_384
_LONGEST_KEY_ID = 256
_TYPES = {"jwt", "at+jwt", "application/jwt", "application/at+jwt"}
_JWS = jwt.PyJWS(algorithms=ASYMMETRIC)

LEEWAY_SECONDS = 60
"""By how many seconds an issuer's clock may differ from ours."""

_LISTS_IN_A_TEXT = {"scope", "scp"}
"""Claims whose values stand in one text, separated by blanks (RFC 8693, 4.2)."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key, and the algorithms it is for."""

    key: AnyPublicKey
    algorithms: tuple[str, ...] = ALGORITHMS


def read_keys_address(document: bytes, issuer: str | None = None) -> str:
    """The address of the keys in a discovery document. It always begins with ``https``.

    Raises ``MalformedJson``, also when ``issuer`` is given and the document names another one.
    """
    found = json_text.decode(document)
    address = found.get("jwks_uri") if isinstance(found, dict) else None
    if not isinstance(address, str) or not address.lower().startswith("https://"):
        raise MalformedJson("The discovery document names no https address of keys.")
    if issuer is not None and found.get("issuer") != issuer:
        raise MalformedJson("The discovery document is that of another issuer.")
    return address


def read_keys(document: bytes) -> dict[str, PublishedKey]:
    """The keys that can verify tokens, by id. Others are skipped. Raises ``MalformedJson`` when there is none."""
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
    """A public key and its possible algorithms. Raises ``ValueError`` and the errors of PyJWT."""
    key = _FROM_JWK[jwk["kty"]](jwk)
    match key:
        case RSAPublicKey() if key.key_size >= _FEWEST_BITS:
            return key, ALGORITHMS
        case ec.EllipticCurvePublicKey():
            return key, _OF_CURVES[key.curve.name]
        case Ed25519PublicKey() | Ed448PublicKey():
            return key, ("EdDSA",)
    raise ValueError("a private key, or one that is too short")


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token in its parts. Nothing in it is trusted before ``verify``."""

    key_id: str
    algorithm: str
    signed: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def read_bearers(authorizations: Iterable[str]) -> tuple[str, ...]:
    """The tokens in headers ``Authorization: Bearer <token>``. Other schemes are ignored."""
    parted = [one.strip().partition(" ") for one in authorizations]
    return tuple(token.strip() for scheme, _, token in parted if scheme.lower() == _SCHEME)


def take_apart(token: str) -> SignedToken:
    """The parts of a token. Raises ``BadToken`` for what is not a token, or cannot be verified."""
    parts = _split(token)
    header = _read_object(_decode(parts[0], "header"), "header")
    signed = f"{parts[0]}.{parts[1]}".encode()
    payload, signature = _decode(parts[1], "payload"), _decode(parts[2], "signature")
    return SignedToken(_read_key_id(header), _read_algorithm(header), signed, payload, signature)


def _split(token: str) -> list[str]:
    if not token.isascii():
        raise BadToken("the token holds characters that are not ASCII")
    if len(token) > _LONGEST_TOKEN:
        raise BadToken("the token is too long")
    parts = token.split(".")
    if len(parts) != 3:
        raise BadToken("the token is encrypted" if len(parts) == 5 else "the token does not have three parts")
    return parts


def read_claims(token: SignedToken) -> dict[str, Any]:
    """The claims of a token, before or after it is verified. Raises ``BadToken`` for malformed ones."""
    return _read_object(token.payload, "payload")


def read_unverified(token: str) -> dict[str, Any]:
    """The claims of a token, whoever signed it and however: nobody checks them. Raises ``BadToken`` for what is no JWT.

    So a symmetric algorithm, ``none`` and a header without ``kid`` are as good as any. The Functions binding reads an
    ``idToken`` so. Source: ``docs/protocol/functions-bindings.md`` 2.1.
    """
    parts = _split(token)
    _read_object(_decode(parts[0], "header"), "header")
    return _read_object(_decode(parts[1], "payload"), "payload")


def verify(token: SignedToken, key: PublishedKey) -> None:
    """Raise ``BadToken`` when the token was not signed with ``key``, by an algorithm that the key is for."""
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
    """Raise ``BadToken`` when the token has expired or is not valid yet.

    Args:
        claims: The claims of the token.
        now: Seconds since 1970.
        leeway: By how many seconds the issuer's clock may differ from ours.
    """
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
        json_text.members(text)  # of two claims with one name, others might read the other one
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


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Which tokens of an issuer are trusted. Everything is compared exactly.

    Of each claim in ``required``, the token must have one of the given values.
    """

    issuer: str
    audiences: frozenset[str]
    user_claim: str = "sub"
    required: Mapping[str, frozenset[str]] = field(default_factory=dict)


def find_issuer(claims: Claims, rules: Iterable[TokenRules]) -> str:
    """The issuer that a token names. Raises ``BadToken`` when no rule names it."""
    named = claims.get("iss")
    if not isinstance(named, str) or not named:
        raise BadToken("the issuer is missing or no text")
    known = {one.issuer for one in rules}
    if named in known:
        return named
    if named.rstrip("/") in {one.rstrip("/") for one in known}:
        raise BadToken("the issuer differs from the settings' by a slash at its end")
    raise BadToken("the issuer is not one of the settings'")


def choose_rules(claims: Claims, rules: Sequence[TokenRules]) -> TokenRules:
    """The first rules that a verified token fulfils. Raises ``BadToken`` when there are none."""
    own = [one for one in rules if one.issuer == claims.get("iss")]
    meant = [one for one in own if one.audiences & _read_audiences(claims)]
    if not meant:
        raise BadToken("the token is for another audience")
    for one in meant:
        if _missing(claims, one) is None:
            return one
    raise BadToken(_missing(claims, meant[0]) or "")


def _read_audiences(claims: Claims) -> set[str]:
    value = claims.get("aud")
    audiences = value if isinstance(value, list) else [value]
    if not audiences or not all(isinstance(one, str) and one for one in audiences):
        raise BadToken("the audience is missing, no text or no list of texts")
    return set(audiences)


def _missing(claims: Claims, rules: TokenRules) -> str | None:
    """What the token lacks for the rules. None when nothing is missing."""
    for name, wanted in rules.required.items():
        if name not in claims:
            return "a required claim is missing"
        if not wanted & read_values(claims, name):
            return "a required claim has another value"
    return None


def read_values(claims: Claims, name: str) -> set[str]:
    """The texts of a claim that is one text or a list of texts. Other values do not count."""
    value: Any = claims.get(name)
    if isinstance(value, str):
        return set(value.split()) if name in _LISTS_IN_A_TEXT else {value}
    return {one for one in value if isinstance(one, str)} if isinstance(value, list) else set()


def read_user(claims: Claims, rules: TokenRules) -> str:
    """The user id, from the claim that the rules name. Raises ``BadToken`` when the claim is missing or not a text."""
    if rules.user_claim not in claims:
        raise BadToken("the claim of the user id is missing")
    value = claims[rules.user_claim]
    if not isinstance(value, str) or not value:
        raise BadToken("the claim of the user id is empty or no text")
    return value
