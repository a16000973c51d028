"""ASSEMBLY: settings in, FastAPI application out; the only place where the parts of the bridge meet."""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import FastAPI

from signalr_bridge import __version__
from signalr_bridge.endpoints import routes as endpoint_routes
from signalr_bridge.endpoints.credentials import Credentials
from signalr_bridge.endpoints.directory import Builder, Built, EndpointDirectory
from signalr_bridge.endpoints.health import Health
from signalr_bridge.endpoints.key_rotation import KEPT_SECONDS, KeyRotation, RecentCredentials
from signalr_bridge.endpoints.prober import INTERVAL_SECONDS, Prober
from signalr_bridge.endpoints.rest_transport import RestTransport
from signalr_bridge.negotiate import routes as negotiate_routes
from signalr_bridge.negotiate.negotiator import ConnectionInfo, Negotiator
from signalr_bridge.negotiate.request import read_request
from signalr_bridge.negotiate.rules import build_clients
from signalr_bridge.outbound import routes as outbound_routes
from signalr_bridge.outbound.idempotency import Idempotency
from signalr_bridge.outbound.sender import Sender
from signalr_bridge.settings import Settings, Sources
from signalr_bridge.settings.live import LiveSettings, Watcher
from signalr_bridge.upstream import routes as upstream_document
from signalr_bridge.upstream import routes as upstream_routes
from signalr_bridge.upstream.authenticator import AnyVerifier, VerifiersOf, build_authenticators, collect_verifiers
from signalr_bridge.upstream.dispatch import ANY, Handler
from signalr_bridge.upstream.entra import EntraTokens, build_entra_tokens
from signalr_bridge.upstream.event_feed import EventFeed
from signalr_bridge.upstream.forward.backends import Backends
from signalr_bridge.upstream.forward.forward import Forward, build_forwards
from signalr_bridge.upstream.forward.queue import Backlog
from signalr_bridge.upstream.join import build_joins
from signalr_bridge.upstream.python.loading import load_handlers
from signalr_bridge.upstream.receiver import Receiver, build_receiver
from signalr_bridge.web.callers import Callers, build_callers, name_anonymous, read_keys
from signalr_bridge.web.cors import Cors
from signalr_bridge.web.document import DocumentedApp
from signalr_bridge.web.front import RequestContext
from signalr_bridge.web.guards import InFlight, ListenerRouting, LoopbackGuard
from signalr_bridge.web.hub_names import HubNames
from signalr_bridge.web.issuer_keys import IssuerKeys
from signalr_bridge.web.problems import install_problems


class Endpoints:
    """The directory, and what has to be opened for it. Without ``sources`` nothing changes while running.
    ``probe_seconds``: how often each is asked how it is."""

    def __init__(self, live: LiveSettings, sources: Sources | None, probe_seconds: float) -> None:
        inner, health = RestTransport(messagepack=live.current.calls.messagepack), Health(time.time)
        self.watcher = None if sources is None else Watcher(sources, live.take, clock=time.monotonic)
        self._keys = RecentCredentials(time.monotonic)
        transport = KeyRotation(inner, self._keys, reread=self._read_again, clock=time.monotonic)
        credentials = Credentials(
            live.current.authority_host,
            clock=time.time,
            random=random.random,
            wait_seconds=live.current.limits.deadline_seconds,
        )
        self._builder = Builder(
            transport, health, now=time.time, clock=time.monotonic, random=random.random, credentials=credentials
        )
        self._built = self._builder.build(live.current)
        self.directory = EndpointDirectory(self._built.endpoint_map)
        self._keys.use(self.directory.endpoints)
        self._prober = Prober(self.directory.endpoints, transport, health, random=random.random, interval=probe_seconds)
        self.opened: list[AbstractAsyncContextManager[Any]] = [credentials, inner, self._prober]
        if self.watcher is not None:
            self.opened.append(self.watcher)
        live.follow(self._prepare)

    def preview(self, settings: Settings) -> EndpointDirectory:
        """The directory as it would be with these settings."""
        return EndpointDirectory(self._builder.build(settings, self._built).endpoint_map)

    def _prepare(self, settings: Settings) -> Callable[[], None]:
        built = self._builder.build(settings, self._built)
        return lambda: self._use(built)

    def _use(self, built: Built) -> None:
        self._built = built
        self.directory.use(built.endpoint_map)
        self._keys.use(self.directory.endpoints)
        self._prober.watch(self.directory.endpoints)
        asyncio.get_running_loop().call_later(KEPT_SECONDS + 1, self._keys.forget)

    async def _read_again(self) -> None:
        if self.watcher is not None:
            await self.watcher.read_again()


