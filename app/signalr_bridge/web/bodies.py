"""A request's body: its media type, its size, its bytes."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from signalr_bridge.errors import BodyTooLarge, InvalidHeader, MalformedJson, UnsupportedMediaType

JSON = "application/json"
BODY_SECONDS = 30.0
"""How long a body may take to come: whoever sends it keeps one of the places in flight."""


def media_type(request: Request) -> str:
    """The media type in lower case, without its parameters; empty when there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_media_type(request: Request, *accepted: str) -> str:
    """The request's media type; ``UnsupportedMediaType`` when it is not one of ``accepted``, or encoded."""
    given = media_type(request)
    if given not in accepted:
        raise UnsupportedMediaType(f"Send the body with the header 'Content-Type: {accepted[0]}'.")
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")
    return given


async def read_body(request: Request, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """The body, at most ``limit`` bytes; ``BodyTooLarge`` as soon as it is known to be larger, ``MalformedJson`` when
    it has not come to its end within ``seconds``."""
    declared = request.headers.get("content-length")
    if declared is not None and not (declared.isascii() and declared.isdigit()):
        raise InvalidHeader("The Content-Length is no number.")
    if declared is not None and int(declared) > limit:
        raise _too_large(request, limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read_chunks(request, limit)
    except (TimeoutError, ClientDisconnect):
        raise MalformedJson("The body did not come to its end in time.", headers={"Connection": "close"}) from None


async def _read_chunks(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(request, limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(request: Request, limit: int) -> BodyTooLarge:
    """What is on its way is still taken, and dropped: many a client reads no answer before it has sent all, and would
    find its connection reset. One that waits for leave to send it (``Expect``) never will."""
    headers = {"Connection": "close"} if "expect" in request.headers else {}
    return BodyTooLarge(f"The body may have {limit:,} bytes.", headers=headers)
