"""A request's body: its media type, its size, its bytes."""

from starlette.requests import Request

from app.errors import BodyTooLarge, InvalidHeader, UnsupportedMediaType

JSON = "application/json"


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


async def read_body(request: Request, limit: int) -> bytes:
    """The body, at most ``limit`` bytes; ``BodyTooLarge`` as soon as it is known to be larger."""
    declared = request.headers.get("content-length")
    if declared is not None and not (declared.isascii() and declared.isdigit()):
        raise InvalidHeader("The Content-Length is no number.")
    if declared is not None and int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have {limit:,} bytes.", headers={"Connection": "close"})
