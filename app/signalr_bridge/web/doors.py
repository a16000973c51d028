"""Two doors to one application: the public one, for clients and the service, and the callers' own."""

from collections.abc import Sequence
from enum import StrEnum

from starlette.types import ASGIApp, Receive, Scope, Send

from signalr_bridge.errors import RouteNotFound
from signalr_bridge.web.cors import is_negotiate
from signalr_bridge.web.problems import NO_SUCH_ROUTE, problem_response

_HEALTH = "/health/"


class Door(StrEnum):
    """``ONLY``: there is one listener, for everybody."""

    ONLY = "only"
    PUBLIC = "public"
    CALLERS = "callers"


def door_of(scope: Scope) -> Door:
    """Through which door a request came. Raises ``KeyError`` for an application without ``Doors``."""
    door: Door = scope["door"]
    return door


class Entrance:
    """What a listener serves: the application, entered by ``door``."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["entrance"] = self._door
        await self.app(scope, receive, send)


class Doors:
    """Plain ASGI inside the application: a route that is not for a door does not exist there.

    ``upstream`` are the service's paths. ``separate``: callers have a door of their own, and whoever comes by an
    unknown one came by the public one.
    """

    def __init__(self, app: ASGIApp, upstream: Sequence[str], *, separate: bool) -> None:
        self.app = app
        self._upstream = tuple(upstream)
        self._separate = separate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            door = scope["door"] = scope.get("entrance", Door.PUBLIC) if self._separate else Door.ONLY
            if not self._leads(door, scope["path"]):
                await problem_response(RouteNotFound(NO_SUCH_ROUTE), scope["request_id"])(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _leads(self, door: Door, path: str) -> bool:
        if door is Door.ONLY or path.startswith(_HEALTH) or is_negotiate(path):
            return True
        return path.lower().startswith(self._upstream) is (door is Door.PUBLIC)
