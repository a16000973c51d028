"""Two doors to one application: the public one, for clients and the service, and the callers' own."""

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
    """``ONLY``: there is one listener, for everybody."""

    ONLY = "only"
    PUBLIC = "public"
    CALLERS = "callers"


def listener_of(scope: Scope) -> ListenerKind:
    """Through which kind a request came. Raises ``KeyError`` for an application without ``Doors``."""
    kind: ListenerKind = scope["listener"]
    return kind


class ListenerApp:
    """What a listener serves: the application, entered by ``kind``."""

    def __init__(self, app: ASGIApp, kind: ListenerKind) -> None:
        self.app = app
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["entered_by"] = self._kind
        await self.app(scope, receive, send)


class ListenerRouting:
    """Plain ASGI inside the application: a route that is not for a kind does not exist there.

    ``upstream`` are the service's paths. ``separate``: callers have a kind of their own, and whoever comes by an
    unknown one came by the public one.
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
            if not self._leads(kind, scope["path"]):
                await problem_response(RouteNotFound(NO_SUCH_ROUTE), scope["request_id"])(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _leads(self, kind: ListenerKind, path: str) -> bool:
        if kind is ListenerKind.ONLY or path.startswith(_HEALTH) or is_negotiate(path):
            return True
        return path.lower().startswith(self._upstream) is (kind is ListenerKind.PUBLIC)


_OPEN = ("/health/",)


class LoopbackGuard:
    """Refuses a foreign ``Host`` or ``Origin`` with 403; health stays open.

    The upstream is guarded too: the emulator's key, with which its calls are signed, is known to every page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = scope["type"] == "http" and not scope["path"].lower().startswith(_OPEN)
        if guarded and not is_of_this_machine(scope):
            error = Forbidden("In development only this machine's own programs and pages may call: use localhost.")
            await problem_response(error, scope["request_id"])(scope, receive, send)
            return
        await self.app(scope, receive, send)


def is_of_this_machine(scope: Scope) -> bool:
    """Whether a request names this machine as its host, and comes from no page of another one."""
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    origin = headers.get(b"origin", b"").decode("latin-1")
    return is_loopback(host) and (not origin or origin.lower() == f"http://{host.lower()}")


def is_loopback(host: str) -> bool:
    """Whether a ``Host`` header names this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


_NEVER_SHED = "/health/"


class InFlight:
    """Plain ASGI. Over ``most`` requests at once: 503 with ``Retry-After``."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self._most = most
        self._now = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_NEVER_SHED):
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
