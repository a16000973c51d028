"""One request served by an ASGI application: its scope, the messages of its body, and those of its answer.

Source: https://asgi.readthedocs.io/en/latest/specs/www.html.
"""

import asyncio
import logging
import re
from typing import Any, Protocol
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

from signalr_bridge.wire.exchange import CLOSE, STATUS_LINES, WITHOUT_BODY, asks_to_close
from signalr_bridge.wire.request_reader import ReceivedRequest

_LOG = logging.getLogger("uvicorn.error")  # the name that servers of ASGI applications commonly log under

_NO_NAME = re.compile(rb'[\x00-\x1f\x7f()<>@,;:\[\]={} \t\\"]')
_NO_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Connection(Protocol):
    """The connection that an answer goes to."""

    is_full: bool
    """Whether the client accepts no further bytes for now."""

    def first_lines(self) -> bytes:
        """The header lines in front of those of each answer."""

    async def until_taken(self, request: ReceivedRequest) -> None:
        """Wait while the client accepts no further bytes."""

    def settle(self, request: ReceivedRequest) -> None:
        """Decide whether the connection is kept behind the answer, which goes out now."""

    def finish(self, request: ReceivedRequest) -> None:
        """All of the answer has been written."""

    def fail(self, request: ReceivedRequest) -> None:
        """Answer that the application could not. An answer that has begun breaks off with the connection."""


def build_scope(
    request: ReceivedRequest,
    *,
    scheme: str,
    server: tuple[str, int] | None,
    state: dict[str, Any],
) -> Scope:
    """The ASGI scope of a request.

    Args:
        request: The request.
        scheme: ``http`` or ``https``.
        server: The address and port that the client has connected to.
        state: What the application's lifespan has left for its requests. The scope gets a copy.
    """
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": request.version,
        "server": server,
        "client": request.peer,
        "scheme": scheme,
        "root_path": "",
        "headers": request.headers,
        "state": state.copy(),
        "method": request.method,
        "path": unquote(request.path) if "%" in request.path else request.path,
        "raw_path": request.path.encode("ascii"),
        "query_string": request.query,
    }


class AsgiCycle:
    """Runs an application for one request, and writes what it sends.

    Args:
        request: The request.
        connection: The connection that it came on.
        transport: What its answer is written to.
        loop: The event loop.
    """

    __slots__ = (
        "_connection",
        "_has_ended",
        "_head",
        "_is_chunked",
        "_left",
        "_loop",
        "_request",
        "_transport",
    )

    def __init__(
        self,
        request: ReceivedRequest,
        connection: Connection,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._request = request
        self._connection = connection
        self._transport = transport
        self._loop = loop
        self._has_ended = False  # all of the request's body has been handed over
        self._head = b""  # goes out with the body, or in the next turn of the event loop
        self._is_chunked = False
        self._left = 0

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Let the application answer. Whatever it raises is logged, and answered or ends the connection."""
        request = self._request
        try:
            result: object = await app(scope, self._receive, self._send)  # type: ignore[func-returns-value]
        except BaseException as error:
            _LOG.error("Exception in ASGI application\n", exc_info=error)
            self._break_off()
            return
        if result is not None:
            _LOG.error("ASGI callable should return None, but returned '%s'.", result)
            request.has_begun = True
            self._break_off()
        elif not request.has_begun and not request.is_disconnected:
            _LOG.error("ASGI callable returned without starting response.")
            self._break_off()
        elif not request.is_answered and not request.is_disconnected:
            _LOG.error("ASGI callable returned without completing response.")
            self._break_off()

    def _break_off(self) -> None:
        self._write_head()
        self._connection.fail(self._request)

    async def _receive(self) -> Message:
        request = self._request
        request.want_body()
        while not (request.is_disconnected or request.is_answered):
            if request.has_bytes or (request.is_whole and not self._has_ended):
                self._has_ended = request.is_whole
                return {"type": "http.request", "body": request.take(), "more_body": not self._has_ended}
            await request.until_change()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        request = self._request
        if self._connection.is_full:
            await self._connection.until_taken(request)
        if request.is_disconnected:
            return
        kind = message["type"]
        if request.is_answered:
            raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
        expected = "http.response.body" if request.has_begun else "http.response.start"
        if kind != expected:
            raise RuntimeError(f"Expected ASGI message '{expected}', but got '{kind}'.")
        if request.has_begun:
            self._send_body(message.get("body", b""), bool(message.get("more_body", False)))
        else:
            self._send_head(message["status"], message.get("headers", ()))

    def _send_head(self, status: int, headers: Any) -> None:
        request, is_chunked, says_close = self._request, None, False
        self._connection.settle(request)
        request.expects_continue, request.has_begun = False, True
        parts = [STATUS_LINES[status], self._connection.first_lines()]
        for name, value in headers:
            if _NO_NAME.search(name):
                raise RuntimeError("Invalid HTTP header name.")
            if _NO_VALUE.search(value):
                raise RuntimeError("Invalid HTTP header value.")
            name = name.lower()
            if name == b"content-length" and is_chunked is None:
                self._left, is_chunked = int(value), False
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self._left, is_chunked = 0, True
            elif name == b"connection" and asks_to_close(value):
                request.keep_alive, says_close = False, True
            parts += (name, b": ", value, b"\r\n")
        if not request.keep_alive and not says_close:
            parts.append(CLOSE)
        if is_chunked is None and request.method != "HEAD" and status not in WITHOUT_BODY:
            is_chunked = True
            parts.append(b"transfer-encoding: chunked\r\n")
        parts.append(b"\r\n")
        self._is_chunked = bool(is_chunked)
        self._head = b"".join(parts)
        self._loop.call_soon(self._write_head)

    def _write_head(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)

    def _send_body(self, body: bytes, more: bool) -> None:
        data, self._head = self._head, b""
        if self._request.method == "HEAD":
            self._left = 0
        elif self._is_chunked:
            data += b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            data += b"" if more else b"0\r\n\r\n"
        elif len(body) > self._left:
            self._head = data
            raise RuntimeError("Response content longer than Content-Length")
        else:
            self._left -= len(body)
            data += body
        if data and not self._transport.is_closing():
            self._transport.write(data)
        if not more:
            if self._left:
                raise RuntimeError("Response content shorter than Content-Length")
            self._connection.finish(self._request)
