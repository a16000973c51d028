"""Entra tokens as the service accepts them: checked against one configured issuer.

A token does not say which roles its identity has, so the emulator is told.
Source: ``docs/protocol/rest-and-management.md`` 7.2.
"""

import ssl
from typing import Any, Literal, TypeAlias

import jwt

from signalr_bridge.errors import BadToken, MalformedJson
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.access_token import read_header
from signalr_bridge.protocol.issued_key import AUDIENCE
from signalr_bridge.runtime import WallClock
from signalr_bridge.wire.client import CallFailed, Client, ClientOptions

Role: TypeAlias = Literal["owner", "rest-owner", "reader"]
"""SignalR Service Owner, SignalR REST API Owner (is not issued keys), SignalR REST API Reader (may only ask)."""

_AUDIENCES = [AUDIENCE, f"{AUDIENCE}/"]
_SECONDS = 5.0
_LARGEST_DOCUMENT = 1024 * 1024


class Entra:
    """Checks tokens by the keys that their issuer publishes.

    Args:
        issuer: An https address. ``/.well-known/openid-configuration`` below it tells the issuer's name and keys.
        role: The role of every identity.
        clock: Gives seconds since 1970.
        certificates: The certificates by which the issuer is verified, instead of those of this machine.
    """

    def __init__(self, issuer: str, role: Role, clock: WallClock, certificates: ssl.SSLContext | None = None) -> None:
        self.role = role
        self._options = ClientOptions(tls=certificates)
        self._issuer, self._clock = issuer.rstrip("/"), clock
        self._name = ""
        self._keys: dict[str, jwt.PyJWK] = {}

    async def read_claims(self, token: str) -> dict[str, Any]:
        """The claims of a token. Raises ``BadToken``, also when the issuer's keys cannot be read."""
        key_id = read_header(token).get("kid")
        if not isinstance(key_id, str):
            raise BadToken("The token names no key.")
        if key_id not in self._keys:
            await self._fetch_keys()
        key = self._keys.get(key_id)
        if key is None:
            raise BadToken("The token was signed with a key that the issuer does not publish.")
        return self._verify(token, key)

    def _verify(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        options: Any = {"require": ["exp", "iss", "aud"], "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        try:
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=["RS256"], audience=_AUDIENCES, issuer=self._name, options=options
            )
        except jwt.PyJWTError as error:
            raise BadToken(f"The token is not believed ({type(error).__name__}).") from None
        now, expires, begins = self._clock(), claims["exp"], claims.get("nbf", 0)
        if not isinstance(expires, int) or not isinstance(begins, int) or not begins - 300 <= now < expires + 300:
            raise BadToken("The token has expired or is not valid yet.")
        return claims

    async def _fetch_keys(self) -> None:
        try:
            # A client for each fetch, because keys are fetched seldom and this object is never closed.
            async with Client(self._options) as client:
                document = await _fetch(client, f"{self._issuer}/.well-known/openid-configuration")
                found = jwt.PyJWKSet.from_dict(await _fetch(client, document["jwks_uri"]))
                self._name = document["issuer"]
        except (CallFailed, MalformedJson, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            raise BadToken(f"The issuer's keys could not be read ({type(error).__name__}).") from None
        self._keys = {key.key_id: key for key in found.keys if key.key_id is not None}


async def _fetch(client: Client, url: str) -> dict[str, Any]:
    response = await client.request("GET", url, headers={}, seconds=_SECONDS, largest=_LARGEST_DOCUMENT)
    if response.status != 200:
        raise BadToken(f"The issuer's keys could not be read (status {response.status}).")
    document: dict[str, Any] = json_text.decode(response.body)
    return document
