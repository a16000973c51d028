"""Development's guard: routes that need no key answer this machine's own programs and pages only.

A web page from elsewhere must not be able to use them: neither by a request of its own (foreign ``Origin``) nor by a
name that it makes point here (foreign ``Host``, DNS rebinding).
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from signalr_bridge.errors import Forbidden
from signalr_bridge.web.problems import problem_response

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
