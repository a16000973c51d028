"""The identity of a client: read from a token or from the platform's headers, with the claims that are copied."""

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from signalr_bridge.endpoints.client_signers import ClientSigners
from signalr_bridge.errors import BadToken, InvalidName, MalformedJson
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.claims import LOSSLESS_CLAIM, ClaimValues, claim_text, read_mark
from signalr_bridge.protocol.names import check_client_user_id, has_control_character, read_parameters
from signalr_bridge.protocol.upstream_event import HeaderLines
from signalr_bridge.web.issuer_keys import Issuers
from signalr_bridge.web.tokens import read_bearers, read_unverified, read_user

_PRINCIPAL_ID = "x-ms-client-principal-id"
_PRINCIPAL = "x-ms-client-principal"
_IN_PRINCIPAL = {
    _PRINCIPAL_ID: "userId",
    "x-ms-client-principal-name": "userDetails",
    "x-ms-client-principal-idp": "identityProvider",
}
"""Members of the principal of Static Web Apps, by the header in which App Service has the same."""
_ROLES = "roles"
_MALFORMED = "the platform's principal is malformed"
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
    """The identity in the headers of App Service, Container Apps or Static Web Apps. None when no user has signed in.

    Static Web Apps send ``x-ms-client-principal`` alone: the user's id is in it, and its roles become the claim
    ``roles``. ``headers`` are by name in lower case. Raises ``BadToken`` for headers that are malformed or repeated.

    Source: https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities and
    https://learn.microsoft.com/azure/static-web-apps/user-information
    """
    ids = headers.get(_PRINCIPAL_ID, ())
    if not ids and _PRINCIPAL not in headers:
        return None
    principal = _decode_principal(headers.get(_PRINCIPAL, ()))
    user_id = ids[0] if ids else principal.get("userId") or None
    if user_id is None:
        return None
    if len(ids) > 1 or not isinstance(user_id, str) or not user_id:
        raise BadToken("the platform's user id is empty or repeated")
    return ClientIdentity(user_id, _read_principal(principal))


def name_by_principal(headers: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """The headers with those that App Service sends and Static Web Apps leave out: the user's id, name and provider.

    They are read from ``x-ms-client-principal``. A principal that is malformed names nobody.
    """
    if _PRINCIPAL_ID in headers or _PRINCIPAL not in headers:
        return headers
    try:
        principal = _decode_principal(headers[_PRINCIPAL])
    except BadToken:
        return headers
    named = {name: principal.get(member) for name, member in _IN_PRINCIPAL.items()}
    return {**{name: [one] for name, one in named.items() if isinstance(one, str) and one}, **headers}


def _read_principal(principal: Mapping[str, Any]) -> dict[str, list[str]]:
    listed, roles = principal.get("claims", []), principal.get("userRoles") or []
    if not isinstance(listed, list) or not isinstance(roles, list):
        raise BadToken(_MALFORMED)
    claims: dict[str, list[str]] = {}
    for one in [*listed, *({"typ": _ROLES, "val": role} for role in roles)]:
        if not isinstance(one, dict) or not isinstance(one.get("typ"), str) or not isinstance(one.get("val"), str):
            raise BadToken(_MALFORMED)
        claims.setdefault(one["typ"], []).append(one["val"])
    return claims


def _decode_principal(values: Sequence[str]) -> Mapping[str, Any]:
    if not values:
        return {}
    if len(values) > 1:
        raise BadToken("the platform's principal is repeated")
    try:
        decoded = json_text.decode(b64decode(values[0].encode("ascii"), validate=True))
    except (binascii.Error, UnicodeEncodeError, MalformedJson):
        decoded = None
    if not isinstance(decoded, dict):
        raise BadToken(_MALFORMED)
    return decoded


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


def take_only(values: Sequence[str], kind: str) -> str:
    """The one value of what a template wants. Raises ``BadToken`` when it is absent, empty or repeated."""
    if len(values) != 1 or not values[0]:
        raise BadToken(f"a value of the {kind} that the template wants is absent, empty or repeated")
    return values[0]


def check_written_user_id(user_id: str) -> str:
    """The user id that a template makes. Raises ``InvalidName`` for one that no client may have."""
    if is_forgery(check_client_user_id(user_id)):
        raise InvalidName("The user id holds what would forge claims.")
    return user_id


def check_verified_user_id(user_id: str | None) -> str | None:
    """The user id that a token or the platform names. Raises ``BadToken`` for one that no client may have."""
    if user_id is None:
        return None
    try:
        check_client_user_id(user_id)
    except InvalidName:
        raise BadToken("the user id is one that no client may have") from None
    if is_forgery(user_id):
        raise BadToken("the user id holds what would forge claims")
    return user_id


async def read_id_token(token: str, issuers: Issuers | None) -> Mapping[str, Any]:
    """The claims of an id token, in front of which ``Bearer`` may stand. Raises ``BadToken``.

    Args:
        token: The token.
        issuers: The issuers whose tokens count. None believes what the token says, whoever wrote it.
    """
    token = next(iter(read_bearers([token])), token)
    return read_unverified(token) if issuers is None else (await issuers.check(token)).claims


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
