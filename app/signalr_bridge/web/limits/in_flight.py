"""How many requests are answered at once: more are turned away at the door, before they cost anything."""

from starlette.types import ASGIApp, Receive, Scope, Send

from signalr_bridge.errors import Overloaded
from signalr_bridge.web.problems import problem_response

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
