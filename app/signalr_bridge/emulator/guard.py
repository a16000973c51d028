"""The guard in front of the emulator, whose key is public: web pages of other machines get no answer from it."""

from collections.abc import Iterable, Sequence

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.origin import allows, is_loopback, is_loopback_origin, is_origin

_HOST = "The emulator is called as localhost: a name that somebody makes point here could be that of a web page.\n"
_ORIGIN = "The emulator takes no web pages but this machine's: name the page's origin by --allow-origin.\n"


def check_origins(origins: Iterable[str]) -> None:
    """Raises ``SettingsError`` when one of them is not an origin."""
    if not all(map(is_origin, origins)):
        raise SettingsError("--allow-origin: an origin is scheme://host[:port], without a path or slash at its end.")


class Guard:
    """Refuses what a foreign page sends, by HTTP and by WebSocket, before anything else looks at it.

    A browser always tells the origin of a page that opens a WebSocket, or that calls another origin. A page whose own
    name points at this machine calls its own origin, and is found by its ``Host``.

    Args:
        app: Answers the other requests.
        origins: Further origins whose pages are taken, or patterns in which ``*`` is one label.

    Raises:
        SettingsError: An origin is malformed.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        check_origins(origins)
        self._app, self._origins = app, origins
        self.loopback_only = True
        """Whether the emulator listens on loopback alone. Elsewhere it may have any name, such as a container's."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands a request on, or answers it with 403."""
        refusal = self.judge(scope["headers"])
        app = self._app if refusal is None else PlainTextResponse(refusal, 403)
        await app(scope, receive, send)

    def judge(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Why a request with these headers is refused. None when it is not. Names are in lower case."""
        told = [(name, value.decode("latin-1")) for name, value in headers if name in {b"host", b"origin"}]
        hosts = [value for name, value in told if name == b"host"]
        if self.loopback_only and not (hosts and all(map(is_loopback, hosts))):
            return _HOST
        return None if all(self._takes(value) for name, value in told if name == b"origin") else _ORIGIN

    def _takes(self, origin: str) -> bool:
        return is_loopback_origin(origin) or allows(origin, self._origins)
