"""ASSEMBLY: settings in, application out. It is the only place where the parts of the bridge meet."""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from starlette.types import ASGIApp

from signalr_bridge import __version__
from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.endpoints.prober import INTERVAL_SECONDS
from signalr_bridge.functions.all_apps import make_function_apps
from signalr_bridge.functions.app import FunctionApps
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.python_app import PythonApp
from signalr_bridge.functions.remote_app import RemoteApp, RemoteFunctions
from signalr_bridge.hubs import HubList, name_hubs
from signalr_bridge.metrics.observer import MetricsObserver
from signalr_bridge.negotiate.negotiator import ConnectionInfo, Negotiator
from signalr_bridge.negotiate.request import read_request
from signalr_bridge.negotiate.rules import build_clients
from signalr_bridge.outbound.idempotency import Idempotency
from signalr_bridge.outbound.sender import Sender
from signalr_bridge.parts import Parts
from signalr_bridge.routes import list_routes
from signalr_bridge.runtime import RUNTIME, Runtime
from signalr_bridge.settings import Settings, Sources, check_embedded, check_servable
from signalr_bridge.settings.live import Check
from signalr_bridge.settings.model import FunctionAppSettings, FunctionsSettings
from signalr_bridge.snapshots import Entered, Snapshots
from signalr_bridge.telemetry import make_observers
from signalr_bridge.upstream import routes as upstream_routes
from signalr_bridge.upstream.dispatch import Handler
from signalr_bridge.upstream.event_feed import EventFeed
from signalr_bridge.upstream.feed_observer import FeedObserver
from signalr_bridge.upstream.forward.backends import Backends
from signalr_bridge.upstream.forward.forward import Forward, build_forwards
from signalr_bridge.upstream.forward.negotiate_forward import build_negotiate_forwards
from signalr_bridge.upstream.forward.queue import Backlog
from signalr_bridge.upstream.join import build_joins
from signalr_bridge.upstream.message_limit import MessageLimit
from signalr_bridge.upstream.negotiate_handlers import NegotiateHandlers
from signalr_bridge.upstream.outbox import RunningBridge
from signalr_bridge.upstream.python.hub import Hub
from signalr_bridge.upstream.python.hub_lifespan import HubLifespan
from signalr_bridge.upstream.python.loading import PythonHandlers, load_handlers
from signalr_bridge.upstream.python.loop_watch import LoopWatch
from signalr_bridge.upstream.receiver import Receiver, build_receiver
from signalr_bridge.web.authorize import Access, HubNames
from signalr_bridge.web.callers import build_callers, name_anonymous
from signalr_bridge.web.document import BridgeApp
from signalr_bridge.web.front import Front
from signalr_bridge.web.issuer_keys import IssuerKeys
from signalr_bridge.web.log_observer import LogObserver
from signalr_bridge.web.log_users import make_name_user
from signalr_bridge.web.observer import Observer, tell_all
from signalr_bridge.web.problems import install_problems
from signalr_bridge.web.refusals import Refusals
from signalr_bridge.web.shares import Shares
from signalr_bridge.web.table import Table

_LOG = logging.getLogger("signalr_bridge")

_DESCRIPTION = "The Azure Functions SignalR Service bindings as HTTP routes that any backend can call."
_OF_APPS = "Routes of function apps are the apps' own and do not stand here."


