"""Functions in a program beside the bridge: what it has, by its files or by its own list, as parts of the bridge.

The program speaks the Functions host's custom-handler contract. Without a folder it is asked for its list at
``GET <url>/functions``, at the start and whenever a call of it has failed.
"""

import asyncio
import logging
import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.errors import MalformedJson, SettingsError
from signalr_bridge.functions.app import (
    AppFunctions,
    FunctionApps,
    Invoker,
    log_left_out,
    read_time_limit,
    sort_functions,
)
from signalr_bridge.functions.app_folder import HostFile, read_functions, read_host
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.description import Binding, FunctionDescription, read_description
from signalr_bridge.functions.remote_runner import LeftAlone, Program, RemoteBindings, RemoteRunner, list_bound
from signalr_bridge.protocol import json_text
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings.model import Settings
from signalr_bridge.settings.names import write_name
from signalr_bridge.tracing import Called
from signalr_bridge.upstream.dispatch import Handler
from signalr_bridge.upstream.forward.backends import IDLE_SECONDS, Backends
from signalr_bridge.upstream.forward.formats import Address, WebhookSigner
from signalr_bridge.upstream.forward.forward import Forward
from signalr_bridge.upstream.forward.functions import FunctionsFormat
from signalr_bridge.upstream.forward.queue import Backlog
from signalr_bridge.upstream.forward.rule import Rule
from signalr_bridge.upstream.outbox import Outbox
from signalr_bridge.upstream.receiver import Receiver
from signalr_bridge.web.authorize import HubNames
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.refusals import Refusals
from signalr_bridge.wire import client

LARGEST_LIST = 1024 * 1024
"""In bytes."""

ASK_SECONDS = 10.0
"""How long the program may take to give its list."""

FIRST_DELAY, LONGEST_DELAY = 0.25, 5.0
"""Seconds between two questions for the list. They double while there is no answer."""

_URL, _FOLDER, _SECRETS = (write_name(("functions", one)) for one in ("url", "folder", "secrets"))
_LONGEST_CALL, _RETRY_SECONDS = 3600.0, 60.0
_NAME = re.compile(r"[A-Za-z][\w-]{0,127}", re.ASCII)
_PREFIX = "x-functions-route-prefix"
_LOG = logging.getLogger("signalr_bridge.functions")


