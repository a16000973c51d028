"""A request that came by ASGI, and its path as it came."""

from urllib.parse import quote, unquote

from starlette.types import Receive, Scope

from signalr_bridge.wire.exchange import Disconnected, IncomingRequest


class AsgiRequest(IncomingRequest):
    """A request that came by ASGI."""

    __slots__ = ("_is_over", "_receive")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(
            scope["method"], read_path(scope), scope.get("query_string", b""), scope["headers"], scope.get("client")
        )
        self._receive, self._is_over = receive, False

    def whole_body(self) -> bytes | None:
        return None

    async def next_piece(self) -> bytes:
        while not self._is_over:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            self._is_over = not message.get("more_body", False)
            if piece := message.get("body", b""):
                return bytes(piece)
        return b""


def read_path(scope: Scope) -> str:
    """The path as it came, below that at which the application is mounted (``root_path``).

    A host may leave out the path as it came. The decoded one stands in then, without its ``%``: a name with one is
    refused, because nobody knows how it was escaped.
    """
    raw, root = scope.get("raw_path"), scope.get("root_path", "").rstrip("/")
    path: str = _escape(scope["path"]) if raw is None else raw.decode("latin-1")
    if not root:
        return path
    *above, below = path.split("/", root.count("/") + 1)
    # Some servers leave out of the path what a proxy has taken away.
    return f"/{below}" if unquote("/".join(above)) == root else path


def _escape(path: str) -> str:
    """The decoded path as a path. In place of a ``%`` stands what no name can hold."""
    return quote(path, safe="/:").replace("%25", "%FF")
