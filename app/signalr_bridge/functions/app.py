"""Function apps as parts of the bridge: their functions become handlers, routes and timers."""

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Self

from signalr_bridge.errors import Rejected
from signalr_bridge.functions.binding_data import gather
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.description import Binding, FunctionDescription, Kind
from signalr_bridge.functions.expressions import BindingData
from signalr_bridge.functions.http_triggers import FunctionRoutes, HttpFunction
from signalr_bridge.functions.invocation import (
    FunctionResult,
    Invocation,
    Runner,
    TimerCall,
    TriggerData,
)
from signalr_bridge.functions.timers import RunTimer, TimerFunction, Timers
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.upstream_event import MESSAGES
from signalr_bridge.runtime import Runtime
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import Handler

_LOG = logging.getLogger("signalr_bridge.functions")
_NOTHING: Mapping[str, Payload] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A function that does not run here. ``reason`` is a sentence for people."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class AppFunctions:
    """What one app brings: its functions by what starts them, and those that do not run here."""

    handlers: Sequence[Handler] = ()
    http: Sequence[HttpFunction] = ()
    timers: Sequence[TimerFunction] = ()
    left_out: Sequence[LeftOut] = field(default=())


class Invoker:
    """Calls functions: with their inputs filled, and what they put into their outputs sent.

    Args:
        runner: Runs them.
        bindings: Fills inputs and sends outputs.
        runtime: The clock, and new ids.
    """

    def __init__(self, runner: Runner, bindings: Bindings, runtime: Runtime) -> None:
        self._runner, self._bindings, self._runtime = runner, bindings, runtime

    async def invoke(
        self, function: FunctionDescription, trigger: TriggerData, named: Mapping[str, Payload] = _NOTHING
    ) -> FunctionResult:
        """Call a function. Raises what ``Runner`` and ``Bindings`` raise."""
        data = self._gather(function, trigger, named)
        inputs = await self._bindings.read_inputs(function, data)
        result = await self._runner.run(Invocation(function, self._runtime.new_id(), trigger, inputs, named))
        await self._bindings.send_outputs(function, data, result.outputs)
        return result

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
        self._names = trigger.texts("parameterNames") or ()

    async def answer(self, context: Context) -> Payload:
        """What the function returns. Raises what it does, and ``Rejected`` for another number of arguments."""
        named = name_arguments(self._names, context)
        return (await self._invoker.invoke(self._function, context, named)).result


def name_arguments(names: Sequence[str], context: Context) -> dict[str, Payload]:
    """The arguments of a message by their names. Raises ``Rejected`` for another number of them.

    Without names nothing is named, and there may be any number, as in the binding.
    """
    if not names or context.category != MESSAGES:
        return {}
    if len(context.arguments) != len(names):
        wanted, given = len(names), len(context.arguments)
        raise Rejected(f"Method '{context.event}' takes {wanted} argument(s), and was given {given}.")
    return dict(zip(names, context.arguments, strict=True))


def sort_functions(
    functions: Sequence[FunctionDescription], invoker: Invoker, bindings: Bindings, *, prefix: str = "api"
) -> AppFunctions:
    """The functions of an app by what starts them. Raises ``SettingsError`` for one that could never work.

    Args:
        functions: All functions of the app.
        invoker: Calls them.
        bindings: Checks what their bindings say.
        prefix: What stands in front of the routes of those that answer requests.
    """
    handlers: list[Handler] = []
    http: list[HttpFunction] = []
    timers: list[TimerFunction] = []
    chosen, left_out = _choose(functions)
    resolved = [bindings.resolve(one) for one in chosen]
    bindings.check_connections(resolved)
    for one in resolved:
        bindings.check(one)
        trigger, call = one.trigger, partial(invoker.invoke, one)
        if trigger is not None and trigger.kind == Kind.SIGNALR_TRIGGER:
            handlers.append(FunctionHandler(one, trigger, invoker))
        elif trigger is not None and trigger.kind == Kind.HTTP_TRIGGER:
            http.append(HttpFunction(one, prefix, call, bindings.believes_platform(one)))
        else:
            timers.append(TimerFunction(one, _as_timer(call)))
    return AppFunctions(handlers, http, timers, left_out)


def _choose(functions: Sequence[FunctionDescription]) -> tuple[list[FunctionDescription], list[LeftOut]]:
    """The functions that run here, and those that do not."""
    chosen: list[FunctionDescription] = []
    left_out: list[LeftOut] = []
    for one in functions:
        trigger = one.trigger
        if trigger is not None and trigger.kind in set(Kind):
            chosen.append(one)
            continue
        what = "has no trigger" if trigger is None else f"starts by {trigger.type}, which the bridge does not have"
        left_out.append(LeftOut(one.name, f"it {what}"))
    return chosen, left_out


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
        for left_out in (one for app in self._apps for one in app.left_out):
            _LOG.warning("function left out", extra={"function": left_out.name, "reason": left_out.reason})

    @property
    def handlers(self) -> list[Handler]:
        """The handlers of all apps."""
        return [one for app in self._apps for one in app.handlers]

    def begin_drain(self) -> None:
        """Begin no further run of a timer."""
        self._timers.begin_drain()

    def begin_stop(self) -> None:
        """Begin no further run of a timer. From now on the grace counts."""
        self._timers.begin_stop()

    async def __aenter__(self) -> Self:
        await self._timers.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what runs end."""
        await self._timers.__aexit__(kind, error, trace)
