"""The command line: serve, dev, emulator, check, token, tail."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (said in one line to an older Python, before it meets what it cannot read)
    sys.exit("signalr-bridge needs Python 3.11 or newer.")

import asyncio
import gc
import importlib
import os
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
import uvloop

from app import __version__
from app.checking import examine, probe_endpoints, write_findings, write_json, write_text
from app.errors import BridgeError, SettingsError
from app.main import create_app
from app.protocol.access_token import check_length, client_audience, client_claims, client_url, sign_token
from app.settings import Level, Settings, check_servable, gather, review
from app.tail import watch
from app.web.listener import Listener, bind
from app.web.logs import configure_logs

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)

Handlers = Annotated[list[str] | None, typer.Option("--handlers", help="Python handlers, as module:attribute")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="bridge.toml or local.settings.json")]


def main() -> None:
    """Run a command; an error on purpose is one line (or one for each mistake) and exit code 1."""
    try:
        cli()
    except BridgeError as error:
        print(error.detail, file=sys.stderr)
        sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"signalr-bridge {__version__}")
        raise typer.Exit


@cli.callback()
def root(version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version)] = False) -> None:
    """The Azure Functions SignalR Service bindings, for any backend."""


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on")] = None,
    settings: SettingsFile = None,
    handlers: Handlers = None,
) -> None:
    """Run the bridge, with settings from the environment and a file."""
    loaded = _load(settings, {"bridge_host": host, "bridge_port": port, "bridge_handlers": handlers or None})
    check_servable(loaded)
    configure_logs(loaded.log_level, loaded.log_format)
    _run(_serve(loaded))


async def _serve(settings: Settings) -> None:
    app = create_app(settings)
    with bind(settings.host, settings.port, "BRIDGE_PORT") as sock:
        grace = settings.limits.grace_seconds
        listener = Listener(app, sock, grace_seconds=grace, end_streams=app.state.events.close)
        # What is alive now stays: not walking it again and again cuts the slowest requests to a third.
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        await listener.run_until_stopped()


@cli.command()
def dev(
    port: Annotated[int, typer.Option(help="the bridge's port")] = 8080,
    emulator_port: Annotated[int, typer.Option(help="the emulator's port")] = 8888,
    handlers: Handlers = None,
    reload: Annotated[bool, typer.Option("--reload", help="load the handlers anew when their files change")] = False,
) -> None:
    """Run bridge, emulator and a chat on this machine: no Azure account, no keys, loopback only."""
    configure_logs("warning", None)
    _run(_development().run_dev(port, emulator_port, handlers or [], os.environ, reload=reload))


@cli.command()
def emulator(
    port: Annotated[int, typer.Option(help="the port to listen on")] = 8888,
    host: Annotated[str, typer.Option(help="the address to listen on; the emulator's key is public")] = "localhost",
    upstream: Annotated[str | None, typer.Option(help="the URL that gets the clients' events")] = None,
    config: Annotated[Path | None, typer.Option(help="settings.json with upstream templates")] = None,
) -> None:
    """Run the emulated SignalR service alone."""
    configure_logs("info", None)
    _run(_development().run_emulator(host, port, upstream, config and _read(config)))


@cli.command()
def tail(
    url: Annotated[str, typer.Option(help="the bridge's address")] = "http://localhost:8080",
    key: Annotated[str | None, typer.Option(help="an API key; not needed for dev", envvar="SIGNALR_BRIDGE_KEY")] = None,
) -> None:
    """Print what the service calls and what handlers answer, until Ctrl-C. For `serve`: BRIDGE_CONSOLE=true."""
    asyncio.run(watch(url, key))


@cli.command()
def check(
    settings: SettingsFile = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="also ask every endpoint whether it takes the credential")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Print what was understood of the settings, secrets masked; exit 1 on a mistake."""
    report = examine(gather(os.environ, {"bridge_settings_file": settings and str(settings)}))
    if probe and report.settings is not None:
        report = replace(report, probes=asyncio.run(probe_endpoints(report.settings)))
    for line in [write_json(report)] if as_json else write_text(report):
        print(line)
    for line in () if as_json else write_findings(report.findings):
        print(line, file=sys.stderr)
    sys.exit(0 if report.good else 1)


@cli.command()
def token(
    hub: Annotated[str, typer.Option(help="the hub")],
    user: Annotated[str | None, typer.Option(help="the user id")] = None,
    claim: Annotated[list[str] | None, typer.Option(help="a claim, as name=value; may be repeated")] = None,
    settings: SettingsFile = None,
) -> None:
    """Print a client's URL and access token for the first endpoint, valid for an hour."""
    loaded = _load(settings, {})
    if not loaded.endpoints:
        raise SettingsError("No endpoint: set AzureSignalRConnectionString.")
    connection = loaded.endpoints[0].connection
    claims: dict[str, list[str]] = {}
    for name, _, value in (one.partition("=") for one in claim or []):
        claims.setdefault(name, []).append(value)
    audience = client_audience(connection.endpoint, hub)
    payload = client_claims(audience=audience, user_id=user, claims=claims, now=int(time.time()), lifetime=3600)
    print(client_url(connection.client_endpoint or connection.endpoint, hub))
    print(check_length(sign_token(payload, connection.access_key or "")))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        raise SettingsError(f"The file '{file.name}' cannot be read.") from None


def _load(file: Path | None, flags: dict[str, Any]) -> Settings:
    values = gather(os.environ, flags | {"bridge_settings_file": file and str(file)})
    found = review(values)
    for line in write_findings([one for one in found.findings if one.level is not Level.MISTAKE]):
        print(line, file=sys.stderr)
    return found.accept()


def _development() -> ModuleType:
    try:
        return importlib.import_module("app.dev")
    except ModuleNotFoundError as error:
        if error.name not in {"app.dev", "app.emulator", "app.demo"}:
            raise
        raise SettingsError("This installation has no development tools (dev and emulator).") from None


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


if __name__ == "__main__":
    main()
