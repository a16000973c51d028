"""Function apps as parts of the bridge: their functions become handlers, routes and timers."""

import asyncio
import logging
import math
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Self, TypeAlias

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app_folder import HostFile
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.binding_data import gather
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.description import Binding, FunctionDescription, Kind
from signalr_bridge.functions.expressions import BindingData
from signalr_bridge.functions.http_triggers import FunctionRoutes, HttpFunction
from signalr_bridge.functions.invocation import (
    FunctionFailed,
    FunctionResult,
    Invocation,
    Runner,
    TimerCall,
    TriggerData,
)
from signalr_bridge.functions.left_out import LeftOut, find_reason
from signalr_bridge.functions.signalr_triggers import check_triggers
from signalr_bridge.functions.timers import RunTimer, TimerFunction, Timers
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.runtime import Runtime
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import Handler
from signalr_bridge.upstream.forward.functions import name_arguments

_LOG = logging.getLogger("signalr_bridge.functions")
MakeHandler: TypeAlias = Callable[[FunctionDescription, Binding], Handler]
"""Makes the handler of a function that events of a hub start."""

_NOTHING: Mapping[str, Payload] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AppFunctions:
    """What one app brings: its functions by what starts them, those that do not run here, and the hubs it names."""

    handlers: Sequence[Handler] = ()
    http: Sequence[HttpFunction] = ()
    timers: Sequence[TimerFunction] = ()
    left_out: Sequence[LeftOut] = field(default=())
    hubs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """How many seconds a function may run: for an event or a request, and for its timer. ``inf`` is no limit."""

    call: float = 60
    timer: float = 1800


def read_time_limit(host: HostFile, handler_seconds: float) -> TimeLimit:
    """How long the functions of an app may run: as its ``host.json`` says, or else as the bridge's settings do.

    A timer nobody waits for. Where ``host.json`` is silent it has 30 minutes, as in the Functions host.
    """
    if host.timeout_seconds is not None:
        return TimeLimit(host.timeout_seconds, host.timeout_seconds)
    return TimeLimit(handler_seconds)


class Invoker:
    """Calls functions: with their inputs filled, and what they put into their outputs sent.

    Args:
        runner: Runs them.
        bindings: Fills inputs and sends outputs.
        runtime: The clock, and new ids.
        limit: How long they may run.
    """

    def __init__(self, runner: Runner, bindings: Bindings, runtime: Runtime, limit: TimeLimit = TimeLimit()) -> None:
        self._runner, self._bindings, self._runtime, self._limit = runner, bindings, runtime, limit

    async def invoke(
        self, function: FunctionDescription, trigger: TriggerData, named: Mapping[str, Payload] = _NOTHING
    ) -> FunctionResult:
        """Call a function. Raises what ``Runner`` and ``Bindings`` raise."""
        data = self._gather(function, trigger, named)
        inputs = await self._bindings.read_inputs(function, data)
        result = await self._run(Invocation(function, self._runtime.new_id(), trigger, inputs, named))
        await self._bindings.send_outputs(function, data, result.outputs)
        return result

    async def _run(self, invocation: Invocation) -> FunctionResult:
        seconds = self._limit.timer if isinstance(invocation.trigger, TimerCall) else self._limit.call
        limit = asyncio.timeout(seconds if math.isfinite(seconds) else None)
        try:
            async with limit:
                return await self._runner.run(invocation)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise FunctionFailed(f"The function {invocation.function.name} took longer than {seconds:g} s.") from error

    def _gather(self, function: FunctionDescription, trigger: TriggerData, named: Mapping[str, Payload]) -> BindingData:
        moment = datetime.fromtimestamp(self._runtime.wall_clock(), UTC)
        guid = str(uuid.UUID(hex=self._runtime.new_id(), version=4))
        return gather(function.name, moment, guid, trigger, named)


class FunctionHandler:
    """A function with a ``signalRTrigger`` as the handler of an event.

    Args:
        function: Which one.
        trigger: Its trigger.
        invoker: Calls it.
    """

    takes_json = True

    def __init__(self, function: FunctionDescription, trigger: Binding, invoker: Invoker) -> None:
        self.hub, self.category = trigger.text("hubName").lower(), trigger.text("category").lower()
        self.event, self.source = trigger.text("event"), function.source
        self._function, self._invoker = function, invoker
        self._names = trigger.texts("parameterNames") or None

    async def answer(self, context: Context) -> Payload:
        """What the function returns. Raises what it does, and ``Rejected`` for another number of arguments."""
        named = name_arguments(self._names, context, context.arguments)
        return (await self._invoker.invoke(self._function, context, named)).result


