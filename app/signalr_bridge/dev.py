"""The assembly for development: bridge, emulator and demo in one process, on two ports, and a chat page."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from signalr_bridge.emulator import Emulator, Role, read_upstream_settings
from signalr_bridge.errors import SettingsError
from signalr_bridge.main import Parts, create_app
from signalr_bridge.protocol.connection_string import parse_connection_string
from signalr_bridge.settings import CallersSettings, EndpointSettings, NegotiateSettings, Settings
from signalr_bridge.upstream.python.loading import load_handlers
from signalr_bridge.upstream.python.reloader import Reloader
from signalr_bridge.upstream.python.threads import Threads
from signalr_bridge.web.table import Audience, Route
from signalr_bridge.wire.server import Listener, bind, on_stop_signal

_HERE = Path(__file__).parent
DEMO = "signalr_bridge.demo:chat"
"""The handler that ``dev`` runs when it is given none."""


async def run_dev(
    port: int,
    emulator_port: int,
    handlers: Sequence[str],
    environment: Mapping[str, str],
    *,
    reload: bool = False,
    endpoints: int = 1,
) -> None:
    """Run bridge and emulators until a signal ends them.

    Args:
        port: The bridge's port. 0 takes a free one.
        emulator_port: The first emulator's port. 0 takes a free one for each.
        handlers: Python handlers, as ``module:attribute``. Without any, the demo's run.
        environment: The environment. Settings in it that ``dev`` ignores are named on standard error.
        reload: Whether handlers are loaded anew when their files change. The clients stay connected.
        endpoints: How many emulators run, on the ports from ``emulator_port`` on. All of them are primaries.

    Raises:
        SettingsError: A port is taken, or a handler cannot be loaded.
    """
    _say_what_is_ignored(environment)
    with bind("127.0.0.1", port, "--port") as sock:
        port = int(sock.getsockname()[1])
        upstream = f"http://127.0.0.1:{port}/upstream"
        async with AsyncExitStack() as stack:
            emulators = [
                await stack.enter_async_context(Emulator(one, "localhost", upstream=upstream))
                for one in ([0] * endpoints if emulator_port == 0 else range(emulator_port, emulator_port + endpoints))
            ]
            settings = _settings(port, [one.connection_string for one in emulators], handlers)
            app = create_app(settings, pages=_list_pages([one.port for one in emulators]))
            parts: Parts = app.state.parts
            listener = Listener(app, sock, grace_seconds=1, end_streams=parts.events.close)
            printing = asyncio.create_task(_print_when_started(listener, emulators))
            reloading = asyncio.create_task(_make_reloader(settings, parts).run()) if reload else None
            # The emulators end first. Their last events, that clients have gone, still reach the handlers.
            await listener.run_until_stopped(before=partial(_stop, emulators))
            printing.cancel()
            if reloading is not None:
                reloading.cancel()


async def _stop(emulators: Sequence[Emulator]) -> None:
    await asyncio.gather(*(one.stop() for one in emulators))


async def run_emulator(
    host: str, port: int, upstream: str | None, config: bytes | None, issuer: str | None, role: Role
) -> None:
    """Run the emulator alone until a signal ends it.

    Args:
        host: The address to listen on.
        port: The port to listen on. 0 takes a free one.
        upstream: The URL that gets the clients' events.
        config: A ``settings.json`` with upstream templates, which go before ``upstream``.
        issuer: The address of the issuer of Entra tokens.
        role: What identities may do.

    Raises:
        SettingsError: The port is taken, or an argument is malformed.
    """
    templates = [] if config is None else read_upstream_settings(config)
    told = templates or upstream or ()
    async with Emulator(port, host, upstream=told, entra_issuer=issuer, entra_role=role) as emulator:
        print(f"Connection string: {emulator.connection_string}", flush=True)
        stopped = asyncio.Event()
        on_stop_signal(stopped.set)
        await stopped.wait()


def _settings(port: int, connection_strings: Sequence[str], handlers: Sequence[str]) -> Settings:
    endpoints = [
        EndpointSettings(name=f"emulator{number}" if number > 1 else "default", connection=parse_connection_string(one))
        for number, one in enumerate(connection_strings, start=1)
    ]
    return Settings(
        host="127.0.0.1",
        port=port,
        endpoints=tuple(endpoints),
        default_hub="chat",
        handlers=tuple(handlers) or (DEMO,),
        callers=CallersSettings(),
        negotiate=NegotiateSettings(anonymous=True, user_id="{query.userId}", trust_client_input=True, hubs=("*",)),
        docs=True,
        console=True,
        development=True,
    )


def _make_reloader(settings: Settings, parts: Parts) -> Reloader:
    sys.dont_write_bytecode = True  # a compiled file knows a change by the second only
    seconds = settings.limits.handler_seconds
    load = partial(load_handlers, settings.handlers, threads=Threads(), default_seconds=seconds)
    return Reloader(settings.handlers, lambda: parts.use(load()), _say)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _say_what_is_ignored(environment: Mapping[str, str]) -> None:
    ignored = [name for name in environment if name.lower().startswith(("azuresignalr", "azure__signalr"))]
    for name in sorted(ignored):
        print(f"dev uses its own emulator: {name} is ignored.", file=sys.stderr)


def _list_pages(emulator_ports: Sequence[int]) -> list[Route]:
    """The routes of the chat page and its files. Raises ``SettingsError`` when the page's library is missing."""
    if not (_HERE / "static" / "signalr.min.js").exists():
        raise SettingsError("The chat page's library is missing: run 'make static'.")
    sources = " ".join(f"http://localhost:{one} ws://localhost:{one}" for one in emulator_ports)
    policy = f"default-src 'self'; connect-src 'self' {sources}; frame-ancestors 'none'; base-uri 'none'"

    async def page(_: Request) -> Response:
        return FileResponse(_HERE / "page" / "index.html", headers={"Content-Security-Policy": policy})

    served = {"/": page, "/page/{name}": _serve_folder("page"), "/static/{name}": _serve_folder("static")}
    return [
        Route(method, template, f"{method} {template}", endpoint=endpoint, audience=Audience.ANYBODY)
        for template, endpoint in served.items()
        for method in ("GET", "HEAD")
    ]


def _serve_folder(folder: str) -> Callable[[Request], Awaitable[Response]]:
    files = StaticFiles(directory=_HERE / folder)

    async def serve(request: Request) -> Response:
        return await files.get_response(request.path_params["name"], request.scope)

    return serve


async def _print_when_started(listener: Listener, emulators: Sequence[Emulator]) -> None:
    await listener.ready.wait()
    body = '{"target":"newMessage","arguments":["curl","hello"]}'
    base = f"http://localhost:{listener.port}"
    print(f"Chat: {base}/")
    for emulator in emulators:
        print(f"Connection string: {emulator.connection_string}")
    print(f"Try: curl -sS -X POST {base}/hubs/chat/send -H 'Content-Type: application/json' -d '{body}'", flush=True)
