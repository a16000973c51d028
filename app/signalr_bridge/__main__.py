"""The command line: serve, dev, emulator, check, token, tail, init, import, azure."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (said in one line to an older Python, before it meets what it cannot read)
    sys.exit("signalr-bridge needs Python 3.11 or newer.")
if sys.platform == "win32":
    sys.exit("signalr-bridge does not run on Windows itself: use its container image, or WSL.")

import asyncio
import importlib
import logging
import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, NoReturn, TextIO

import typer

from signalr_bridge import __version__
from signalr_bridge.azure_commands import AzureCommands
from signalr_bridge.check import (
    examine,
    log_diagnostics,
    probe_endpoints,
    report_unreadable,
    write_diagnostics,
    write_json,
    write_text,
    write_verdict,
)
from signalr_bridge.endpoints.credentials import find_proxies
from signalr_bridge.errors import BridgeError, SettingsError
from signalr_bridge.event_loop import run_to_end
from signalr_bridge.functions.app_values import read_with_app
from signalr_bridge.hosts import find_unknown_hosts
from signalr_bridge.init import list_languages, write_project
from signalr_bridge.main import mint
from signalr_bridge.migration import migrate, write_settings
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.names import check_hub
from signalr_bridge.serve import run
from signalr_bridge.settings import Level, Review, Settings, Sources, review
from signalr_bridge.tail import watch
from signalr_bridge.telemetry import exporting
from signalr_bridge.token_check import check_token
from signalr_bridge.validation import review_to_serve
from signalr_bridge.web.logs import configure_logs, log_uncaught
from signalr_bridge.web.standard_streams import open_missing_streams, queue_standard_streams

_LOG = logging.getLogger("signalr_bridge")
cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Handlers = Annotated[list[str] | None, typer.Option("--handlers", help="Python handlers, as module:attribute")]
SettingsFiles = Annotated[
    list[Path] | None, typer.Option("--settings", help="bridge.toml or local.settings.json; the last one counts first")
]
FunctionApp = Annotated[Path | None, typer.Option("--function-app", help="the folder of a Python function app to run")]
Origins = Annotated[
    list[str] | None, typer.Option("--allow-origin", help="an origin, scheme://host[:port], whose pages may connect")
]


_SERVING = {"serve", "dev", "emulator"}
"""The commands that run until they are stopped, and answer others meanwhile."""


def main() -> None:
    """Run a command. A ``BridgeError`` is printed without its stack, and ends the process with exit code 1."""
    open_missing_streams()
    if sys.argv[1:2] and sys.argv[1] in _SERVING:  # what prints a few lines and ends may wait for its reader
        queue_standard_streams()
        log_uncaught()
    if os.getpid() == 1:  # of a container, and the kernel keeps a signal from it that it has no handler for
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))  # servers set their own later
    try:
        cli()
    except BridgeError as error:
        with suppress(OSError):
            print(error.detail, file=sys.stderr, flush=True)
        sys.exit(1)


def _print(line: object, file: TextIO | None = None) -> None:
    """Print a line at once. Raises ``SettingsError`` where it cannot be written, but for a reader that has gone."""
    try:
        print(line, file=file or sys.stdout, flush=True)
    except BrokenPipeError:
        raise  # typer ends the process quietly
    except OSError as error:
        stream = "standard output" if file is None else "standard error"
        raise SettingsError(f"{stream} takes nothing ({os.strerror(error.errno or 0).lower()}).") from None


def _print_version(wanted: bool) -> None:
    if wanted:
        _print(f"signalr-bridge {__version__}")
        raise typer.Exit


@cli.callback()
def root(version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version)] = False) -> None:
    """The Azure Functions SignalR Service bindings, for any backend."""


@cli.command()
def serve(
    host: Annotated[list[str] | None, typer.Option(help="address to listen on; :: is both families")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="port to listen on")] = None,
    uds: Annotated[str | None, typer.Option(help="Unix socket to listen on, instead of an address")] = None,
    settings: SettingsFiles = None,
    handlers: Handlers = None,
    function_app: FunctionApp = None,
) -> None:
    """Run the bridge, with settings from the environment and a file."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the bridge runs, it would end the process
    addresses = {"bridge_host": ",".join(host or ()) or None, "bridge_port": port, "bridge_uds": uds}
    flags = addresses | {"bridge_handlers": handlers or None}
    with exporting("signalr-bridge", __version__) as say_why_not:
        read = read_with_app(_find_sources(settings, flags | _name_app(function_app)))
        loaded = _accept_and_log(review_to_serve(read.values))
        say_why_not()
        run_to_end(run(loaded, read.sources, read.values, read.app))