class RemoteFunctions:
    """Makes parts of the bridge of the program's functions.

    Args:
        settings: The settings of the bridge, and the app's own.
        current: Gives the settings in force, whose secrets sign calls.
        bindings: Fills inputs and sends outputs.
        backends: Posts calls.
        outbox: Takes the outputs of events.
        backlog: Keeps the order of each connection's events.
        runtime: The clocks, the random numbers and the ids.
        observer: Is told of every event that is posted again.
        refusals: Remembers connections that were refused after the service had its answer.
    """

    def __init__(
        self,
        settings: Settings,
        current: Callable[[], Settings],
        bindings: Bindings,
        backends: Backends,
        outbox: Outbox,
        backlog: Backlog,
        runtime: Runtime,
        observer: Observer,
        refusals: Refusals | None = None,
    ) -> None:
        self._settings, self._current, self._bindings = settings, current, bindings
        self._backends, self._outbox, self._backlog = backends, outbox, backlog
        self._runtime, self._observer, self._refusals = runtime, observer, refusals
        options = client.ClientOptions(idle_seconds=IDLE_SECONDS, connections=settings.limits.connections)
        self.requests = client.Client(options)
        """Asks for the list, and passes requests on. It is opened by who enters ``RemoteApp``."""
        self.has_failed = asyncio.Event()
        """Set by each call that failed."""
        self._program = Program(settings.functions.url or "", _URL, self.sign, self.has_failed.set, LeftAlone())

    def sign(self) -> WebhookSigner:
        """What signs calls at this moment."""
        return _make_signer(self._current())

    def check(self, settings: Settings) -> None:
        """Raise ``SettingsError`` for a malformed secret."""
        _make_signer(settings)

    def make(self, functions: Sequence[FunctionDescription], host: HostFile) -> AppFunctions:
        """The parts that these functions are. Raises ``SettingsError`` for one that could never work."""
        limit = read_time_limit(host, self._settings.limits.handler_seconds)
        longest = max(limit.call, limit.timer)
        seconds = longest if math.isfinite(longest) else _LONGEST_CALL
        runner = RemoteRunner(self._program, host, self._backends, self.requests, self._runtime, seconds)
        return sort_functions(
            functions,
            Invoker(runner, self._bindings, self._runtime, limit),
            self._bindings,
            host,
            AppSettings(self._settings.app_settings),
            is_beside=True,
            make_handler=partial(self._make_handler, min(limit.call, _LONGEST_CALL)),
        )

    def _make_handler(self, seconds: float, function: FunctionDescription, trigger: Binding) -> Handler:
        address = self._program.address(function.name)
        names = trigger.texts("parameterNames") or None
        form = FunctionsFormat(address, function.name, trigger.name, names, self._runtime.new_id, list_bound(function))
        hub, category, event = trigger.text("hubName").lower(), trigger.text("category").lower(), trigger.text("event")
        rule = Rule(function.source, hub, category, event, address.origin, form, seconds, _RETRY_SECONDS)
        return Forward(
            rule,
            lambda: {function.source: self.sign()},
            self._backends,
            self._outbox,
            self._backlog,
            runtime=self._runtime,
            observer=self._observer,
            refusals=self._refusals,
            bindings=RemoteBindings(function, trigger, self._bindings, self._program, self._runtime),
        )


def _make_signer(settings: Settings) -> WebhookSigner:
    return _keep_signer(tuple(one.get_secret_value() for one in settings.functions.secrets))


@lru_cache(4)
def _keep_signer(secrets: tuple[str, ...]) -> WebhookSigner:
    return WebhookSigner(secrets, _SECRETS)


