"""The assembly for development: bridge, emulator and demo in one process, on two ports, and a chat page."""

import asyncio
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

from starlette.types import ASGIApp

from signalr_bridge.dev_secret import ForwardSecret, keep_secret
from signalr_bridge.dev_settings import FORWARD, DevSettings, is_remote, make_dev_settings
from signalr_bridge.emulator import Emulator, Role, check_origins, read_upstream_settings
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app_values import find_python_app
from signalr_bridge.functions.connections import DEFAULT as DEFAULT_CONNECTION
from signalr_bridge.functions.python_app import PythonApp
from signalr_bridge.main import create_app
from signalr_bridge.parts import Parts
from signalr_bridge.protocol.connection_string import parse_connection_string
from signalr_bridge.settings import EndpointSettings, Level, Settings, Sources, review
from signalr_bridge.settings.access import CorsSettings
from signalr_bridge.settings.traffic import LimitsSettings
from signalr_bridge.settings.value import Values
from signalr_bridge.upstream.forward.formats import Address, WebhookSigner
from signalr_bridge.upstream.forward.queue import Backlog
from signalr_bridge.upstream.python.loading import load_handlers
from signalr_bridge.upstream.python.reloader import Reloader
from signalr_bridge.upstream.python.threads import Threads
from signalr_bridge.web.logs import configure_logs
from signalr_bridge.wire.connection_limit import ConnectionLimit
from signalr_bridge.wire.server import STOP_SIGNALS, Listener, on_signals
from signalr_bridge.wire.sockets import bind

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class DevOptions:
    """The options of ``dev``, as the command line has them.

    Attributes:
        port: The bridge's port. 0 takes a free one. None is ``LocalHttpPort`` of a ``local.settings.json``, or 8080.
        emulator_port: The first emulator's port. 0 takes a free one for each.
        endpoints: How many emulators run, on the ports from ``emulator_port`` on. All of them are primaries.
        settings: Files with settings. The last one counts first.
        handlers: Python handlers, as ``module:attribute``.
        forward: The URL of a backend that gets all events of all hubs.
        secret: Signs these calls. None takes the one that was made before, or makes one.
        remote: Whether events may be posted to other machines.
        origins: Further origins whose pages may negotiate, and connect to the emulator.
        function_app: The folder of a Python function app.
        reload: Whether handlers are loaded anew when their files change. The clients stay connected.
    """

    port: int | None = None
    emulator_port: int = 8888
    endpoints: int = 1
    settings: Sequence[str] = ()
    handlers: Sequence[str] = ()
    forward: str | None = None
    secret: str | None = field(default=None, repr=False)
    remote: bool = False
    origins: Sequence[str] = ()
    function_app: str | None = None
    reload: bool = False


async def run_dev(options: DevOptions, environment: Mapping[str, str]) -> None:
    """Run bridge and emulators until a signal ends them.

    Args:
        options: The options of the command line.
        environment: The environment, with settings and with the folder of the user's state.

    Raises:
        SettingsError: A setting or an option is wrong, a port is taken, or a handler cannot be loaded.
    """
    check_origins(options.origins)
    secret = _find_secret(options, environment)
    sources = Sources(environment, _write_flags(options, secret))
    values = sources.read_as_written()  # an app's own vault need not be open here, where its connection is overruled
    found = make_dev_settings(values, remote=options.remote)
    found = replace(found, values=sources.stores.follow(found.values))
    settings = _accept(found)
    with bind(_HOST, next(one for one in (options.port, found.port, 8080) if one is not None), "--port") as sock:
        configure_logs(settings.log_level, settings.log_format)
        port, first = int(sock.getsockname()[1]), options.emulator_port
        # The bridge has a connection to each emulator for each of its calls at once, and that has two ends here.
        limit = ConnectionLimit.below_descriptors(settings.limits.connections * options.endpoints)
        emulate = partial(
            Emulator,
            host="localhost",
            upstream=f"http://{_HOST}:{port}/upstream",
            origins=options.origins,
            connection_limit=limit,
        )
        async with AsyncExitStack() as stack:
            emulators = [
                await stack.enter_async_context(emulate(one))
                for one in ([0] * options.endpoints if first == 0 else range(first, first + options.endpoints))
            ]
            settings = _complete(_allow(settings, options.origins), port, [one.connection_string for one in emulators])
            python_app = _load_app(found.values, sources.folder, emulators[0].connection_string)
            app = create_app(settings, python_app=python_app)
            if python_app is not None:
                python_app.enter("info")
            parts: Parts = app.state.parts
            grace = settings.limits.grace_seconds
            if options.forward is not None:
                parts.backends.advice[Address(options.forward, "--forward").origin] = "start it, or check --forward"
            listener = _make_listener(app, sock, settings.limits, parts, limit)
            hub = parts.access.hub_names.default or "chat"
            printing = asyncio.create_task(_print_when_started(listener, settings, hub, emulators, secret))
            reloading = _start_reloader(settings, parts, python_app) if options.reload else None
            # The emulators end first. Their last events, that clients have gone, still reach the handlers.
            await listener.run_until_stopped(
                begin_drain=parts.begin_drain, before=partial(_stop, parts.backlog, emulators, grace)
            )
            printing.cancel()
            if reloading is not None:
                reloading.cancel()


