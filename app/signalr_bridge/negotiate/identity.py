"""The identity of a client: read from a token or from the platform's headers, with the claims that are copied."""

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from signalr_bridge.endpoints.client_signers import ClientSigners
from signalr_bridge.errors import BadToken, MalformedJson
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.claims import LOSSLESS_CLAIM, ClaimValues, claim_text, read_mark
from signalr_bridge.protocol.names import has_control_character, read_parameters
from signalr_bridge.protocol.upstream_event import HeaderLines
from signalr_bridge.web.issuer_keys import Issuers
from signalr_bridge.web.tokens import read_bearers, read_unverified, read_user

_PRINCIPAL_ID = "x-ms-client-principal-id"
_PRINCIPAL = "x-ms-client-principal"
_IN_QUERY = "access_token"
_SCALAR = str | int | float | bool


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """An admitted client. ``user_id`` is None for an anonymous one. Its claims come from a trusted source."""

    user_id: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)


NOBODY = ClientIdentity()
"""The identity of every anonymous client."""


async def read_jwt(issuers: Issuers, tokens: Sequence[str], *, named: bool) -> ClientIdentity:
    """The identity in a bearer token. Raises ``BadToken``.

    Args:
        issuers: The issuers whose tokens count.
        tokens: The bearer tokens of the request. More than one is an error.
        named: Whether the token must name the user.
    """
    if len(tokens) != 1:
        raise BadToken("there are several tokens")
    verified = await issuers.check(tokens[0])
    return ClientIdentity(read_user(verified.claims, verified.rules) if named else None, verified.claims)


def read_platform(headers: Mapping[str, Sequence[str]]) -> ClientIdentity | None:
    """The identity in the headers of App Service or Container Apps. None when no user has signed in.

    ``headers`` are by name in lower case. Raises ``BadToken`` for headers that are malformed or repeated.

    Source: https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
    """
    ids = headers.get(_PRINCIPAL_ID, ())
    if not ids:
        return None
    if len(ids) != 1 or not ids[0]:
        raise BadToken("the platform's user id is empty or repeated")
    return ClientIdentity(ids[0], _read_principal(headers.get(_PRINCIPAL, ())))


def _read_principal(values: Sequence[str]) -> dict[str, list[str]]:
    if len(values) > 1:
        raise BadToken("the platform's principal is repeated")
    claims: dict[str, list[str]] = {}
    for one in _decode_principal(values[0]) if values else ():
        if not isinstance(one, dict) or not isinstance(one.get("typ"), str) or not isinstance(one.get("val"), str):
            raise BadToken("the platform's principal is malformed")
        claims.setdefault(one["typ"], []).append(one["val"])
    return claims


def _decode_principal(text: str) -> list[Any]:
    try:
        decoded = json_text.decode(b64decode(text.encode("ascii"), validate=True))
    except (binascii.Error, UnicodeEncodeError, MalformedJson):
        decoded = None
    claims = decoded.get("claims", []) if isinstance(decoded, dict) else None
    if not isinstance(claims, list):
        raise BadToken("the platform's principal is malformed")
    return claims


def drop_old_tokens(signers: ClientSigners, hub: str, lines: HeaderLines) -> HeaderLines:
    """The header lines without bearer tokens that an endpoint of the hub has signed for its clients.

    The official JavaScript client sends its last one when it connects anew. It neither admits nor names nor refuses.
    """

    def is_old(value: bytes) -> bool:
        tokens = read_bearers([value.decode("latin-1")])
        return bool(tokens) and signers.have_signed(tokens[0], hub)

    return [one for one in lines if one[0] != b"authorization" or not is_old(one[1])]


def drop_old_parameters(signers: ClientSigners, hub: str, query: bytes) -> bytes:
    """The query without parameters ``access_token`` that hold such a token. Other parameters stay as they are."""

    def is_old(parameter: bytes) -> bool:
        named = read_parameters(parameter.decode("latin-1"))
        return any(name.lower() == _IN_QUERY and signers.have_signed(token, hub) for name, token in named)

    return b"&".join(one for one in query.split(b"&") if not is_old(one))


def find_old_mark(signers: ClientSigners, hub: str, lines: HeaderLines) -> str:
    """What told the client's negotiation before this one from others, by its old token. Empty without one."""
    for token in read_bearers(value.decode("latin-1") for name, value in lines if name == b"authorization"):
        if signers.have_signed(token, hub):
            try:
                carried = read_unverified(token).get(LOSSLESS_CLAIM)  # our own key has signed it
            except BadToken:
                continue
            return read_mark(carried) if isinstance(carried, str) else ""
    return ""


def claim_texts(claims: Mapping[str, Any]) -> dict[str, list[str]]:
    """The claims for a template: the values of each as texts."""
    return {name: [claim_text(one) for one in _scalars(value)] for name, value in claims.items()}


def copy_claims(claims: Mapping[str, Any], types: Sequence[str]) -> dict[str, ClaimValues]:
    """The claims whose types are among ``types``, letter by letter.

    Raises ``BadToken`` for a value that would forge other claims upstream.
    """
    if not types or not claims:
        return {}
    copied = {name: _scalars(claims[name]) for name in types if name in claims}
    for values in copied.values():
        if any(is_forgery(claim_text(one)) for one in values):
            raise BadToken("a claim holds control characters, or what would forge claims")
    return {name: values for name, values in copied.items() if values}


def is_forgery(text: str) -> bool:
    """Whether the text would break the service's header line, or be read there as claims of ours."""
    return LOSSLESS_CLAIM in text or has_control_character(text)


def _scalars(value: Any) -> tuple[_SCALAR, ...]:
    """The values of a claim. An object becomes its JSON text, as in .NET. Null is left out."""
    values = value if isinstance(value, list) else [value]
    return tuple(
        one if isinstance(one, _SCALAR) else json_text.encode(one).decode() for one in values if one is not None
    )


def group_values(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The values by name. Names become lower case."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name.lower(), []).append(value)
    return values
