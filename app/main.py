"""ASSEMBLY: settings in, FastAPI application out; the only place where the parts of the bridge meet."""

import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI

from app import __version__
from app.endpoints import routes as endpoint_routes
from app.endpoints.endpoint import make_endpoint
from app.endpoints.health import Health
from app.endpoints.prober import Prober
from app.endpoints.registry import Registry
from app.endpoints.rest_transport import RestTransport
from app.negotiate import routes as negotiate_routes
from app.negotiate.identity import ClientRules
from app.negotiate.negotiator import Admission, Negotiator
from app.negotiate.template import parse_template
from app.outbound import routes as outbound_routes
from app.outbound.sender import Sender
from app.settings import Settings
from app.upstream import routes as upstream_routes
from app.upstream.dispatch import Handler
from app.upstream.events import Events
from app.upstream.forward.backends import Backends
from app.upstream.forward.backlog import Backlog
from app.upstream.forward.forward import build_forwards
from app.upstream.python.loading import load_handlers
from app.upstream.receiver import Receiver, build_receiver
from app.upstream.trust import AnyVoucher, write_vouchers
from app.upstream.trust.entra_tokens import build_entra_tokens
from app.web.callers import Callers
from app.web.edge import Edge
from app.web.loopback import LoopbackGuard
from app.web.problems import install_problems

_LOG = logging.getLogger("signalr_bridge")

_DESCRIPTION = "The Azure Functions SignalR Service bindings as HTTP routes that any backend can call."


def create_app(settings: Settings) -> FastAPI:
    """The bridge. Builds its parts and opens nothing: that is done by the application's lifespan.

    Raises ``SettingsError`` for handlers and templates that cannot be used.
    """
    transport = RestTransport()
    health = Health()
    registry = _make_registry(settings, transport, health)
    sender = Sender(registry, clock=time.monotonic, default_seconds=settings.limits.deadline_seconds)
    backends, backlog = Backends(time.monotonic), Backlog()
    handlers: list[Handler] = [
        *load_handlers(settings.handlers, default_seconds=settings.limits.handler_seconds),
        *build_forwards(settings.forward, backends, sender, backlog),
    ]
    app = _make_fastapi(settings, [transport, Prober(registry, transport, health), backends, backlog])
    app.state.registry = registry
    app.state.sender = sender
    app.state.callers = _make_callers(settings)
    app.state.negotiator = _make_negotiator(settings, registry)
    app.state.events = events = _make_events()
    app.state.receiver = _make_receiver(settings, handlers, registry, sender, events if settings.console else None)
    hubs = _named_hubs(settings, [handler.hub for handler in handlers])
    app.state.client_rules = _make_client_rules(settings, hubs)
    app.state.default_hub = settings.default_hub or (next(iter(hubs)) if len(hubs) == 1 else None)
    return app


def _make_fastapi(settings: Settings, opened: Iterable[AbstractAsyncContextManager[Any]]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for part in opened:
                await stack.enter_async_context(part)
            yield

    app = FastAPI(
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
    app.router.routes.extend(upstream_routes.upstream_routes())
    install_problems(app)
    if settings.development:
        app.add_middleware(LoopbackGuard)
    app.add_middleware(Edge)
    return app


def _make_registry(settings: Settings, transport: RestTransport, health: Health) -> Registry:
    endpoints = [make_endpoint(one.name, one.endpoint_type, one.connection, time.time) for one in settings.endpoints]
    return Registry(endpoints, transport, health, clock=time.monotonic, random=random.random)


def _make_callers(settings: Settings) -> Callers:
    keys = [(one.name, one.key.get_secret_value()) for one in settings.callers.keys]
    return Callers(keys, keyless=settings.development)


def _make_negotiator(settings: Settings, registry: Registry) -> Negotiator:
    return Negotiator(registry, clock=time.time, lossless_claims=settings.negotiate.lossless_claims)


def _make_client_rules(settings: Settings, hubs: Iterable[str]) -> ClientRules:
    rules = settings.negotiate
    template = None
    if rules.user_id is not None:
        template = parse_template(rules.user_id, setting="BRIDGE_NEGOTIATE__USER_ID", optional=settings.development)
    defaults = Admission(lifetime_seconds=rules.lifetime_seconds, close_on_expiry=rules.close_on_expiry)
    return ClientRules(anonymous=rules.anonymous, template=template, hubs=[*hubs, *rules.hubs], defaults=defaults)


def _make_events() -> Events:
    return Events(now=lambda: datetime.now(UTC), clock=time.perf_counter, boot=secrets.token_hex(4))


def _make_receiver(
    settings: Settings, handlers: Sequence[Handler], registry: Registry, sender: Sender, events: Events | None
) -> Receiver:
    named = {one.name: one.upstream_app_id for one in settings.endpoints if one.upstream_app_id is not None}
    tokens = build_entra_tokens(settings.upstream.entra, settings.authority_host, time.time, time.monotonic)
    if not settings.upstream.code and not settings.development:
        _LOG.warning("no BRIDGE_UPSTREAM__CODE is set: a signature covers the connection id alone, and can be replayed")
    return build_receiver(settings, handlers, lambda _: _make_vouchers(registry, named), sender, tokens, events)


def _make_vouchers(registry: Registry, applications: Mapping[str, str]) -> list[AnyVoucher]:
    """The keys of all endpoints: every endpoint belongs to every hub."""
    keys: dict[str, list[str]] = {}
    for endpoint in registry.endpoints:
        keys.setdefault(endpoint.name, []).extend(endpoint.credential.verifying_keys)
    return write_vouchers(keys, applications)


def _named_hubs(settings: Settings, handled: Iterable[str]) -> list[str]:
    """The hubs that settings and handlers name, each once, in lower case."""
    named = [*([settings.default_hub] if settings.default_hub else []), *settings.negotiate.hubs, *handled]
    return list(dict.fromkeys(hub.lower() for hub in named if hub != "*"))