def _make_listener(
    app: ASGIApp, sock: socket.socket, limits: LimitsSettings, parts: Parts, limit: ConnectionLimit
) -> Listener:
    return Listener(
        app,
        sock,
        grace_seconds=limits.grace_seconds,
        drain_seconds=limits.drain_seconds,
        keep_alive_seconds=limits.keep_alive_seconds,
        end_streams=parts.begin_stop,
        limit=limit,
    )


def _find_secret(options: DevOptions, environment: Mapping[str, str]) -> ForwardSecret | None:
    """What signs the calls of ``--forward``. None without it. Raises ``SettingsError``."""
    if options.forward is None:
        if options.secret is not None:
            raise SettingsError("--secret signs what --forward posts: give the backend's URL by --forward.")
        return None
    Address(options.forward, "--forward")
    if is_remote(options.forward) and not options.remote:
        raise SettingsError("--forward is the address of another machine: add --remote if dev may post there.")
    if options.secret is None:
        return keep_secret(environment)
    WebhookSigner([options.secret], "--secret")
    return ForwardSecret(options.secret)


def _write_flags(options: DevOptions, secret: ForwardSecret | None) -> dict[str, object]:
    """The options that stand for settings."""
    flags: dict[str, object] = {
        "bridge_settings_file": list(options.settings) or None,
        "bridge_handlers": list(options.handlers) or None,
        "bridge_function_app__folder": options.function_app,
    }
    if secret is not None:
        flags |= {f"bridge_forward:{FORWARD}:url": options.forward, f"bridge_forward:{FORWARD}:secrets": [secret.text]}
    return flags


def _accept(found: DevSettings) -> Settings:
    """The settings, once it is said what they were made of. Raises ``SettingsError`` for those that are wrong."""
    reviewed = review(found.values)
    unused = (f"{one.level.value}: {one}" for one in reviewed.diagnostics if one.level is not Level.ERROR)
    for line in (*found.describe(), *unused):
        _say(line)
    return reviewed.accept()


def _load_app(values: Values, folder: Path, connection_string: str) -> PythonApp | None:
    """The function app of the settings. Its code finds the emulator where it would else find the service.

    Raises ``SettingsError`` for one that cannot be loaded.
    """
    more = {DEFAULT_CONNECTION: connection_string, "AZURE_FUNCTIONS_ENVIRONMENT": "Development"}
    return find_python_app(values, folder, more)


async def _stop(backlog: Backlog, emulators: Sequence[Emulator], grace_seconds: float) -> None:
    backlog.hurry(grace_seconds)  # the emulators wait for the answers to their events
    await asyncio.gather(*(one.stop() for one in emulators))


