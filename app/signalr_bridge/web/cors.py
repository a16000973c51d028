"""CORS: web pages of configured origins may negotiate, with credentials, and nothing else.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

import re
from collections.abc import Callable, Iterable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from signalr_bridge.errors import InvalidName
from signalr_bridge.protocol.names import unescape_segment
from signalr_bridge.settings.access import CorsSettings

CorsOf = Callable[[str | None], CorsSettings]
"""Gives the settings of a hub, whose name is in lower case. None means the default hub, or no hub."""

HEADERS = ("authorization", "content-type", "x-requested-with", "x-signalr-user-agent")
"""The request headers that are always allowed, in lower case."""

_EXPOSED = b"X-Request-Id, Retry-After"
_NEGOTIATE = re.compile(r"/hubs/([^/]*)/negotiate|/api/negotiate")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_VARY = [(b"vary", b"Origin")]


def is_negotiate(path: str) -> bool:
    """Whether a raw path belongs to a negotiate route for clients."""
    return _NEGOTIATE.fullmatch(path) is not None


def allows(origin: str, allowed: Iterable[str]) -> bool:
    """Whether a request's ``Origin`` is allowed. ``*`` in a pattern is one label. ``null`` is never allowed."""
    given = _normalise(origin)
    return given != "null" and any(_matches(_normalise(one), given) for one in allowed)


def _matches(pattern: str, origin: str) -> bool:
    if "*" not in pattern:
        return pattern == origin
    return re.fullmatch(r"[a-z0-9_-]+".join(map(re.escape, pattern.split("*"))), origin) is not None


def _normalise(origin: str) -> str:
    lowered = origin.lower()
    return lowered.removesuffix(_DEFAULT_PORTS.get(lowered.partition("://")[0], "/"))


class Cors:
    """ASGI middleware that answers preflights, without authentication.

    The headers for other answers, errors too, are put into ``scope["answer_headers"]``. ``RequestContext`` sends them.
    """

    def __init__(self, app: ASGIApp, cors_of: CorsOf) -> None:
        self.app = app
        self._cors_of = cors_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = _NEGOTIATE.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if match is None:
            await self.app(scope, receive, send)
            return
        settings = self._cors_of(_read_hub(match[1]))
        origin = _one(scope, b"origin")
        allowed = origin is not None and allows(origin.decode("latin-1"), settings.origins)
        extra = scope["answer_headers"]
        extra += _VARY
        if allowed and origin is not None:
            extra += [(b"access-control-allow-origin", origin), (b"access-control-allow-credentials", b"true")]
        if scope["method"] == "OPTIONS" and origin is not None and _one(scope, b"access-control-request-method"):
            extra += _preflight(settings.headers) if allowed else []
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        extra += [(b"access-control-expose-headers", _EXPOSED)] if allowed else []
        await self.app(scope, receive, send)


def _preflight(configured: Sequence[str]) -> list[tuple[bytes, bytes]]:
    headers = ", ".join(dict.fromkeys([*HEADERS, *(one.lower() for one in configured)]))
    return [
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", headers.encode()),
        (b"access-control-max-age", b"600"),
    ]


def _one(scope: Scope, name: bytes) -> bytes | None:
    values = [value for key, value in scope["headers"] if key == name]
    return values[0] if len(values) == 1 else None


def _read_hub(segment: str | None) -> str | None:
    try:
        return None if segment is None else unescape_segment(segment).lower()
    except InvalidName:
        return None
