"""ASGI guards around the application: listener kinds, loopback in development, and a limit of requests in flight."""

import ipaddress
from collections.abc import Sequence
from enum import StrEnum
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from signalr_bridge.errors import Forbidden, Overloaded, RouteNotFound
from signalr_bridge.web.cors import is_negotiate
from signalr_bridge.web.problems import NO_SUCH_ROUTE, problem_response

_HEALTH = "/health/"


class ListenerKind(StrEnum):
    """Which listener a request came through. ``ONLY`` means that there is one listener for all requests."""

    ONLY = "only"
    PUBLIC = "public"
    CALLERS = "callers"


def listener_of(scope: Scope) -> ListenerKind:
    """The kind of listener a request came through. Raises ``KeyError`` without ``ListenerRouting``."""
    kind: ListenerKind = scope["listener"]
    return kind


class ListenerApp:
    """The application as one listener serves it. It marks each request with the listener's kind."""

    def __init__(self, app: ASGIApp, kind: ListenerKind) -> None:
        self.app = app
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["entered_by"] = self._kind
        await self.app(scope, receive, send)


class ListenerRouting:
    """ASGI middleware inside the application: on a listener, routes for other kinds of listeners do not exist.

    Args:
        app: What comes next.
        upstream: The beginnings of the paths that the service calls, in lower case.
        separate: Whether callers have their own listener. Then a request without a mark counts as public.
    """

    def __init__(self, app: ASGIApp, upstream: Sequence[str], *, separate: bool) -> None:
        self.app = app
        self._upstream = tuple(upstream)
        self._separate = separate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            kind = scope["listener"] = (
                scope.get("entered_by", ListenerKind.PUBLIC) if self._separate else ListenerKind.ONLY
            )
            if not self._serves(kind, scope["path"]):
                await problem_response(RouteNotFound(NO_SUCH_ROUTE), scope["request_id"])(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _serves(self, kind: ListenerKind, path: str) -> bool:
        if kind is ListenerKind.ONLY or path.startswith(_HEALTH) or is_negotiate(path):
            return True
        return path.lower().startswith(self._upstream) is (kind is ListenerKind.PUBLIC)


class LoopbackGuard:
    """ASGI middleware for development: refuses a foreign ``Host`` or ``Origin`` with 403. Health stays open.

    The upstream is guarded too, because every page knows the emulator's key, which signs its calls.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = scope["type"] == "http" and not scope["path"].lower().startswith(_HEALTH)
        if guarded and not is_of_this_machine(scope):
            error = Forbidden("In development only this machine's own programs and pages may call: use localhost.")
            await problem_response(error, scope["request_id"])(scope, receive, send)
            return
        await self.app(scope, receive, send)


def is_of_this_machine(scope: Scope) -> bool:
    """Whether a request names this machine as its host, and does not come from a page of another machine."""
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    origin = headers.get(b"origin", b"").decode("latin-1")
    return is_loopback(host) and (not origin or origin.lower() == f"http://{host.lower()}")


def is_loopback(host: str) -> bool:
    """Whether the value of a ``Host`` header names this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class InFlight:
    """ASGI middleware: with ``most`` requests in flight, further ones get 503 with ``Retry-After``."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self._most = most
        self._now = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_HEALTH):
            await self.app(scope, receive, send)
            return
        if self._now >= self._most:
            error = Overloaded("Too many requests are being answered; try again.", headers={"Retry-After": "1"})
            await problem_response(error, scope["request_id"])(scope, receive, send)
            return
        self._now += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._now -= 1