async def run_emulator(
    host: str,
    port: int,
    upstream: str | None,
    config: bytes | None,
    issuer: str | None,
    role: Role,
    origins: Sequence[str] = (),
) -> None:
    """Run the emulator alone until a signal ends it. A second signal ends it at once.

    Args:
        host: The address to listen on.
        port: The port to listen on. 0 takes a free one.
        upstream: The URL that gets the clients' events.
        config: A ``settings.json`` with upstream templates, which go before ``upstream``.
        issuer: The address of the issuer of Entra tokens.
        role: What identities may do.
        origins: Further origins whose pages may connect, beside those of this machine.

    Raises:
        SettingsError: The port is taken, or an argument is malformed.
    """
    templates = [] if config is None else read_upstream_settings(config)
    told = templates or upstream or ()
    emulator = Emulator(
        port,
        host,
        upstream=told,
        entra_issuer=issuer,
        entra_role=role,
        origins=origins,
        connection_limit=ConnectionLimit.below_descriptors(),
    )
    stopped = asyncio.Event()
    running = asyncio.create_task(_emulate(emulator, stopped))

    def stop() -> None:
        """End it, and at the second signal at once. It would wait for the upstream, which is told of each client."""
        if stopped.is_set():
            running.cancel()
        stopped.set()

    on_signals(STOP_SIGNALS, stop)
    await asyncio.wait([running])
    if not running.cancelled():
        running.result()


async def _emulate(emulator: Emulator, stopped: asyncio.Event) -> None:
    async with emulator:
        print(f"Connection string: {emulator.connection_string}", flush=True)
        await stopped.wait()


def _complete(settings: Settings, port: int, connection_strings: Sequence[str]) -> Settings:
    """The settings with the emulators as their endpoints, on this machine alone."""
    endpoints = tuple(
        EndpointSettings(name=f"emulator{number}" if number > 1 else "default", connection=parse_connection_string(one))
        for number, one in enumerate(connection_strings, start=1)
    )
    return settings.model_copy(update={"host": _HOST, "port": port, "endpoints": endpoints, "development": True})


def _allow(settings: Settings, origins: Sequence[str]) -> Settings:
    """The settings, with further origins whose pages may negotiate for every hub."""
    hubs = {
        name: hub if hub.cors is None else hub.model_copy(update={"cors": _add(hub.cors, origins)})
        for name, hub in settings.hubs.items()
    }
    return settings.model_copy(update={"cors": _add(settings.cors, origins), "hubs": hubs})


def _add(cors: CorsSettings, origins: Sequence[str]) -> CorsSettings:
    return cors.model_copy(update={"origins": (*cors.origins, *origins)})


def _start_reloader(settings: Settings, parts: Parts, python_app: PythonApp | None) -> "asyncio.Task[None] | None":
    if python_app is not None:
        _say("Nothing is loaded anew, because --reload does not see function apps: start dev again instead.")
        return None
    return asyncio.create_task(_make_reloader(settings, parts).run())


def _make_reloader(settings: Settings, parts: Parts) -> Reloader:
    sys.dont_write_bytecode = True  # a compiled file knows a change by the second only
    seconds = settings.limits.handler_seconds
    load = partial(load_handlers, settings.handlers, threads=Threads(), default_seconds=seconds)
    return Reloader(settings.handlers, lambda: parts.use(load()), _say)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


async def _print_when_started(
    listener: Listener, settings: Settings, hub: str, emulators: Sequence[Emulator], secret: ForwardSecret | None
) -> None:
    await listener.ready.wait()
    base = f"http://localhost:{listener.port}"
    print(f"Chat: {base}/" if settings.console else f"Bridge: {base}")
    for emulator in emulators:
        print(f"Connection string: {emulator.connection_string}")
    print(f"Try: {_write_example(base, settings, hub)}")
    if secret is not None:
        print("Events: all of them are posted to the address of --forward.")
    if secret is not None and secret.note is not None:
        print(f"Signing secret: {secret.text} ({secret.note})")
    sys.stdout.flush()


def _write_example(base: str, settings: Settings, hub: str) -> str:
    """What sends a message, as a line for a shell. Callers may need a key, which it does not hold."""
    key = '-H "X-API-Key: $KEY" ' if settings.callers.keys else ""
    body = '{"target":"newMessage","arguments":["curl","hello"]}'
    url = f"{base}/hubs/{quote(hub, safe='')}/send"
    return f"curl -sS -X POST {url} {key}-H 'Content-Type: application/json' -d '{body}'"