def sort_functions(
    functions: Sequence[FunctionDescription],
    invoker: Invoker,
    bindings: Bindings,
    host: HostFile,
    app_settings: AppSettings,
    *,
    is_beside: bool = False,
    make_handler: MakeHandler | None = None,
) -> AppFunctions:
    """The functions of an app by what starts them. Raises ``SettingsError`` for one that could never work.

    Args:
        functions: All functions of the app.
        invoker: Calls them.
        bindings: Checks what their bindings say.
        host: What the app's ``host.json`` says.
        app_settings: The app's settings, by which functions are disabled.
        is_beside: Whether they run in a program beside the bridge.
        make_handler: Makes the handler of a function that events start. None makes one that calls ``invoker``.
    """
    make_handler = make_handler or (lambda function, trigger: FunctionHandler(function, trigger, invoker))
    handlers: list[Handler] = []
    http: list[HttpFunction] = []
    timers: list[TimerFunction] = []
    reasons = [(one, find_reason(one, host, app_settings, is_beside=is_beside)) for one in functions]
    left_out = [LeftOut(one.name, reason) for one, reason in reasons if reason is not None]
    resolved = [bindings.resolve(one) for one, reason in reasons if reason is None]
    check_triggers(resolved)
    bindings.check_connections(resolved)
    for one in resolved:
        bindings.check(one)
        call = partial(invoker.invoke, one)
        trigger = one.trigger
        if trigger is not None and trigger.kind == Kind.SIGNALR_TRIGGER:
            handlers.append(make_handler(one, trigger))
        elif trigger is not None and trigger.kind == Kind.HTTP_TRIGGER:
            http.append(HttpFunction(one, host.route_prefix, call, bindings.believes_platform(one)))
        else:
            timers.append(TimerFunction(one, _as_timer(call)))
    return AppFunctions(handlers, http, timers, left_out, list_hubs(resolved))


def list_hubs(functions: Sequence[FunctionDescription]) -> list[str]:
    """The hubs that bindings name, in lower case. A name that only a call completes is none of them."""
    named = [one.text("hubName").lower() for function in functions for one in function.bindings]
    return list(dict.fromkeys(one for one in named if one and "{" not in one))


def _as_timer(call: Callable[[TriggerData], Awaitable[FunctionResult]]) -> RunTimer:
    async def run(timer: TimerCall) -> None:
        await call(timer)

    return run


class FunctionApps:
    """All function apps of the bridge. It is entered once what they send with is open.

    Args:
        timers: Runs those that run by a schedule.
        apps: What each app brings.
    """

    def __init__(self, timers: Timers, apps: Sequence[AppFunctions] = ()) -> None:
        self.routes = FunctionRoutes()
        self._timers = timers
        self._apps = list(apps)
        self.routes.use([one for app in self._apps for one in app.http])
        self._timers.use([one for app in self._apps for one in app.timers])

    @property
    def left_out(self) -> list[LeftOut]:
        """The functions of all apps that do not run here."""
        return [one for app in self._apps for one in app.left_out]

    @property
    def hubs(self) -> list[str]:
        """The hubs that bindings of all apps name."""
        return [one for app in self._apps for one in app.hubs]

    @property
    def handlers(self) -> list[Handler]:
        """The handlers of all apps."""
        return [one for app in self._apps for one in app.handlers]

    def swap(self, old: AppFunctions, new: AppFunctions) -> None:
        """Let the functions of an app take the place of others. Its handlers are for the caller to use.

        Raises ``SettingsError`` for those that cannot be used, and then the old ones stay.
        """
        apps = [new if one is old else one for one in self._apps]
        former = self.routes.functions
        self.routes.use([one for app in apps for one in app.http])
        try:
            self._timers.use([one for app in apps for one in app.timers])
        except SettingsError:
            self.routes.use(former)
            raise
        self._apps = apps

    def begin_drain(self) -> None:
        """Begin no further run of a timer."""
        self._timers.begin_drain()

    def begin_stop(self) -> None:
        """Begin no further run of a timer. From now on the grace counts."""
        self._timers.begin_stop()

    async def __aenter__(self) -> Self:
        log_left_out(self.left_out)
        await self._timers.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what runs end."""
        await self._timers.__aexit__(kind, error, trace)


def log_left_out(functions: Iterable[LeftOut]) -> None:
    """Say in the log which functions do not run here, and why."""
    for one in functions:
        _LOG.warning("function left out", extra={"function": one.name, "reason": one.reason})