@cli.command()
def dev(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="the bridge's port; 8080 by default")] = None,
    emulator_port: Annotated[int, typer.Option(min=0, max=65535, help="the emulator's port")] = 8888,
    endpoints: Annotated[int, typer.Option(min=1, max=20, help="how many emulators, on the next ports")] = 1,
    settings: SettingsFiles = None,
    handlers: Handlers = None,
    forward: Annotated[str | None, typer.Option(help="the URL of a backend that gets all events")] = None,
    secret: Annotated[str | None, typer.Option(help="signs what --forward posts: whsec_ and base64")] = None,
    remote: Annotated[bool, typer.Option("--remote", help="events may be posted to other machines")] = False,
    allow_origin: Origins = None,
    function_app: FunctionApp = None,
    reload: Annotated[bool, typer.Option("--reload", help="load the handlers anew when their files change")] = False,
) -> None:
    """Run bridge, emulated service and workbench on this machine alone, without an Azure account."""
    configure_logs("warning", None)
    development = _development()
    options = development.DevOptions(
        port=port,
        emulator_port=emulator_port,
        endpoints=endpoints,
        settings=_paths(settings),
        handlers=handlers or (),
        forward=forward,
        secret=secret,
        remote=remote,
        origins=allow_origin or (),
        function_app=None if function_app is None else str(function_app),
        reload=reload,
    )
    with exporting("signalr-bridge", __version__) as say_why_not:
        say_why_not()
        run_to_end(development.run_dev(options, os.environ))


@cli.command()
def emulator(
    port: Annotated[int, typer.Option(min=0, max=65535, help="the port to listen on")] = 8888,
    host: Annotated[str, typer.Option(help="the address to listen on; the emulator's key is public")] = "localhost",
    upstream: Annotated[str | None, typer.Option(help="the URL that gets the clients' events")] = None,
    config: Annotated[Path | None, typer.Option(help="settings.json with upstream templates")] = None,
    entra_issuer: Annotated[str | None, typer.Option(help="the https address of who issues Entra tokens")] = None,
    entra_role: Annotated[str, typer.Option(help="what identities may: owner, rest-owner or reader")] = "owner",
    allow_origin: Origins = None,
) -> None:
    """Run the emulated SignalR service alone."""
    configure_logs("info", None)
    if entra_role not in {"owner", "rest-owner", "reader"}:
        raise SettingsError("--entra-role is owner, rest-owner or reader.")
    template = config and _read(config)
    run = _development().run_emulator
    with exporting("signalr-emulator", __version__) as say_why_not:
        say_why_not()
        run_to_end(run(host, port, upstream, template, entra_issuer, entra_role, allow_origin or ()))


@cli.command()
def tail(
    url: Annotated[str, typer.Option(help="the bridge's address")] = "http://localhost:8080",
    key: Annotated[str | None, typer.Option(help="an API key; not needed for dev", envvar="SIGNALR_BRIDGE_KEY")] = None,
    every_kind: Annotated[
        bool, typer.Option("--all", help="also who negotiates, and what is sent and arrives")
    ] = False,
) -> None:
    """Print what the service calls and what handlers answer, until Ctrl-C. For `serve`: BRIDGE_CONSOLE=true."""
    asyncio.run(watch(url, key, every_kind=every_kind))


@cli.command()
def init(
    language: Annotated[str, typer.Argument(help=", ".join(list_languages()))],
    folder: Annotated[Path, typer.Argument(help="a new folder, or an empty one")] = Path("chat"),
) -> None:
    """Write a folder with a first handler, its test, settings, page and compose file."""
    for file in write_project(language, folder):
        _print(folder / file)
    _print(f"How to test and run it stands in {folder / 'README.md'}.")


@cli.command("import")
def import_app(
    folder: Annotated[Path, typer.Argument(help="the function app's folder, with its host.json")],
    out: Annotated[Path, typer.Option(help="the file to write; it must not be there yet")] = Path("bridge.toml"),
    no_run: Annotated[bool, typer.Option("--no-run", help="read files only, and load no code of the app")] = False,
) -> None:
    """Write a bridge.toml for a function app, and print what becomes of each function, and what needs a hand."""
    migration = migrate(folder, run=not no_run)
    for line in migration.table:
        _print(line)
    for line in write_settings(migration, out):
        _print(line)