def create_app(
    settings: Settings,
    sources: Sources | None = None,
    *,
    runtime: Runtime = RUNTIME,
    probe_seconds: float = INTERVAL_SECONDS,
    observer: Observer | None = None,
    hubs: Iterable[Hub | type[Hub] | str] | None = None,
    python_app: PythonApp | None = None,
) -> BridgeApp:
    """The bridge as an application. It opens nothing until the application's lifespan begins.

    Raises ``SettingsError`` for handlers and templates that cannot be used, and where ``list_routes`` does.

    Args:
        settings: The settings to start with.
        sources: Where they came from. Their changes are followed. None means that nothing changes.
        runtime: The clocks, randomness and ids.
        probe_seconds: Seconds between two probes of an endpoint.
        observer: Is told what happens, instead of the log.
        hubs: Hubs of the application that the bridge is in, instead of those by entry point.
        python_app: The function app of the settings, where it is loaded already.
    """
    metrics = MetricsObserver() if settings.metrics else None
    events, observer = _make_observers(settings, runtime, observer, metrics)
    snapshots = Snapshots(settings, sources, runtime, observer, probe_seconds, _choose_check(hubs))
    parts = _make_parts(settings, snapshots, events, observer, runtime, _load_handlers(settings, hubs), python_app)
    return _make_app(settings, parts, runtime, observer, metrics)


def _make_parts(
    settings: Settings,
    snapshots: Snapshots,
    events: EventFeed,
    observer: Observer,
    runtime: Runtime,
    loaded: PythonHandlers,
    python_app: PythonApp | None,
) -> Parts:
    directory = EndpointDirectory(snapshots.endpoint_map)
    sender = _make_sender(settings, directory, runtime, observer)
    backends, backlog = Backends(runtime.clock, settings.limits.connections), _make_backlog(settings)
    negotiate_handlers = _make_negotiate_handlers(snapshots, loaded, backends, sender, runtime)
    refusals, issuer_keys = Refusals(runtime.clock, runtime.new_id), IssuerKeys(runtime.clock, observer=observer)
    forwards = _make_forwards(snapshots, backends, backlog, sender, refusals, runtime, observer)
    negotiator = _make_negotiator(snapshots, directory, runtime)
    clients = build_clients(settings, issuer_keys, runtime, negotiate_handlers)
    bindings = Bindings(settings.without_secrets(), clients.rules_of, negotiator, directory, sender)
    remote_app = _make_remote_app(snapshots, bindings, backends, sender, backlog, refusals, runtime, observer)
    function_apps = make_function_apps(python_app, remote_app, settings, bindings, sender, runtime)
    handlers: list[Handler] = [*build_joins(settings), *loaded.events, *forwards, *function_apps.handlers]
    receiver = _make_receiver(snapshots, handlers, sender, events, refusals, runtime, observer)
    return Parts(
        access=_make_access(settings, snapshots, issuer_keys, handlers, negotiate_handlers, function_apps, runtime),
        clients=clients,
        directory=directory,
        negotiator=negotiator,
        client_signers=snapshots.client_signers,
        sender=sender,
        idempotency=Idempotency(runtime.clock),
        negotiate_handlers=negotiate_handlers,
        receiver=receiver,
        refusals=refusals,
        backends=backends,
        backlog=backlog,
        events=events,
        snapshots=snapshots,
        hub_lifespan=_make_hub_lifespan(settings, loaded, sender),
        function_apps=function_apps,
        remote_app=remote_app,
        hubs=HubList(snapshots.settings, lambda: receiver.dispatch, negotiate_handlers, lambda: function_apps.hubs),
    )


async def mint(settings: Settings, hub: str, body: bytes) -> ConnectionInfo:
    """What negotiation answers to a caller with this body. Handlers are not loaded, and nothing of theirs runs.

    Raises the errors of ``read_request`` and of ``Negotiator.negotiate``.
    """
    without = {"handlers": (), "forward": {}, "function_app": FunctionAppSettings(), "functions": FunctionsSettings()}
    app = create_app(settings.model_copy(update=without), hubs=())
    parts: Parts = app.state.parts
    async with app.router.lifespan_context(
        app
    ):  # an identity may have to be asked, by clients that the lifespan closes
        return await parts.negotiator.negotiate(hub, read_request(body, parts.clients.rules_of(hub).defaults))


def _choose_check(hubs: object) -> Check:
    """How settings are checked: those of a server of its own, or those of a bridge in an application with hubs."""
    return check_servable if hubs is None else check_embedded


