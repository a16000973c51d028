"""The bytes of an answer: status line, header lines, and the body behind them."""

import secrets
from http import HTTPStatus

from signalr_bridge.errors import BridgeError
from signalr_bridge.protocol.problem import MEDIA_TYPE, problem_headers, write_problem
from signalr_bridge.wire.exchange import Answer

CLOSE = b"connection: close\r\n"
"""The line that ends a connection."""

WITHOUT_BODY = frozenset({204, 304})
"""Statuses whose answers have neither a body nor a length.

Source: https://www.rfc-editor.org/rfc/rfc9110.html#section-6.4.1.
"""

_PHRASES = {one.value: one.phrase for one in HTTPStatus}
STATUS_LINES = {status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(100, 600)}
"""The first line of an answer by its status."""

BROKEN = Answer(
    500,
    ((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21"), (b"connection", b"close")),
    b"Internal Server Error",
)
"""The answer in place of one that an application could not make. It ends the connection."""

_END = b"\r\n"
_ENDS = b"\r\n\0"  # what one reader or another takes for the end of a line
_CLOSE_AND_END = CLOSE + _END


def asks_to_close(value: bytes) -> bool:
    """Whether the value of a ``connection`` header ends the connection."""
    return b"close" in [token.strip() for token in value.lower().split(b",")]


def write_answer(answer: Answer, first_lines: bytes, keep_alive: bool, is_head: bool) -> tuple[bytes, bool]:
    """The bytes of a whole answer, and whether the connection is kept behind it.

    Args:
        answer: The answer.
        first_lines: The header lines in front of its own.
        keep_alive: Whether the connection may be kept. Otherwise a line says that it ends.
        is_head: Whether the request was a HEAD. Then no body is written, because it would count as the next answer.

    Raises:
        ValueError: A header holds a line break or a NUL, or the answer's length is not that of its body.
    """
    parts: list[bytes] = []
    length, end = -1, _END if keep_alive else _CLOSE_AND_END
    for name, value in answer.headers:
        parts += (name, b": ", value, _END)
        if name == b"content-length":
            length = int(value)
        elif name == b"connection" and asks_to_close(value):
            keep_alive, end = False, _END
    lines = b"".join(parts)
    if len(lines.translate(None, _ENDS)) != len(lines) - len(_END) * len(answer.headers):
        raise ValueError("A header of the answer holds a line break or a NUL.")
    if is_head:
        return b"".join((STATUS_LINES[answer.status], first_lines, lines, end)), keep_alive
    if length != len(answer.body) and (answer.body or answer.status not in WITHOUT_BODY):
        raise ValueError("The answer's Content-Length is not the length of its body.")
    return b"".join((STATUS_LINES[answer.status], first_lines, lines, end, answer.body)), keep_alive


def write_refusal(error: BridgeError) -> bytes:
    """A whole answer to bytes that are not a request, with an id of its own. It ends the connection."""
    request_id = secrets.token_hex(16)
    body = write_problem(error, request_id)
    headers = problem_headers(error) | {
        "Content-Length": str(len(body)),
        "Content-Type": MEDIA_TYPE,
        "X-Request-Id": request_id,
        "Connection": "close",
    }
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
    return b"%s%s\r\n%s" % (STATUS_LINES[error.status], lines.encode("latin-1"), body)