@cli.command()
def check(
    settings: SettingsFiles = None,
    function_app: FunctionApp = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="also ask every endpoint whether it takes the credential")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Print what was understood of the settings, with secrets masked. Exit with 1 when one is wrong."""
    try:
        report = examine(_find_sources(settings, _name_app(function_app)).read())
    except SettingsError as error:
        report = report_unreadable(error)
    if probe and report.settings is not None:
        unknown = find_unknown_hosts(report.settings, report.values, find_proxies(os.environ))
        probes = asyncio.run(probe_endpoints(report.settings))
        report = replace(report, diagnostics=(*report.diagnostics, *unknown), probes=probes)
    for line in [write_json(report)] if as_json else write_text(report):
        _print(line)
    for line in () if as_json else write_diagnostics(report.diagnostics):
        _print(line, sys.stderr)
    if not as_json:
        _print(write_verdict(report))
    sys.exit(0 if report.good else 1)


@cli.command()
def token(
    hub: Annotated[str | None, typer.Option(help="the hub")] = None,
    user: Annotated[str | None, typer.Option(help="the user id")] = None,
    claim: Annotated[list[str] | None, typer.Option(help="a claim, as name=value; may be repeated")] = None,
    check: Annotated[
        str | None, typer.Option("--check", help="a token: whose is it, and would it be taken? `-` reads it from stdin")
    ] = None,
    settings: SettingsFiles = None,
) -> None:
    """Print a client's URL and access token, as negotiate would give them to a caller, or say whose a token is."""
    configure_logs("error", None)
    if (hub is None) is (check is None):
        raise SettingsError("token takes either --hub, for a new token, or --check, for one that is there.")
    loaded = _accept(review(_find_sources(settings, {}).read()))
    if hub is None:
        _check_token(loaded, check or "")
    hub = check_hub(hub)
    if not loaded.endpoints_of(hub):
        own = loaded.hubs.get(hub)
        raise SettingsError(f"No endpoint: set {(own and own.connection) or loaded.connection}.")
    claims: dict[str, list[str]] = {}
    for name, given, value in (one.partition("=") for one in claim or []):
        if not given:
            raise SettingsError("--claim is name=value.")
        claims.setdefault(name, []).append(value)
    info = asyncio.run(mint(loaded, hub, json_text.encode({"userId": user, "claims": claims})))
    _print(info.url)
    _print(info.access_token)


@cli.command()
def azure(settings: SettingsFiles = None) -> None:
    """Print the `az` lines that set up the configured SignalR instances. They hold no secret."""
    for line in AzureCommands(_accept(review(_find_sources(settings, {}).read()))).write():
        _print(line)


def _check_token(settings: Settings, text: str) -> NoReturn:
    """Print whose a token is. Exit with 1 when it would be refused."""
    report = asyncio.run(check_token(settings, sys.stdin.read() if text == "-" else text))
    for line in report.write():
        _print(line)
    sys.exit(0 if report.refusal is None else 1)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        raise SettingsError(f"The file '{file.name}' cannot be read.") from None


def _find_sources(files: list[Path] | None, flags: dict[str, Any]) -> Sources:
    return Sources(dict(os.environ), flags | {"bridge_settings_file": _paths(files) or None})


def _name_app(folder: Path | None) -> dict[str, str | None]:
    """The flag for the folder of a function app."""
    return {"bridge_function_app__folder": None if folder is None else str(folder)}


def _paths(files: list[Path] | None) -> list[str]:
    return [str(one) for one in files or ()]


def _accept(found: Review) -> Settings:
    for line in write_diagnostics([one for one in found.diagnostics if one.level is not Level.ERROR]):
        _print(line, sys.stderr)
    return found.accept()


def _accept_and_log(found: Review) -> Settings:
    """The settings. What deserves a remark is in the log, which is as they say, unless they are not accepted."""
    if found.settings is not None:
        configure_logs(found.settings.log_level, found.settings.log_format)
        log_diagnostics(found.diagnostics)
        return found.accept()
    return _accept(found)


def _development() -> ModuleType:
    try:
        return importlib.import_module("signalr_bridge.dev")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(tuple(f"signalr_bridge.{one}" for one in ("dev", "emulator", "demo"))):
            raise
        raise SettingsError(
            "dev and emulator are not in this image: those of the Dockerfile's targets dev and emulator have them."
        ) from None


if __name__ == "__main__":
    main()