def verifiers_now(directory: EndpointDirectory, live: LiveSettings) -> VerifiersOf:
    """The verifiers of a hub as they are when somebody asks."""
    return lambda hub: find_verifiers(directory, live.current, hub)


def find_verifiers(directory: EndpointDirectory, settings: Settings, hub: str) -> list[AnyVerifier]:
    """The keys of all endpoints of the hub; those of all hubs for ``*``."""
    keys: dict[str, list[str]] = {}
    for endpoint in directory.endpoints if hub == ANY else directory.find(hub).endpoints:
        keys.setdefault(endpoint.name, []).extend(endpoint.credential.verifying_keys)
    named = {one.name: one.upstream_app_id for one in settings.all_endpoints() if one.upstream_app_id is not None}
    return collect_verifiers(keys, named)


def follow_upstream(
    live: LiveSettings,
    endpoints: Endpoints,
    receiver: Receiver,
    tokens: EntraTokens | None,
    hub_tokens: Mapping[str, EntraTokens | None],
) -> None:
    """Codes and keys; a change that leaves a handler without anybody to vouch for its calls is refused."""

    def prepare(settings: Settings) -> Callable[[], None]:
        then = partial(find_verifiers, endpoints.preview(settings), settings)
        receiver.check(build_authenticators(settings, then, tokens, hub_tokens))
        trust = build_authenticators(settings, verifiers_now(endpoints.directory, live), tokens, hub_tokens)
        return lambda: receiver.rely_on(trust)

    live.follow(prepare)


def follow_forwards(live: LiveSettings, forwards: Sequence[Forward]) -> None:
    """The secrets that sign."""

    def prepare(settings: Settings) -> Callable[[], None]:
        named = {f"forward.{name}": one for name, one in settings.forward.items()}
        commits = [one.prepare(named[one.source]) for one in forwards]
        return partial(_do_all, commits)

    live.follow(prepare)


def _do_all(commits: Sequence[Callable[[], None]]) -> None:
    for commit in commits:
        commit()


def follow_callers(live: LiveSettings, callers: Callers) -> None:
    """Their keys."""
    live.follow(lambda settings: partial(callers.use, read_keys(settings.callers.keys)))


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
    sender = _make_sender(settings, endpoints.directory)
    backends, backlog = Backends(time.monotonic), Backlog()
    forwards = build_forwards(settings.forward, backends, sender, backlog)
    handlers: list[Handler] = [
        *build_joins(settings),
        *load_handlers(settings.handlers, default_seconds=settings.limits.handler_seconds),
        *forwards,
    ]
    app = _make_fastapi(settings, [*endpoints.opened, backends, backlog])
    app.state.directory, app.state.watcher = endpoints.directory, endpoints.watcher
    app.state.sender = sender
    app.state.idempotency = Idempotency(time.monotonic)
    app.state.negotiator = _make_negotiator(settings, endpoints.directory)
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
    app.add_middleware(
        ListenerRouting, upstream=upstream_routes.UPSTREAM_PATHS, separate=settings.callers.listen is not None
    )
    app.add_middleware(InFlight, most=settings.limits.in_flight)
    app.add_middleware(Cors, cors_of=lambda hub: settings.cors_of(hub or app.state.default_hub or ""))
    app.add_middleware(RequestContext)
    return app


def _make_sender(settings: Settings, directory: EndpointDirectory) -> Sender:
    return Sender(directory, clock=time.monotonic, default_seconds=settings.limits.deadline_seconds)


def _make_negotiator(settings: Settings, directory: EndpointDirectory) -> Negotiator:
    return Negotiator(directory, clock=time.time, is_lossless=lambda hub: settings.negotiate_of(hub).lossless_claims)


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


def _make_events() -> EventFeed:
    return EventFeed(now=lambda: datetime.now(UTC), clock=time.perf_counter, boot=secrets.token_hex(4))


def _make_receiver(
    live: LiveSettings, handlers: Sequence[Handler], endpoints: Endpoints, sender: Sender, events: EventFeed | None
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
    verifiers_of = verifiers_now(endpoints.directory, live)
    receiver = build_receiver(settings, handlers, verifiers_of, sender, tokens, events, hub_tokens)
    follow_upstream(live, endpoints, receiver, tokens, hub_tokens)
    return receiver


def _named_hubs(settings: Settings, handled: Iterable[str]) -> list[str]:
    """The hubs that settings and handlers name, each once, in lower case."""
    default = [settings.default_hub] if settings.default_hub else []
    named = [*default, *settings.negotiate.hubs, *settings.hubs, *handled]
    return list(dict.fromkeys(hub.lower() for hub in named if hub != "*"))