def _load_handlers(settings: Settings, hubs: Iterable[Hub | type[Hub] | str] | None) -> PythonHandlers:
    """The handlers of the settings, and those that are given. None stands for those by entry point."""
    named = [*settings.handlers, *(hubs or ())]
    return load_handlers(named, None if hubs is None else (), default_seconds=settings.limits.handler_seconds)


def _make_observers(
    settings: Settings, runtime: Runtime, observer: Observer | None, metrics: Observer | None
) -> tuple[EventFeed, Observer]:
    """The feed of events, and the observer. With a console the feed is told, too. None stands for the log."""
    events = EventFeed(wall_clock=runtime.wall_clock, clock=runtime.clock, boot=runtime.new_id()[:8])
    observer = LogObserver(name_user=make_name_user(settings)) if observer is None else observer
    told = [observer, *([FeedObserver(events)] if settings.console else []), *make_observers()]
    told += [] if metrics is None else [metrics]
    return events, tell_all(told) if len(told) > 1 else observer


def _make_app(
    settings: Settings, parts: Parts, runtime: Runtime, observer: Observer, metrics: MetricsObserver | None
) -> BridgeApp:
    parts.remote_app.connect(parts.function_apps, parts.receiver, parts.access.hub_names, parts.directory)
    table = Table(
        list_routes(settings, parts.directory, None if metrics is None else metrics.registry),
        parts.function_apps.routes,
    )
    app = _make_fastapi(settings, table, _list_opened(parts))
    app.state.parts = parts
    app.front = _make_front(settings, table, app.serve, parts, runtime, observer)
    if metrics is not None:
        parts.show_states(metrics, app.front.shares)
    return app


def _list_opened(parts: Parts) -> list[Entered]:
    """What the application's lifespan enters, in this order, and leaves in the other one."""
    snapshots = parts.snapshots
    watched = [] if snapshots.watcher is None else [snapshots.watcher]
    calls: list[Entered] = [parts.backends, parts.backlog]
    return [
        *snapshots.opened,
        *watched,
        *calls,
        RunningBridge(parts.sender),
        LoopWatch(),
        parts.hub_lifespan,
        parts.remote_app,
        parts.function_apps,
    ]


