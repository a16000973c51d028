"""ASSEMBLY: settings in, FastAPI application out; the only place where the parts of the bridge meet."""

import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI

from signalr_bridge import __version__
from signalr_bridge.endpoints import routes as endpoint_routes
from signalr_bridge.endpoints.fleet import Fleet
from signalr_bridge.endpoints.health.schedule import INTERVAL_SECONDS
from signalr_bridge.fleet import Endpoints
from signalr_bridge.following import follow_callers, follow_forwards, follow_upstream, vouchers_now
from signalr_bridge.negotiate import routes as negotiate_routes
from signalr_bridge.negotiate.building import build_clients
from signalr_bridge.negotiate.negotiator import ConnectionInfo, Negotiator
from signalr_bridge.negotiate.request import read_request
from signalr_bridge.outbound import routes as outbound_routes
from signalr_bridge.outbound.idempotency import Idempotency
from signalr_bridge.outbound.sender import Sender
from signalr_bridge.settings import Settings, Sources
from signalr_bridge.settings.live import LiveSettings
from signalr_bridge.upstream import document as upstream_document
from signalr_bridge.upstream import routes as upstream_routes
from signalr_bridge.upstream.dispatch import Handler
from signalr_bridge.upstream.events import Events
from signalr_bridge.upstream.forward.backends import Backends
from signalr_bridge.upstream.forward.backlog import Backlog
from signalr_bridge.upstream.forward.forward import build_forwards
from signalr_bridge.upstream.join import build_joins
from signalr_bridge.upstream.python.loading import load_handlers
from signalr_bridge.upstream.receiver import Receiver, build_receiver
from signalr_bridge.upstream.trust.entra_tokens import build_entra_tokens
from signalr_bridge.web.callers.building import build_callers, name_anonymous
from signalr_bridge.web.cors import Cors
from signalr_bridge.web.document import DocumentedApp
from signalr_bridge.web.doors import Doors
from signalr_bridge.web.edge import Edge
from signalr_bridge.web.hub_names import HubNames
from signalr_bridge.web.limits.in_flight import InFlight
from signalr_bridge.web.loopback import LoopbackGuard
from signalr_bridge.web.problems import install_problems
from signalr_bridge.web.tokens.issuers import IssuerKeys

_LOG = logging.getLogger("signalr_bridge")

_DESCRIPTION = "The Azure Functions SignalR Service bindings as HTTP routes that any backend can call."


def create_app(
    settings: Settings, sources: Sources | None = None, *, probe_seconds: float = INTERVAL_SECONDS
) -> FastAPI:
    """The bridge. Builds its parts and opens nothing: that is done by the application's lifespan.

    ``sources`` are what ``settings`` came from: watched, and followed while running. ``probe_seconds``: every endpoint
    is asked so often how it is. Raises ``SettingsError`` for handlers and templates that cannot be used.
    """
    live = LiveSettings(settings)
    endpoints = Endpoints(live, sources, probe_seconds)
    sender = _make_sender(settings, endpoints.fleet)
    backends, backlog = Backends(time.monotonic), Backlog()
    forwards = build_forwards(settings.forward, backends, sender, backlog)
    handlers: list[Handler] = [
        *build_joins(settings),
        *load_handlers(settings.handlers, default_seconds=settings.limits.handler_seconds),
        *forwards,
    ]
    app = _make_fastapi(settings, [*endpoints.opened, backends, backlog])
    app.state.fleet, app.state.watcher = endpoints.fleet, endpoints.watcher
    app.state.sender = sender
    app.state.idempotency = Idempotency(time.monotonic)
    app.state.negotiator = _make_negotiator(settings, endpoints.fleet)
    app.state.events = events = _make_events()
    app.state.receiver = _make_receiver(live, handlers, endpoints, sender, events if settings.console else None)
    _admit(app, settings, _named_hubs(settings, [handler.hub for handler in handlers]))
    follow_forwards(live, forwards)
    follow_callers(live, app.state.callers)
    return app


async def mint(settings: Settings, hub: str, body: bytes) -> ConnectionInfo:
    """What negotiate answers to a caller with this body. Handlers are not loaded."""
    app = create_app(settings.model_copy(update={"handlers": (), "forward": {}}))
    negotiator: Negotiator = app.state.negotiator
    async with app.router.lifespan_context(app):  # an identity may have to be asked, over connections to be closed
        return await negotiator.negotiate(hub, read_request(body, app.state.clients.rules_of(hub).defaults))


