"""A request as the app that answers it may see it, and the app's reply as an answer of the bridge."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from signalr_bridge.functions.invocation import FunctionFailed, HttpCall, HttpReply
from signalr_bridge.protocol.names import read_parameters
from signalr_bridge.protocol.platform_headers import hide_headers, is_imitation
from signalr_bridge.protocol.upstream_event import decode_header
from signalr_bridge.web.authorize import Access
from signalr_bridge.web.limits import is_trusted
from signalr_bridge.web.request import Request
from signalr_bridge.wire.exchange import HOP_BY_HOP, WITHOUT_BODY, Answer

_SECRET_PARAMETERS = frozenset({"access_token", "id", "code"})
_SECRET_HEADERS = frozenset({"authorization", "x-functions-key", "x-api-key"})
_OWN_LINES = frozenset({"content-length", "date", "x-request-id"})
"""What the bridge itself writes into each answer."""
_OF_CORS = "access-control-"
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_AUTHORITY = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,255}")


def read_call(
    request: Request, body: bytes, *, method: str, route: Mapping[str, str], believes_platform: bool
) -> HttpCall:
    """The request as the app may see it.

    Args:
        request: The request.
        body: Its body.
        method: The method that the function has. It is ``GET`` where a ``HEAD`` is answered by a function for that.
        route: The parameters of the route.
        believes_platform: Whether the app sees the platform's headers.
    """
    parts = _list_visible(request.incoming.query.decode("latin-1"))
    query: dict[str, list[str]] = {}
    for name, value in read_parameters("&".join(parts)):
        query.setdefault(name, []).append(value)
    headers: dict[str, list[str]] = {}
    for raw, line in request.incoming.headers:
        headers.setdefault(raw.decode("latin-1"), []).append(decode_header(line))
    authorization = headers.get("authorization", ())
    seen = {name: values for name, values in headers.items() if name not in _SECRET_HEADERS and not is_imitation(name)}
    return HttpCall(
        method,
        _write_url(request, parts),
        request.path,
        query,
        seen if believes_platform else hide_headers(seen),
        route,
        body,
        authorization,
    )


def _list_visible(query: str) -> list[str]:
    """The parts of the query that the app may see, as they came."""
    return [part for part in query.split("&") if part and not _is_secret(part)]


def _is_secret(part: str) -> bool:
    return any(name.lower() in _SECRET_PARAMETERS for name, _ in read_parameters(part))


def _write_url(request: Request, parts: Iterable[str]) -> str:
    """The absolute URL. Scheme and host are those that a trusted proxy reports, or else those of the request itself."""
    query = "&".join(parts)
    scheme, host = "http", request.header(b"host") or ""
    peer = request.incoming.peer
    if is_trusted("" if peer is None else peer[0], request.part(Access).trusted_proxies):
        scheme = _read_last(request, b"x-forwarded-proto") or scheme
        host = _read_last(request, b"x-forwarded-host") or host
    scheme = scheme.lower() if scheme.lower() in {"http", "https"} else "http"
    host = host if _AUTHORITY.fullmatch(host) else "localhost"
    return f"{scheme}://{host}{request.path}{'?' if query else ''}{query}"


def _read_last(request: Request, name: bytes) -> str:
    """The last value of a header. The nearest proxy has written it."""
    return (request.last_header(name) or b"").decode("latin-1").rpartition(",")[2].strip()


def write_reply(reply: HttpReply, request: Request, *, keeps_secret: bool) -> Answer:
    """The answer that an app's reply stands for. The front adds the request's id, and takes away a body after a HEAD.

    Where the settings allow the page's origin, the headers of CORS are the bridge's, because two of a kind are none.

    Args:
        reply: What the app answers.
        request: What it answers to.
        keeps_secret: Whether nobody may keep the answer, because it may hold a client's token.

    Raises:
        FunctionFailed: It is not an answer.
    """
    if not HTTPStatus.OK <= reply.status < 600:
        raise FunctionFailed(f"The function answered with status {reply.status}, which is not one from 200 to 599.")
    has_cors = any(name == b"access-control-allow-origin" for name, _ in request.answer_headers)
    left_out = HOP_BY_HOP | _OWN_LINES | _list_named(reply)
    lines = [
        _write_line(name, value)
        for name, value in reply.headers
        if name.lower() not in left_out and not (has_cors and name.lower().startswith(_OF_CORS))
    ]
    if keeps_secret and all(name != b"cache-control" for name, _ in lines):
        lines.append((b"cache-control", b"no-store"))
    if reply.status in WITHOUT_BODY:
        return Answer(reply.status, lines)
    lines.append((b"content-length", b"%d" % len(reply.body)))
    return Answer(reply.status, lines, reply.body)


def _list_named(reply: HttpReply) -> frozenset[str]:
    """The headers that the reply's own ``Connection`` names, which are the connection's, too."""
    named = ",".join(value for name, value in reply.headers if name.lower() == "connection")
    return frozenset(one.strip().lower() for one in named.split(",") if one.strip())


def _write_line(name: str, value: str) -> tuple[bytes, bytes]:
    """Raises ``FunctionFailed`` for what would not be one header line."""
    if not _NAME.fullmatch(name):
        raise FunctionFailed("The function answered with a header whose name is not one.")
    if _CONTROLS.search(value):
        raise FunctionFailed(f"The function answered with a line break in the header '{name[:64]}'.")
    return name.lower().encode(), value.strip(" \t").encode("utf-8", "replace")
