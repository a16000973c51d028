"""The tokens of the service: JSON Web Tokens signed by HS256 with an access key, for clients and for REST calls.

Source: ``docs/protocol/functions-bindings.md`` 2.4 and 2.5, ``docs/protocol/rest-and-management.md`` 7.1 and 8.3.
"""

import binascii
import hmac
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from signalr_bridge.errors import BadToken, MalformedJson, ReservedClaim, TokenTooLong
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.claims import LOSSLESS_CLAIM, ClaimValues, claim_text, write_lossless
from signalr_bridge.protocol.signing_key import SigningKey, digest_by_each

LONGEST_TOKEN = 4096
"""The longest client token the service takes, in characters."""
LONGEST_LIFETIME = 86_400
"""The most seconds that a client's token may be valid."""

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_HEADER = {"alg": "HS256", "typ": "JWT"}
# The service would read these as statements about the token. With the prefix ``asrs.u.`` it restores them as claims.
_COLLIDING = frozenset({"aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"})


def client_url(client_endpoint: str, hub: str) -> str:
    """The URL at which a client connects. ``client_endpoint`` has no trailing slash and may have a path."""
    return f"{client_endpoint}/client/?hub={hub.lower()}"


def client_audience(endpoint: str, hub: str) -> str:
    """The ``aud`` of a client's token: scheme and host of ``Endpoint``, never its port."""
    return f"{_without_port(endpoint)}/client/?hub={hub.lower()}"


@lru_cache(maxsize=256)
def _without_port(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}"


def client_claims(
    *,
    audience: str,
    user_id: str | None,
    claims: Mapping[str, ClaimValues],
    now: int,
    lifetime: int,
    close_on_expiry: bool = False,
    lossless: bool = True,
    groups: Sequence[str] = (),
    mark: str = "",
) -> dict[str, Any]:
    """The claims of a client's token, in the order in which the SDKs write them.

    Args:
        audience: What ``client_audience`` gave.
        user_id: The user. None for a client without one.
        claims: The client's own claims by type.
        now: Seconds since 1970.
        lifetime: Seconds until the token expires.
        close_on_expiry: Whether the service closes the connection when the token expires.
        lossless: Whether to add the claim ``bridge.claims``. With it, claims outside ASCII stand in that one alone.
            Without it, a user id or a value that would be read as that claim upstream raises ``ReservedClaim``.
        groups: The groups that the client joins. They travel in ``bridge.claims`` alone, so without ``lossless`` they
            are lost.
        mark: What tells the negotiation from others. It travels in the same way, and is empty without one.
    """
    payload: dict[str, Any] = {}
    if user_id is not None:
        payload["asrs.s.uid"] = user_id
    if close_on_expiry:
        payload["asrs.s.coae"] = "true"
        payload["asrs.s.aeo"] = now + lifetime
    for name, values in claims.items():
        if not lossless or is_ascii(name, values):
            _add_claim(payload, name, values, keep_sub=user_id is not None)
    # Beside a user id it is written even without claims: else the id "x, bridge.claims: ..." would be the only one.
    if lossless and (claims or user_id or groups or mark):
        payload[LOSSLESS_CLAIM] = write_lossless(claims, groups, mark)
    elif payload and LOSSLESS_CLAIM in repr(payload):
        raise ReservedClaim(f"The user id and the claims must not hold the text {LOSSLESS_CLAIM}.")
    payload.update(nbf=now, exp=now + lifetime, iat=now, aud=audience)
    return payload


def is_ascii(name: str, values: ClaimValues) -> bool:
    """Whether a claim is plain ASCII. The reference emulator sends no event at all of a client with another one.

    Source: ``docs/protocol/service-emulation.md`` 3.2.
    """
    return name.isascii() and all(not isinstance(one, str) or one.isascii() for one in values)


def _add_claim(payload: dict[str, Any], name: str, values: ClaimValues, *, keep_sub: bool) -> None:
    if not values:
        return
    value: Any = values[0] if len(values) == 1 else list(values)
    if name in _COLLIDING:
        texts = [claim_text(one) for one in values]
        payload[f"asrs.u.{name}"] = texts[0] if len(texts) == 1 else texts
    elif name == "sub" and not keep_sub:
        payload["asrs.u.sub"] = value  # a bare "sub" would become the user id
    elif name == "sub" and len(values) > 1:
        payload["sub"], payload["asrs.u.sub"] = values[0], values[1] if len(values) == 2 else list(values[1:])
    else:
        payload[name] = value