def _make_fastapi(settings: Settings, opened: Iterable[AbstractAsyncContextManager[Any]]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for part in opened:
                await stack.enter_async_context(part)
            yield

    app = DocumentedApp(
        more_paths=upstream_document.PATHS,
        more_schemes=upstream_document.SCHEMES,
        title="signalr-bridge",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url="/docs" if settings.docs else None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
        redirect_slashes=False,
    )
    for router in (endpoint_routes.router, negotiate_routes.router, outbound_routes.router):
        app.include_router(router)
    if settings.console:
        app.include_router(upstream_routes.router)
    # First in the row: every event of every client comes here, and would try all the other routes before.
    app.router.routes[:0] = upstream_routes.upstream_routes()
    install_problems(app)
    if settings.development:
        app.add_middleware(LoopbackGuard)
    app.add_middleware(Doors, upstream=upstream_routes.UPSTREAM_PATHS, separate=settings.callers.listen is not None)
    app.add_middleware(InFlight, most=settings.limits.in_flight)
    app.add_middleware(Cors, cors_of=lambda hub: settings.cors_of(hub or app.state.default_hub or ""))
    app.add_middleware(Edge)
    return app


def _make_sender(settings: Settings, fleet: Fleet) -> Sender:
    seconds, messagepack = settings.limits.deadline_seconds, settings.calls.messagepack
    return Sender(fleet, clock=time.monotonic, default_seconds=seconds, messagepack=messagepack)


def _make_negotiator(settings: Settings, fleet: Fleet) -> Negotiator:
    return Negotiator(fleet, clock=time.time, is_lossless=lambda hub: settings.negotiate_of(hub).lossless_claims)


def _admit(app: FastAPI, settings: Settings, hubs: Sequence[str]) -> None:
    """Who gets in: callers, and clients of the hubs that settings and handlers name."""
    keys = IssuerKeys(time.monotonic)
    app.state.callers = build_callers(settings, keys, clock=time.time, monotonic=time.monotonic)
    app.state.clients = build_clients(settings, keys, clock=time.time, monotonic=time.monotonic)
    app.state.anonymous_callers = name_anonymous(settings)
    app.state.trusted_proxies = settings.trusted_proxies
    granted = [hub for key in settings.callers.keys for hub in key.hubs or ()]
    everybody = ["*"] if "*" in settings.negotiate.hubs else []
    app.state.hub_names = HubNames(granted, [*hubs, *everybody], only=settings.hubs_only)
    app.state.default_hub = settings.default_hub or (hubs[0] if len(hubs) == 1 else None)


def _make_events() -> Events:
    return Events(now=lambda: datetime.now(UTC), clock=time.perf_counter, boot=secrets.token_hex(4))


def _make_receiver(
    live: LiveSettings, handlers: Sequence[Handler], endpoints: Endpoints, sender: Sender, events: Events | None
) -> Receiver:
    settings = live.current
    tokens = build_entra_tokens(settings.upstream.entra, settings.authority_host, time.time, time.monotonic)
    if not settings.upstream.code and not settings.development:
        _LOG.warning("no BRIDGE_UPSTREAM__CODE is set: a signature covers the connection id alone, and can be replayed")
    own = {hub: one.upstream.entra for hub, one in settings.hubs.items() if one.upstream is not None}
    hub_tokens = {
        hub: build_entra_tokens(entra, settings.authority_host, time.time, time.monotonic)
        for hub, entra in own.items()
        if entra != settings.upstream.entra
    }
    vouchers_of = vouchers_now(endpoints.fleet, live)
    receiver = build_receiver(settings, handlers, vouchers_of, sender, tokens, events, hub_tokens)
    follow_upstream(live, endpoints, receiver, tokens, hub_tokens)
    return receiver


def _named_hubs(settings: Settings, handled: Iterable[str]) -> list[str]:
    """The hubs that settings and handlers name, each once, in lower case."""
    default = [settings.default_hub] if settings.default_hub else []
    named = [*default, *settings.negotiate.hubs, *settings.hubs, *handled]
    return list(dict.fromkeys(hub.lower() for hub in named if hub != "*"))
