"""Functions in a program beside the bridge: described by files or by the program's own list, and called over HTTP."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app import AppFunctions, Invoker, TimeLimit, read_time_limit, sort_functions
from signalr_bridge.functions.app_folder import HostFile, read_functions, read_host
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.description import FunctionDescription, Kind, read_description
from signalr_bridge.functions.handler_answer import Unused
from signalr_bridge.functions.program import SOURCE, Listing, Program, ProgramFormat, ProgramRunner
from signalr_bridge.protocol.upstream_event import CONNECTIONS
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings import Settings
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import Handler
from signalr_bridge.upstream.forward.backends import Backends
from signalr_bridge.upstream.forward.formats import BackendFailed, Format, Signers, WebhookSigner
from signalr_bridge.upstream.forward.forward import Forward
from signalr_bridge.upstream.forward.queue import Backlog
from signalr_bridge.upstream.forward.rule import Rule
from signalr_bridge.upstream.outbox import Outbox
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.refusals import Refusals

_LOG = logging.getLogger("signalr_bridge.functions")
_UNSIGNED = WebhookSigner((), "BRIDGE_FUNCTIONS__SECRETS")
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 5.0
_RETRY_SECONDS = 60.0
_MOST_SECONDS = 100.0
"""How long a call may take at most. The service gives up on an event sooner."""


@dataclass(frozen=True, slots=True)
class ProgramParts:
    """The parts of the bridge that call a program, and that handlers over HTTP share.

    Attributes:
        signers: Gives what signs calls.
        backends: Makes them.
        backlog: Keeps the order of each connection's events.
        outbox: Takes what handlers send.
        refusals: Remembers connections that were refused.
        observer: Is told of calls that are made again.
    """

    signers: Signers
    backends: Backends
    backlog: Backlog
    outbox: Outbox
    refusals: Refusals
    observer: Observer


class RemoteApp:
    """The functions of a program beside the bridge.

    With a folder they are known from the start. Else the program is asked for its list when this is entered, until it
    answers, and anew after a call that failed.

    Args:
        settings: The settings of the bridge, and the app's own.
        bindings: Fills inputs and sends outputs.
        parts: What calls the program.
        runtime: The clocks and ids.

    Attributes:
        functions: What the app brings. Nothing before the program has answered.
        is_known: Whether it is known what the app brings.
    """

    def __init__(self, settings: Settings, bindings: Bindings, parts: ProgramParts, runtime: Runtime) -> None:
        self._settings, self._bindings, self._parts, self._runtime = settings, bindings, parts, runtime
        self._unused = Unused()
        url, folder = settings.functions.url or "", settings.functions.folder
        self._program = Program(url, parts.signers, parts.backends, runtime, self._ask_again)
        self._folder = None if folder is None else Path(folder)
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._listed: Listing | None = None
        self.functions = AppFunctions() if self._folder is None else self._read_folder(self._folder)
        self.is_known = self._folder is not None
        self._use: Callable[[AppFunctions], None] = lambda functions: None

    def on_change(self, use: Callable[[AppFunctions], None]) -> None:
        """Tell ``use`` what the app brings whenever that changes. It raises ``SettingsError`` for what it refuses."""
        self._use = use

    async def __aenter__(self) -> Self:
        if self._folder is None:
            self._asked.set()
            self._task = asyncio.create_task(self._keep_asking(), name="functions of a program")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _ask_again(self) -> None:
        self._asked.set()

    async def _keep_asking(self) -> None:
        delay = _FIRST_DELAY
        while True:
            await self._asked.wait()
            self._asked.clear()
            if await self._ask():
                delay = _FIRST_DELAY
                await asyncio.sleep(_FIRST_DELAY)  # many calls may have failed by now
            else:
                await asyncio.sleep(delay)
                delay = min(2 * delay, _LONGEST_DELAY)
                self._asked.set()

    async def _ask(self) -> bool:
        """Ask the program for its list, and use it. Returns whether that is done."""
        try:
            listing = await self._program.list_functions()
        except BackendFailed as error:
            level = logging.DEBUG if self.is_known else logging.INFO
            _LOG.log(level, "functions not listed yet", extra={"backend": self._program.origin, "reason": str(error)})
            return False
        if listing == self._listed:
            return True
        try:
            functions = self._make(read_listing(listing.text, f"{self._program.origin}/functions"), _read_host(listing))
            self._use(functions)
        except SettingsError as error:
            extra = {"backend": self._program.origin, "reason": error.detail}
            _LOG.error("functions cannot be used", extra=extra)
            return self.is_known  # the former ones stay
        self.functions, self._listed, self.is_known = functions, listing, True
        count = len(functions.handlers) + len(functions.http) + len(functions.timers)
        _LOG.info("functions listed", extra={"backend": self._program.origin, "count": count})
        for one in functions.left_out:
            _LOG.warning("function left out", extra={"function": one.name, "reason": one.reason})
        return True

    def _read_folder(self, folder: Path) -> AppFunctions:
        if not folder.is_dir():
            raise SettingsError("is no folder: write the path of the app's own.", setting="BRIDGE_FUNCTIONS__FOLDER")
        return self._make(read_functions(folder), read_host(folder))

    def _make(self, functions: Sequence[FunctionDescription], host: HostFile) -> AppFunctions:
        limit = read_time_limit(host, self._settings.limits.handler_seconds)
        runner = ProgramRunner(
            self._program, min(limit.call, _MOST_SECONDS), self._unused, forwards=host.forwards_requests
        )
        invoker = Invoker(runner, self._bindings, self._runtime, limit)
        app_settings = AppSettings(self._settings.app_settings)
        found = sort_functions(functions, invoker, self._bindings, host, app_settings, is_beside=True)
        left_out = {one.name for one in found.left_out}
        triggered = [self._bindings.resolve(one) for one in functions if one.name not in left_out and _has_event(one)]
        return replace(found, handlers=[self._make_handler(one, invoker, limit) for one in triggered])

    def _make_handler(self, function: FunctionDescription, invoker: Invoker, limit: TimeLimit) -> Handler:
        trigger, parts = function.trigger, self._parts
        assert trigger is not None
        written_by = ProgramFormat(self._program, function, self._unused)
        rule = Rule(
            f"{SOURCE}.{function.name}",
            trigger.text("hubName").lower(),
            trigger.text("category").lower(),
            trigger.text("event"),
            self._program.origin,
            written_by,
            min(limit.call, _MOST_SECONDS),
            _RETRY_SECONDS,
        )

        async def prepare(context: Context) -> Format:
            if not function.inputs:
                return written_by
            named = written_by.name_arguments(context)
            inputs = await invoker.read_inputs(function, context, named)
            return ProgramFormat(self._program, function, self._unused, inputs)

        async def send_bound(context: Context, outputs: Mapping[str, bytes]) -> None:
            named = {} if context.category == CONNECTIONS else written_by.name_arguments(context)
            await invoker.send_outputs(function, context, named, outputs)

        def signers() -> Mapping[str, WebhookSigner]:
            return {rule.source: parts.signers().get(SOURCE, _UNSIGNED)}

        return Forward(
            rule,
            signers,
            parts.backends,
            parts.outbox,
            parts.backlog,
            runtime=self._runtime,
            observer=parts.observer,
            refusals=parts.refusals,
            prepare=prepare,
            send_bound=send_bound,
        )


def _has_event(function: FunctionDescription) -> bool:
    return function.trigger is not None and function.trigger.kind == Kind.SIGNALR_TRIGGER


def read_listing(text: bytes, source: str) -> list[FunctionDescription]:
    """The functions in a program's list. Raises ``SettingsError`` for what is not such a list.

    Args:
        text: A JSON array of ``function.json`` objects, each with its ``name``.
        source: Where it comes from.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise SettingsError(f"{source} is no JSON array of functions.")
    functions: list[FunctionDescription] = []
    for one in found:
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str) or not name:
            raise SettingsError(f"{source}: a function has no 'name'.")
        functions.append(read_description(one, name, f"{source}#{name}"))
    names = [one.name.lower() for one in functions]
    if len({*names}) < len(names):
        raise SettingsError(f"{source}: two functions have one name.")
    return functions


def _read_host(listing: Listing) -> HostFile:
    if listing.prefix is None:
        return HostFile()
    return HostFile(route_prefix=unquote(listing.prefix).strip("/ "))


def make_remote_app(
    settings: Settings, bindings: Bindings, parts: ProgramParts | None, runtime: Runtime
) -> RemoteApp | None:
    """The functions of the program that the settings name. None where they name none. Raises ``SettingsError``."""
    return None if not settings.functions.url or parts is None else RemoteApp(settings, bindings, parts, runtime)
