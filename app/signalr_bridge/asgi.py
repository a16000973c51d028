"""The bridge inside an app of one's own: mounted in an ASGI application, or connected without any HTTP."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import uuid4

from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from signalr_bridge.endpoints.outcome import Judgement, Result
from signalr_bridge.errors import NotRunning, NotStarted, SettingsError
from signalr_bridge.main import create_app
from signalr_bridge.negotiate.negotiator import ConnectionInfo, Negotiator
from signalr_bridge.negotiate.request import read_request
from signalr_bridge.negotiate.rules import ClientAdmission
from signalr_bridge.parts import Parts
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.names import check_hub
from signalr_bridge.protocol.rest import Message, Operation
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings import Level, Settings, Sources, check_embedded, review
from signalr_bridge.settings.sources import Reading
from signalr_bridge.settings.value import PROGRAM, Values
from signalr_bridge.telemetry import clean_spans, prepare_provider, use_provider
from signalr_bridge.upstream.hub_api import HubOutbox
from signalr_bridge.upstream.outbox import Outbox
from signalr_bridge.upstream.python.hub import Hub
from signalr_bridge.web.asgi_request import read_path
from signalr_bridge.web.authorize import EVERY
from signalr_bridge.web.document import BridgeApp
from signalr_bridge.web.front import REQUEST_ID
from signalr_bridge.web.problems import answer_problem
from signalr_bridge.web.request import MOUNTED

Given: TypeAlias = Mapping[str, Any] | None
"""Settings by their names, as in the environment. None is the environment itself."""

_LOG = logging.getLogger("signalr_bridge.asgi")

_OF_THE_HOST = (
    "bridge_host",
    "bridge_port",
    "bridge_uds",
    "bridge_callers:listen",
    "bridge_metrics_listen",
    "bridge_log_level",
    "bridge_log_format",
)
_OF_EVENTS = ("bridge_handlers", "bridge_forward:", "bridge_function_app:", "bridge_functions:")
_NOT_STARTED = (
    "The bridge is mounted, and its lifespan does not run: write FastAPI(lifespan=realtime.lifespan), or "
    "'async with realtime.lifespan(app)' in the lifespan of your own, where realtime is what bridge() returned."
)


@dataclass(frozen=True)
class _EmbeddedSources(Sources):
    """Sources without the settings that mean nothing here. ``left_out`` are their names, or what names begin with."""

    left_out: tuple[str, ...] = ()

    def complete(self, reading: Reading) -> Values:
        return self.leave_out(Sources.complete(self, reading))

    def leave_out(self, values: Values) -> Values:
        """The values that count here."""
        return {name: value for name, value in values.items() if not self._is_left_out(name)}

    def _is_left_out(self, name: str) -> bool:
        return name in self.left_out or (name.partition(":")[0] + ":") in self.left_out


def bridge(*, handlers: Iterable[Hub | type[Hub] | str] = (), settings: Given = None) -> "MountedBridge":
    """The bridge as an ASGI application to mount. Its life is joined to the host's by its ``lifespan``.

    The settings are those of ``serve``, without what is the host's: address, listeners, logs and signals. Nobody need
    be admitted as a caller. Handlers by entry point are not loaded.

    Args:
        handlers: Hubs, or their import strings, beside those in ``BRIDGE_HANDLERS``.
        settings: Settings by their names. None is the environment.

    Raises:
        SettingsError: A setting is missing or wrong. For handlers that cannot be used the lifespan raises it.
    """
    sources = _find_sources(settings, _OF_THE_HOST)
    values = Sources.complete(sources, sources.read_files())
    for name in _OF_THE_HOST:
        if (found := values.get(name)) is not None:
            _LOG.warning(f"{found.written} is not used here: that is up to the application that mounts the bridge")
    return MountedBridge(handlers, _accept(sources.leave_out(values)), sources)


class MountedBridge:
    """An ASGI application, which answers while its lifespan runs.

    Args:
        handlers: Hubs, or their import strings.
        settings: The settings to start with.
        sources: Where they came from. Their changes are followed.
    """

    def __init__(self, handlers: Iterable[Hub | type[Hub] | str], settings: Settings, sources: Sources) -> None:
        self._handlers, self._settings, self._sources = tuple(handlers), settings, sources
        self._app: BridgeApp | None = None
        self._router = Router(lifespan=self.lifespan)
        self._has_said = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._router(scope, receive, send)
        elif self._app is not None:
            # A copy, because the scope is the host's, who may look at it afterwards.
            with _clean_spans(self._app, scope):
                await self._app({**scope, MOUNTED: True}, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await self._refuse(scope, send)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """The life of the bridge, to be joined to that of the host. It may run again after it has ended.

        Args:
            app: The host's application, which is not needed. With this parameter it is a lifespan as hosts take it.

        Raises:
            SettingsError: A handler cannot be used, or this bridge runs already.
        """
        if self._app is not None:
            raise SettingsError("This bridge runs already: join its lifespan once, or mount another bridge().")
        use_provider()
        prepare_provider()
        # Ids are taken from a pool of its own, because processes that are forked would share one.
        made = create_app(self._settings, self._sources, hubs=self._handlers, runtime=Runtime())
        async with made.router.lifespan_context(made):
            self._app = made
            try:
                yield
            finally:
                self._app = None
                parts: Parts = made.state.parts
                parts.events.close()

    async def _refuse(self, scope: Scope, send: Send) -> None:
        if not self._has_said:
            self._has_said = True
            _LOG.error(_NOT_STARTED)
        given = [value for name, value in scope["headers"] if name == b"x-request-id"]
        request_id = given[-1].decode() if given and REQUEST_ID.fullmatch(given[-1]) else uuid4().hex
        answer = answer_problem(NotStarted(_NOT_STARTED), request_id)
        headers = [*answer.headers, (b"x-request-id", request_id.encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


def _clean_spans(app: BridgeApp, scope: Scope) -> AbstractContextManager[None]:
    """Cleans what the host exports of a request."""
    if scope["type"] != "http":
        return nullcontext()
    return clean_spans(scope["method"], app.front.table.find(read_path(scope))[0].template)


@asynccontextmanager
async def connect(settings: Given = None) -> AsyncIterator["ConnectedHubs"]:
    """The hubs of the settings, to send to and to negotiate for, without any HTTP of ours.

    It belongs to the event loop in which it is entered. Another process, one that is forked from this one among them,
    connects by itself.

    Args:
        settings: Settings by their names. None is the environment.

    Raises:
        SettingsError: A setting is missing or wrong.
    """
    sources = _find_sources(settings, (*_OF_THE_HOST, *_OF_EVENTS))
    use_provider()
    app = create_app(_accept(sources.read()), sources, hubs=(), runtime=Runtime())
    parts: Parts = app.state.parts
    async with app.router.lifespan_context(app):
        outbox = _OwnedOutbox(parts.sender, asyncio.get_running_loop())
        try:
            yield ConnectedHubs(outbox, parts)
        finally:
            outbox.close()


def _find_sources(settings: Given, left_out: tuple[str, ...]) -> _EmbeddedSources:
    if settings is None:
        return _EmbeddedSources(dict(os.environ), {}, left_out=left_out)
    return _EmbeddedSources(dict(settings), {}, place=PROGRAM, left_out=left_out)


def _accept(values: Values) -> Settings:
    """The settings. What deserves a warning is logged. Raises ``SettingsError``."""
    found = review(values)
    for one in found.diagnostics:
        if one.level is not Level.ERROR:
            _LOG.warning(str(one))
    settings = found.accept()
    check_embedded(settings)
    return settings


class ConnectedHubs(Mapping[str, "ConnectedHub"]):
    """The hubs by their names. Every hub that the service takes is there. Only those in the settings are listed.

    Args:
        outbox: By which all hubs are reached.
        parts: The parts of the bridge.
    """

    def __init__(self, outbox: "_OwnedOutbox", parts: Parts) -> None:
        self._outbox, self._parts = outbox, parts
        self._named = sorted(parts.access.hub_names.named - {EVERY})

    def __getitem__(self, hub: str) -> "ConnectedHub":
        """The hub. Raises ``InvalidName`` for a name that the service does not take."""
        return ConnectedHub(self._outbox, check_hub(hub), self._outbox, self._parts.negotiator, self._parts.clients)

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)


@dataclass(frozen=True, slots=True, repr=False)
class ConnectedHub(HubOutbox):
    """A hub to send to and to negotiate for."""

    _owned: "_OwnedOutbox"
    _negotiator: Negotiator
    _rules: ClientAdmission

    async def negotiate(
        self,
        *,
        user_id: str | None = None,
        claims: Mapping[str, Any] | None = None,
        lifetime_seconds: int | None = None,
        endpoint: str | None = None,
        close_on_expiry: bool | None = None,
    ) -> ConnectionInfo:
        """Where a client connects, and with which token. Who asks is trusted: no rule of the hub is asked.

        Args:
            user_id: The user. None is an anonymous client.
            claims: The claims by type: texts, numbers, booleans, or lists of these.
            lifetime_seconds: How long the token is valid. None is what the settings say.
            endpoint: The name of the endpoint. None leaves the choice to the bridge.
            close_on_expiry: Whether the service closes the connection when the token expires.

        Raises:
            InvalidItem: An argument is not one that the service takes.
            UnknownEndpoint: No endpoint of the hub has this name.
            NoEndpointAvailable: There is none to send a client to.
            CredentialInsufficient: The bridge's own identity may not make tokens.
            TokenTooLong: The claims are too many.
            NotRunning: The connection has ended, or belongs to another event loop.
        """
        self._owned.check()
        asked = {
            "userId": user_id,
            "claims": claims and dict(claims),
            "lifetimeSeconds": lifetime_seconds,
            "endpoint": endpoint,
            "closeOnExpiry": close_on_expiry,
        }
        defaults = self._rules.rules_of(self.hub).defaults
        return await self._negotiator.negotiate(self.hub, read_request(json_text.encode(asked), defaults))


class _OwnedOutbox(Outbox):
    """An outbox that works in one event loop alone, until it is closed. Otherwise it raises ``NotRunning``."""

    def __init__(self, outbox: Outbox, loop: asyncio.AbstractEventLoop) -> None:
        self._outbox, self._loop = outbox, loop
        self._is_closed = False

    def close(self) -> None:
        """Refuse what comes from now on."""
        self._is_closed = True

    def check(self) -> None:
        """Raise ``NotRunning`` where this is not to be used."""
        if self._is_closed:
            raise NotRunning("This connect() has ended: use its hubs within 'async with'.")
        if asyncio.get_running_loop() is not self._loop:
            raise NotRunning("This connect() belongs to another event loop or process: connect anew in this one.")

    async def perform(
        self, operation: Operation, message: Message | None = None, *, endpoint: str | None = None
    ) -> Result:
        self.check()
        return await self._outbox.perform(operation, message, endpoint=endpoint)

    async def perform_each(
        self, operations: Sequence[Operation], message: Message, *, endpoint: str | None = None
    ) -> Sequence[Result]:
        self.check()
        return await self._outbox.perform_each(operations, message, endpoint=endpoint)

    async def invoke(
        self, operation: Operation, message: Message, *, endpoint: str | None = None, seconds: float | None = None
    ) -> Judgement:
        self.check()
        return await self._outbox.invoke(operation, message, endpoint=endpoint, seconds=seconds)

    async def send_outputs(self, hub: str, outputs: bytes) -> Sequence[Judgement]:
        self.check()
        return await self._outbox.send_outputs(hub, outputs)