def _make_fastapi(settings: Settings, table: Table, opened: Iterable[Entered]) -> BridgeApp:
    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for part in opened:
                await stack.enter_async_context(part)
            yield

    app = BridgeApp(
        table,
        upstream_routes.SCHEMES,
        title="signalr-bridge",
        version=__version__,
        description=_describe(settings),
        lifespan=lifespan,
        docs_url="/docs" if settings.docs else None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
        redirect_slashes=False,
        root_path=settings.root_path,
        # Else a provider that anything here installs gets every request, with the query, which may hold a key.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    install_problems(app)
    return app


def _describe(settings: Settings) -> str:
    has_apps = settings.function_app.folder or settings.functions.url
    return f"{_DESCRIPTION} {_OF_APPS}" if has_apps else _DESCRIPTION


def _make_front(
    settings: Settings, table: Table, fastapi: ASGIApp, parts: Parts, runtime: Runtime, observer: Observer
) -> Front:
    snapshots, default_hub = parts.snapshots, parts.access.hub_names.default or ""
    return Front(
        table,
        fastapi,
        parts,
        partial(snapshots.find_cors, default_hub),
        runtime=runtime,
        observer=observer,
        shares=Shares(settings.limits.in_flight, settings.limits.body_bytes, observer),
        separate=settings.callers.listen is not None,
        takes_notes=settings.console or settings.metrics,
        only_this_machine=settings.development,
    )


def _make_sender(settings: Settings, directory: EndpointDirectory, runtime: Runtime, observer: Observer) -> Sender:
    return Sender(
        directory,
        clock=runtime.clock,
        default_seconds=settings.limits.deadline_seconds,
        observer=observer if settings.console else None,
        auditor=observer,
        empty_means_all=settings.output.empty_means_all,
    )


def _make_negotiator(snapshots: Snapshots, directory: EndpointDirectory, runtime: Runtime) -> Negotiator:
    return Negotiator(directory, clock=runtime.wall_clock, is_lossless=snapshots.is_lossless)


def _make_hub_lifespan(settings: Settings, loaded: PythonHandlers, sender: Sender) -> HubLifespan:
    limits = settings.limits
    return HubLifespan(loaded.functions, sender, seconds=limits.handler_seconds, grace_seconds=limits.grace_seconds)


def _make_backlog(settings: Settings) -> Backlog:
    return Backlog(grace_seconds=settings.limits.grace_seconds)


def _make_negotiate_handlers(
    snapshots: Snapshots, loaded: PythonHandlers, backends: Backends, sender: Sender, runtime: Runtime
) -> NegotiateHandlers:
    asking = build_negotiate_forwards(snapshots.settings().forward, snapshots.signers, backends, runtime=runtime)
    return NegotiateHandlers(loaded.negotiate, asking, sender)


def _make_forwards(
    snapshots: Snapshots,
    backends: Backends,
    backlog: Backlog,
    sender: Sender,
    refusals: Refusals,
    runtime: Runtime,
    observer: Observer,
) -> list[Forward]:
    return build_forwards(
        snapshots.settings().forward,
        snapshots.signers,
        backends,
        sender,
        backlog,
        runtime=runtime,
        observer=observer,
        refusals=refusals,
    )


def _make_remote_app(
    snapshots: Snapshots,
    bindings: Bindings,
    backends: Backends,
    sender: Sender,
    backlog: Backlog,
    refusals: Refusals,
    runtime: Runtime,
    observer: Observer,
) -> RemoteApp:
    settings = snapshots.settings()
    functions = RemoteFunctions(
        settings.without_secrets(), snapshots.settings, bindings, backends, sender, backlog, runtime, observer, refusals
    )
    snapshots.check_with(lambda snapshot: functions.check(snapshot.settings))
    return RemoteApp(settings, functions)


def _make_receiver(
    snapshots: Snapshots,
    handlers: Sequence[Handler],
    sender: Sender,
    events: EventFeed,
    refusals: Refusals,
    runtime: Runtime,
    observer: Observer,
) -> Receiver:
    settings = snapshots.settings()
    if handlers and not settings.upstream.code and not settings.development:
        _LOG.warning("no BRIDGE_UPSTREAM__CODE is set: a signature covers the connection id alone, and can be replayed")
    per_second = settings.limits.client_messages_per_second
    receiver = build_receiver(
        snapshots.authenticator,
        handlers,
        sender,
        events if settings.console else None,
        most_bytes=settings.limits.upstream_bytes,
        observer=observer,
        clock=runtime.clock,
        refusals=refusals,
        message_limit=None if per_second is None else MessageLimit(per_second, runtime.clock, observer),
    )
    snapshots.check_with(lambda snapshot: receiver.check(snapshot.authenticator))
    return receiver


def _make_access(
    settings: Settings,
    snapshots: Snapshots,
    issuer_keys: IssuerKeys,
    handlers: Iterable[Handler],
    negotiate_handlers: NegotiateHandlers,
    function_apps: FunctionApps,
    runtime: Runtime,
) -> Access:
    """What admits callers, and which hubs exist: those that settings, handlers and functions name."""
    named = [*(one.hub for one in handlers), *negotiate_handlers.hubs, *function_apps.hubs]
    hubs = name_hubs(settings, named)
    granted = [hub for key in settings.callers.keys for hub in key.hubs or ()]
    everybody = ["*"] if "*" in settings.negotiate.hubs else []
    default = settings.default_hub or (hubs[0] if len(hubs) == 1 else None)
    return Access(
        build_callers(settings, issuer_keys, snapshots.key_ring, runtime),
        name_anonymous(settings),
        HubNames(granted, [*hubs, *everybody], only=settings.hubs_only, default=default),
        settings.trusted_proxies,
    )
