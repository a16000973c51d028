"""HTTP on a connection, by uvicorn, with the bounds that it lacks: how long a head is, and how long one may take."""

import asyncio
import secrets
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.errors import InvalidHeader
from app.web.problems import problem_response

LONGEST_HEAD = 65_536
"""How many bytes a request's line and headers may have, or what else is no body."""

HEAD_SECONDS = 30.0
"""How long a connection may stay open without a whole head: the first one, or one that has begun."""


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1. A head ends, and soon; what follows a body (trailers) adds no header; what is not HTTP is a problem.

    Proxies remove headers that only they may write, but look at no trailers.
    """

    _head_is_over = False
    _unread = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unread > LONGEST_HEAD:
            self.send_400_response("The headers are too large.")
        elif self._timer is None and self._waits_for_a_head():
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """In place of uvicorn's plain text. It closes the connection: where the next request begins is not known."""
        request_id = secrets.token_hex(16)
        problem = problem_response(InvalidHeader(f"This is no HTTP request: {msg}"), request_id)
        headers = [*problem.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(b"%s%s\r\n%s" % (STATUS_LINE[400], lines, problem.body))
        self.transport.close()

    # --- what the parser says

    def on_message_begin(self) -> None:
        self._head_is_over = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_is_over:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_is_over, self._unread = True, 0
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        super().on_message_complete()

    # --- time

    def _waits_for_a_head(self) -> bool:
        """Also while a body arrives that nobody reads, because the answer has been given."""
        cycle: Any = self.cycle
        return not self._head_is_over or cycle.response_complete

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        """An answer that is under way is not cut off by the next head that is slow: that one is looked at again."""
        self._timer = None
        cycle: Any = self.cycle  # None before the first head, whatever uvicorn's annotation says
        if cycle is None or cycle.response_complete:
            self.transport.close()
        else:
            self._start_timer()