class RemoteApp:
    """The program's functions while the bridge runs. It is entered once calls can be made.

    Args:
        settings: The settings.
        functions: Makes parts of the bridge of functions.

    Raises:
        SettingsError: The address or a secret is not one, or the functions of the folder could never work.

    Attributes:
        functions: The parts that are in force. Without a folder there are none before the program has given its list.
    """

    def __init__(self, settings: Settings, functions: RemoteFunctions) -> None:
        self._make, self._requests = functions.make, functions.requests
        self._has_failed, self._url = functions.has_failed, (settings.functions.url or "").rstrip("/")
        self._asks = bool(self._url) and settings.functions.folder is None
        self.functions = AppFunctions()
        _check(settings, functions)
        if settings.functions.folder is not None:
            self.functions = self._make(*_read_folder(Path(settings.functions.folder)))
        self._list: tuple[bytes, str | None] | None = None
        self._use: Callable[[AppFunctions, AppFunctions], None] = lambda old, new: None
        self._directory: EndpointDirectory | None = None
        self._task: asyncio.Task[None] | None = None

    def connect(
        self, apps: FunctionApps, receiver: Receiver, hub_names: HubNames, directory: EndpointDirectory
    ) -> None:
        """Say where the functions of a list go to, all as one, and what is not ready before there is one."""

        def use(old: AppFunctions, new: AppFunctions) -> None:
            others = [one for one in receiver.dispatch.handlers if one not in old.handlers]
            apps.swap(old, new)
            try:
                receiver.use([*others, *new.handlers])
            except SettingsError:
                apps.swap(new, old)
                raise
            hub_names.use(apps.hubs)

        self._use = use
        if self._asks:
            self._directory = directory
            directory.awaited = "the functions' program has not given its list"

    async def __aenter__(self) -> Self:
        self._requests.open()
        if self._asks:
            self._task = asyncio.create_task(self._follow(), name="list of functions")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._requests.close()

    async def _follow(self) -> None:
        """Ask for the list until it is there, and again whenever a call has failed."""
        while True:
            await self._ask_until_answered()
            await self._has_failed.wait()
            await asyncio.sleep(FIRST_DELAY)
            self._has_failed.clear()

    async def _ask_until_answered(self) -> None:
        delay, told = FIRST_DELAY, ""
        while (why := await self._ask()) is not None:
            if why != told:
                level = logging.WARNING if self._list is None else logging.ERROR
                _LOG.log(level, "list of functions not used", extra={"reason": why})
            told = why
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _ask(self) -> str | None:
        """Ask for the list, and use it. None where that is done, else why not."""
        try:
            response = await self._requests.request(
                "GET",
                f"{self._url}/functions",
                headers={"Accept": "application/json", "User-Agent": "signalr-bridge"},
                seconds=ASK_SECONDS,
                largest=LARGEST_LIST,
                called=Called("/functions", "functions"),
            )
        except client.ResponseTooLarge:
            return f"its list has more than {LARGEST_LIST:,} bytes"
        except client.CallFailed as error:
            return f"the program does not answer ({error})"
        if response.status != 200:
            return f"the program answered {response.status} when it was asked for its list"
        found = (response.body, response.headers.get(_PREFIX))
        return None if found == self._list else self._take(*found)

    def _take(self, body: bytes, prefix: str | None) -> str | None:
        host = HostFile() if prefix is None else HostFile(True, unquote(prefix).strip("/ "))
        try:
            new = self._make(read_list(body), host)
            self._use(self.functions, new)
        except SettingsError as error:
            return error.detail
        self.functions, self._list = new, (body, prefix)
        log_left_out(new.left_out)
        what = f"{len(new.handlers)} for events, {len(new.http)} for requests, {len(new.timers)} timers"
        _LOG.info("list of functions in use", extra={"what": what})
        if self._directory is not None:
            self._directory.awaited = ""
        return None


def _check(settings: Settings, functions: RemoteFunctions) -> None:
    given = settings.functions
    if given.url is None and given.folder is not None:
        raise SettingsError(
            "is missing: write the address of the program that runs the functions, such as http://app:7071.",
            setting=_URL,
        )
    if given.url is not None:
        functions.check(settings)
        functions.make([], HostFile())
        _check_address(given.url)


def _check_address(url: str) -> None:
    Address(url, _URL)
    if any(mark in url for mark in "{}?#"):
        raise SettingsError(
            "is the address of a program alone, without a query: write such as http://app:7071.", setting=_URL
        )


def _read_folder(folder: Path) -> tuple[Sequence[FunctionDescription], HostFile]:
    if not folder.is_dir():
        raise SettingsError(
            f"there is no folder '{folder.name}': name the one with the app's host.json.", setting=_FOLDER
        )
    found = read_functions(folder)
    if not found:
        raise SettingsError(
            f"the folder '{folder.name}' has no function.json: name the folder of the app, or leave this away, and the "
            "program is asked for its list.",
            setting=_FOLDER,
        )
    return found, read_host(folder)


def read_list(body: bytes) -> list[FunctionDescription]:
    """The functions that a program lists. Raises ``SettingsError`` for what is no such list."""
    try:
        document = json_text.decode(body)
    except MalformedJson:
        document = None
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        raise SettingsError("GET /functions gave no list of functions: each is a function.json with its 'name'.")
    names = [one.get("name") for one in document]
    if not all(isinstance(one, str) and _NAME.fullmatch(one) for one in names):
        raise SettingsError("GET /functions gave a function whose 'name' is missing, or is not a function's name.")
    if len({one.lower() for one in names}) != len(names):
        raise SettingsError("GET /functions gave two functions of one name.")
    return [read_description(one, name, f"functions.{name}") for one, name in zip(document, names, strict=True)]
