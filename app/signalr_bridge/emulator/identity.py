"""Checks the token of a request, issues signing keys, and reads a client's identity from its claims.

Source: ``docs/protocol/service-emulation.md`` 1.3, 2.1 and 3.2.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from signalr_bridge.emulator.entra import Entra, Role
from signalr_bridge.errors import BadToken, BridgeError, Unauthenticated
from signalr_bridge.protocol.access_token import read_header, read_token
from signalr_bridge.protocol.claims import NAME_IDENTIFIER, claim_text, write_claims_line
from signalr_bridge.protocol.issued_key import IssuedKey
from signalr_bridge.runtime import NewId, WallClock

NEW_AFTER_SECONDS = 3600.0
"""How many seconds the same key is issued."""
GOOD_SECONDS = 5400.0
"""How many seconds an issued key is valid."""

_IDENTITY = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
_LONG_NAMES = {
    "nameid": NAME_IDENTIFIER,
    "sub": NAME_IDENTIFIER,
    "role": _ROLE,
    "roles": _ROLE,
    "email": _IDENTITY + "emailaddress",
    "unique_name": _IDENTITY + "name",
    "given_name": _IDENTITY + "givenname",
    "family_name": _IDENTITY + "surname",
}


class IssuedKeys:
    """The keys that the service issues to identities.

    Args:
        clock: Gives seconds since 1970.
        new_text: Gives a text, from a source that is good for secrets.
    """

    def __init__(self, clock: WallClock, new_text: NewId) -> None:
        self._clock, self._new_text = clock, new_text
        self._issued: list[tuple[float, IssuedKey]] = []

    def issue(self) -> IssuedKey:
        """The current key. It is the same for all who ask within an hour."""
        now = self._clock()
        if not self._issued or now >= self._issued[-1][0] + NEW_AFTER_SECONDS:
            self._issued.append((now, IssuedKey(self._new_text(), self._new_text())))
        return self._issued[-1][1]

    def find(self, key_id: str) -> list[str]:
        """The key that a token names. The list is empty when the key is unknown or has expired."""
        now = self._clock()
        self._issued = [(since, one) for since, one in self._issued if now < since + GOOD_SECONDS]
        return [one.key for _, one in self._issued if one.key_id == key_id]


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """Checks tokens. ``clock`` gives seconds since 1970. Without ``entra`` only tokens signed by a key are accepted."""

    keys: Sequence[str]
    clock: WallClock
    issued: IssuedKeys
    check_expiry: bool = True
    check_audience: bool = False
    entra: Entra | None = None

    async def admit(self, request: HTTPConnection) -> Role | None:
        """The role of a caller with an identity. None for a caller with a key.

        Raises ``Unauthenticated`` and ``BadToken``.
        """
        token = _find_token(request)
        if self.entra is None or not token.isascii() or read_header(token).get("alg") == "HS256":
            self.read_claims(request)
            return None
        await self.entra.read_claims(token)
        return self.entra.role

    def read_claims(self, request: HTTPConnection) -> dict[str, Any]:
        """The claims of the request's token. Raises ``Unauthenticated`` and ``BadToken``."""
        token = _find_token(request)
        claims = read_token(token, self._keys_of(token), now=self.clock() if self.check_expiry else None)
        if self.check_audience and not fits_audience(claims.get("aud"), request):
            raise BadToken("The audience is invalid.")
        return claims

    def _keys_of(self, token: str) -> Sequence[str]:
        """The keys that may have signed a token. A key that the service has issued signs only tokens that name it.

        Any other name is ignored, for Microsoft's .NET libraries write a hash of the access key there.
        """
        key_id = read_header(token).get("kid") if token.isascii() else None
        return self.issued.find(str(key_id)) or self.keys


def _find_token(request: HTTPConnection) -> str:
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
    elif request.scope["type"] == "websocket" or "text/event-stream" in request.headers.get("accept", ""):
        tokens = find_parameter(request, "access_token")
        if tokens:
            return tokens[-1]
    raise Unauthenticated("The request brings no token.")


def find_parameter(request: HTTPConnection, name: str) -> list[str]:
    """The values of a query parameter, whose name may be in any case."""
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return [value for found, value in query if found.lower() == name.lower()]


def fits_audience(audience: object, request: HTTPConnection) -> bool:
    """Whether the audience fits, in the form of any SDK: with or without port, query and trailing slash.

    A hub that it names must be the request's.
    """
    audiences = audience if isinstance(audience, list) else [audience]
    return any(isinstance(one, str) and _fits(one, request) for one in audiences)


def _fits(audience: str, request: HTTPConnection) -> bool:
    try:
        parts = urlsplit(audience)
        host = parts.hostname
    except ValueError:
        return False
    hubs = [value.lower() for name, value in parse_qsl(parts.query) if name.lower() == "hub"]
    wanted = [value.lower() for value in find_parameter(request, "hub")]
    return host == request.url.hostname and _fits_path(parts.path, request) and (not hubs or hubs == wanted)


def _fits_path(path: str, request: HTTPConnection) -> bool:
    wanted = request.scope["raw_path"].decode("latin-1").rstrip("/").removesuffix("/negotiate")
    return unquote(path.rstrip("/")) == unquote(wanted)


def refuse_token(error: BridgeError) -> Response:
    """The answer 401 with an empty body, as SDKs expect it."""
    challenge = "Bearer"
    if isinstance(error, BadToken):
        challenge += f' error="invalid_token", error_description="{error.detail}"'
    return Response(status_code=401, headers={"WWW-Authenticate": challenge})


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """A client as its token describes it. ``close_at`` is the end of its authentication, in seconds since 1970."""

    user_id: str | None
    claims_line: str
    close_at: float | None


def read_identity(claims: Mapping[str, Any], *, long_names: bool = True) -> TokenIdentity:
    """The client that a token's claims describe.

    With ``long_names``, claim types are renamed like in .NET's JWT library and the reference emulator.
    """
    pairs = ((_LONG_NAMES.get(name, name) if long_names else name, text) for name, text in _flatten(claims))
    return TokenIdentity(_find_user(claims), write_claims_line(pairs), _find_end(claims))


def _flatten(claims: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in claims.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, "" if one is None else claim_text(one)


def _find_user(claims: Mapping[str, Any]) -> str | None:
    found = [text for name, text in _flatten(claims) if name == "asrs.s.uid"]
    found += [text for name, text in _flatten(claims) if name in {"nameid", "sub"}]
    return found[0] if found else None


def _find_end(claims: Mapping[str, Any]) -> float | None:
    if str(claims.get("asrs.s.coae")).lower() != "true":
        return None
    try:
        return float(claims.get("asrs.s.aeo", claims.get("exp")))
    except (TypeError, ValueError):
        return None
