"""CORS: web pages of configured origins may negotiate, with credentials unless that is switched off, and nothing else.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from collections.abc import Callable, Sequence

from signalr_bridge.errors import InvalidName
from signalr_bridge.protocol.names import unescape_segment
from signalr_bridge.protocol.origin import allows, is_loopback_origin
from signalr_bridge.settings.access import CorsSettings
from signalr_bridge.web.request import Request

CorsOf = Callable[[str | None], CorsSettings]
"""Gives the settings of a hub, whose name is in lower case. None means the default hub, or no hub."""

HEADERS = ("authorization", "content-type", "x-requested-with", "x-signalr-user-agent")
"""The request headers that are always allowed, in lower case."""

_FUNCTION_KEY = "x-functions-key"
_EXPOSED = (b"access-control-expose-headers", b"X-Request-Id, Retry-After")
_CREDENTIALS = (b"access-control-allow-credentials", b"true")
_VARY = (b"vary", b"Origin")


def apply_cors(
    request: Request, cors_of: CorsOf, methods: str, *, of_app: bool = False, loopback: bool = False
) -> bool | None:
    """Adds the headers of CORS to every answer of a route that pages may call.

    Returns whether a preflight is allowed. None stands for a request that is not one. A preflight is answered without
    authentication. Errors have the headers, too.

    Args:
        request: The request.
        cors_of: Gives the settings of its hub.
        methods: The methods that the path takes, with commas.
        of_app: Whether a function answers, whose key a page may send in a header.
        loopback: Whether pages of this machine are allowed, at whatever port.
    """
    request.answer_headers.append(_VARY)
    origins = request.headers_of(b"origin")
    if len(origins) != 1:
        return None
    settings = find_settings(request, cors_of)
    allowed = is_allowed(origins[0], settings, loopback=loopback)
    if allowed:
        request.answer_headers.append((b"access-control-allow-origin", origins[0].encode("latin-1")))
        if settings.credentials:
            request.answer_headers.append(_CREDENTIALS)
    if request.method == "OPTIONS" and _asks_for_a_method(request):
        request.answer_headers += _preflight(settings.headers, methods, of_app=of_app) if allowed else []
        return allowed
    if allowed:
        request.answer_headers.append(_EXPOSED)
    return None


def find_settings(request: Request, cors_of: CorsOf) -> CorsSettings:
    """The settings of the hub that the path names, or those of the default hub."""
    return cors_of(_read_hub(request.hub_segment))


def is_allowed(origin: str, settings: CorsSettings, *, loopback: bool) -> bool:
    """Whether a page of this origin may negotiate. ``loopback`` is as ``apply_cors`` says."""
    return allows(origin, settings.origins) or (loopback and is_loopback_origin(origin))


def _asks_for_a_method(request: Request) -> bool:
    wanted = request.headers_of(b"access-control-request-method")
    return len(wanted) == 1 and bool(wanted[0])


def _preflight(configured: Sequence[str], methods: str, *, of_app: bool) -> list[tuple[bytes, bytes]]:
    keys = [_FUNCTION_KEY] if of_app else []
    headers = ", ".join(dict.fromkeys([*HEADERS, *keys, *(one.lower() for one in configured)]))
    return [
        (b"access-control-allow-methods", methods.encode()),
        (b"access-control-allow-headers", headers.encode()),
        (b"access-control-max-age", b"600"),
    ]


def _read_hub(segment: str | None) -> str | None:
    try:
        return None if segment is None else unescape_segment(segment).lower()
    except InvalidName:
        return None
