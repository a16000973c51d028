"""Requests as the front makes them, and fronts around a few routes."""

from collections.abc import Sequence
from dataclasses import dataclass

from signalr_bridge.settings.access import CorsSettings
from signalr_bridge.web.asgi_request import AsgiRequest
from signalr_bridge.web.authorize import Access, HubNames
from signalr_bridge.web.callers import Callers, KeyRing
from signalr_bridge.web.guards import ListenerKind
from signalr_bridge.web.limits import Rate
from signalr_bridge.web.request import PartsByType, Request
from starlette.types import Message

from tests.unit.endpoints.fakes import Clock


@dataclass(frozen=True, slots=True)
class NoParts(PartsByType):
    """An application without parts."""


@dataclass(frozen=True, slots=True)
class OnlyAccess(PartsByType):
    """An application that knows who may call, and nothing else."""

    access: Access


def access(keys: KeyRing | None = None, anonymous: dict[ListenerKind, str] | None = None) -> Access:
    ring = KeyRing(()) if keys is None else keys
    return Access(Callers(lambda: ring, failures=Rate(1, Clock())), anonymous or {}, HubNames((), ("chat",)))


def no_cors(_: str | None) -> CorsSettings:
    return CorsSettings()


def request(
    *,
    path: dict[str, str] | None = None,
    query: bytes = b"",
    headers: Sequence[tuple[str, str]] = (),
    chunks: Sequence[bytes] = (b"",),
) -> Request:
    """A request whose body comes in chunks. ``path`` holds the segments of its path by parameter."""
    rest = list(chunks)

    async def receive() -> Message:
        return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest)}

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": "POST", "path": "/x", "query_string": query, "headers": raw}
    return Request(AsgiRequest(scope, receive), NoParts(), ListenerKind.ONLY, path or {})
