"""What the service issues to an identity: keys that sign clients' tokens, and whole tokens, read and written.

Source: ``docs/protocol/rest-and-management.md`` 4.1, 4.2 and 7.2.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from signalr_bridge.errors import InvalidQuery, MalformedMessage
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.claims import LOSSLESS_CLAIM, MARK_CLAIM, read_lossless
from signalr_bridge.protocol.names import check_hub, escape_segment, unescape_segment
from signalr_bridge.protocol.rest import API_VERSION

SCOPE = "https://signalr.azure.com/.default"
"""The scope of an Entra token for the service."""
AUDIENCE = "https://signalr.azure.com"
"""The ``aud`` of such a token."""
KEY_PATH = "/api/v1/auth/accessKey"
KEY_PATHS = frozenset({"/api/auth/accesskey", KEY_PATH.lower()})
"""Both paths that the service knows, in lower case."""

_GENERATE = re.compile(r"(?i:/api(?:/v1)?/hubs)/([^/]+)/:generateToken")
# A token is requested by user id and lifetime. Everything else that a client's token says would be lost.
_ASKABLE = frozenset({"asrs.s.uid", "nbf", "exp", "iat", "aud"})


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key that signs clients' tokens. ``key_id`` is the ``kid`` of those tokens."""

    key_id: str
    key: str = field(repr=False)


def write_issued_key(issued: IssuedKey) -> bytes:
    """The answer that issues a key."""
    return json_text.encode({"AccessKey": issued.key, "KeyId": issued.key_id})


def read_issued_key(body: bytes) -> IssuedKey:
    """The key in an answer. Raises ``MalformedMessage`` when the key or its id is missing, empty or not text."""
    document = json_text.decode_object(body)
    key_id, key = document.get("KeyId"), document.get("AccessKey")
    if not isinstance(key_id, str) or not isinstance(key, str) or not key_id or not key:
        raise MalformedMessage("The answer has no KeyId or no AccessKey.")
    return IssuedKey(key_id, key)


def write_generated_token(token: str) -> bytes:
    """The answer that issues a token."""
    return json_text.encode({"token": token})


def read_generated_token(body: bytes) -> str:
    """The token in an answer. Raises ``MalformedMessage`` when there is none."""
    token = json_text.decode_object(body).get("token")
    if not isinstance(token, str) or not token:
        raise MalformedMessage("The answer has no token.")
    return token


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request for a client's token that the service itself makes. ``minutes`` is the lifetime."""

    hub: str
    user_id: str | None
    minutes: int


def ask_instead(claims: Mapping[str, Any]) -> TokenRequest | None:
    """The request for a token that says the same as one with ``claims``. None when no request can say all of them.

    A user id that holds the name of our own claim would be read as that claim upstream, so it is never requested.
    """
    user_id = claims.get("asrs.s.uid")
    more = {name for name in claims if name not in _ASKABLE and not _is_empty(name, claims[name])}
    if more or (isinstance(user_id, str) and LOSSLESS_CLAIM in user_id):
        return None
    hub = dict(parse_qsl(urlsplit(claims["aud"]).query))["hub"]
    return TokenRequest(hub, user_id, max(1, -(-(claims["exp"] - claims["iat"]) // 60)))


def _is_empty(name: str, value: Any) -> bool:
    """Whether this is ``bridge.claims`` and says that there are no claims. A mark may be lost."""
    said = read_lossless(value) if name == LOSSLESS_CLAIM else None
    return said is not None and not said.keys() - {MARK_CLAIM}


def write_token_request(request: TokenRequest) -> str:
    """Path and query of the request, completely escaped."""
    user = "" if request.user_id is None else f"&userId={escape_segment(request.user_id)}"
    query = f"api-version={API_VERSION}&minutesToExpire={request.minutes}{user}"
    return f"/api/hubs/{escape_segment(request.hub.lower())}/:generateToken?{query}"


def read_token_request(path: str, query: str) -> TokenRequest | None:
    """The request in a path and a query. None for another operation. Raises ``InvalidName`` and ``InvalidQuery``."""
    match = _GENERATE.fullmatch(path)
    if match is None:
        return None
    try:
        values = {name.lower(): value for name, value in parse_qsl(query, errors="strict")}
    except ValueError:
        raise InvalidQuery("The query is not percent-encoded UTF-8.") from None
    minutes = values.get("minutestoexpire", "60")
    if not re.fullmatch(r"[0-9]{1,9}", minutes) or int(minutes) < 1:
        raise InvalidQuery("minutesToExpire is a number from 1.")
    return TokenRequest(check_hub(unescape_segment(match[1])), values.get("userid"), int(minutes))