def rest_claims(url: str, *, now: int, lifetime: int) -> dict[str, Any]:
    """The claims of the token of one REST call.

    Args:
        url: The URL as requested, without its query.
        now: Seconds since 1970.
        lifetime: Seconds until the token expires.
    """
    return {"nbf": now, "exp": now + lifetime, "iat": now, "aud": url}


def sign_token(claims: Mapping[str, Any], key: str | SigningKey, key_id: str | None = None) -> str:
    """A token signed by HS256. Raises ``ValueError`` for an empty key.

    Args:
        claims: What the token says.
        key: The access key, as text or prepared. Its text is the secret, it is not decoded.
        key_id: The ``kid`` of a key that the service issued.
    """
    signing = SigningKey(key) if isinstance(key, str) else key
    signed = _write_header(key_id) + _encode_part(json_text.encode(claims))
    return (signed + b"." + _encode_part(signing.digest(signed))).decode()


@lru_cache(maxsize=256)
def _write_header(key_id: str | None) -> bytes:
    """The header of a token and the dot behind it."""
    return _encode_part(json_text.encode(_HEADER if key_id is None else _HEADER | {"kid": key_id})) + b"."


def check_length(token: str) -> str:
    """The token itself. Raises ``TokenTooLong`` when the service would refuse a client that brings it."""
    if len(token) > LONGEST_TOKEN:
        raise TokenTooLong(
            f"The token would have {len(token)} characters, the service takes {LONGEST_TOKEN}: send fewer claims."
        )
    return token


def read_token(token: str, keys: Sequence[str], *, now: float | None = None, leeway: int = 300) -> dict[str, Any]:
    """The claims of a token. Raises ``BadToken`` when none of ``keys`` has signed it, or its times do not fit.

    Args:
        token: The compact form.
        keys: Access keys, used as text. Empty ones are left out.
        now: Seconds since 1970. Without it the times are not checked.
        leeway: By how many seconds the clocks may differ.
    """
    if not token.isascii():
        raise BadToken("The token is not a JSON Web Token.")
    signed, _, signature = token.rpartition(".")
    header = _decode_part(signed.partition(".")[0])
    if header.get("alg") != "HS256":
        raise BadToken("The token is not signed by HS256.")
    given = _decode_base64(signature)
    expected = [hmac.digest(key.encode(), signed.encode(), "sha256") for key in keys if key]
    if sum(hmac.compare_digest(one, given) for one in expected) == 0:  # every key is compared
        raise BadToken("The token was signed with another key.")
    claims = _decode_part(signed.partition(".")[2])
    if now is not None:
        _check_times(claims, now, leeway)
    return claims


def read_audience(token: str) -> str | None:
    """The audience that a token by HS256 names, in which nothing is trusted. None for what is not such a token.

    A token that is longer than the service takes is not one either.
    """
    header, _, rest = token.partition(".")
    if len(token) > LONGEST_TOKEN or not token.isascii():
        return None
    try:
        algorithm, audience = _decode_part(header).get("alg"), _decode_part(rest.partition(".")[0]).get("aud")
    except BadToken:
        return None
    return audience if algorithm == "HS256" and isinstance(audience, str) else None


def is_signed(token: str, keys: Iterable[SigningKey]) -> bool:
    """Whether one of ``keys`` has signed the token by HMAC-SHA256, whatever it says. Every key is compared."""
    signed, _, signature = token.rpartition(".")
    try:
        given = _decode_base64(signature)
    except BadToken:
        return False
    return True in [hmac.compare_digest(one, given) for one in digest_by_each(keys, signed.encode())]


def read_header(token: str) -> dict[str, Any]:
    """The header of a token: ``alg``, and the ``kid`` of its key. Raises ``BadToken`` for what is not a token."""
    return _decode_part(token.partition(".")[0])


def _check_times(claims: dict[str, Any], now: float, leeway: int) -> None:
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(expires, int | float) or not isinstance(begins, int | float):
        raise BadToken("The token does not say until when it is valid.")
    if now > expires + leeway or now < begins - leeway:
        raise BadToken("The token has expired or is not valid yet.")


def _encode_part(text: bytes) -> bytes:
    return (
        binascii.b2a_base64(text, newline=False).translate(_URL_SAFE).rstrip(b"=")
    )  # base64's own takes twice as long


def _decode_part(part: str) -> dict[str, Any]:
    try:
        value = json_text.decode(_decode_base64(part))
    except MalformedJson:
        value = None
    if not isinstance(value, dict):
        raise BadToken("The token is not a JSON Web Token.")
    return value


def _decode_base64(text: str) -> bytes:
    if "=" in text:
        raise BadToken("The token is not a JSON Web Token.")
    try:
        return b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise BadToken("The token is not a JSON Web Token.") from None
