"""One function in Python: which parameters it takes, and how a call gives them, as Microsoft's worker does it."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import azure.functions as func

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.description import RETURN, Binding, Direction, FunctionDescription, Kind
from signalr_bridge.functions.invocation import FunctionResult, HttpCall, HttpReply, Invocation
from signalr_bridge.functions.python_values import (
    NO_CONTENT,
    CallContext,
    OutValue,
    read_input,
    read_trigger,
    write_output,
    write_reply,
)
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.upstream.outbox import Outbox, OutboxScope
from signalr_bridge.upstream.python.handler import name_error
from signalr_bridge.upstream.python.threads import Threads

_CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class PythonFunction:
    """A function of an app, with its code.

    Attributes:
        description: Its bindings.
        code: What is called.
        directory: The folder of its code.
        parameters: The names of its parameters.
    """

    description: FunctionDescription
    code: Callable[..., Any] = field(repr=False)
    directory: str
    parameters: frozenset[str]

    async def run(self, invocation: Invocation, threads: Threads) -> FunctionResult:
        """Call it. One that is not async runs in a thread. Raises what it raises."""
        outs = {one.name: OutValue() for one in self.description.outputs if one.name in self.parameters}
        call = partial(self.code, **self._bind(invocation), **outs)
        returned = await (call() if inspect.iscoroutinefunction(self.code) else threads.run(call))
        return self._collect(invocation, returned, outs)

    def _bind(self, invocation: Invocation) -> dict[str, Any]:
        names: Mapping[str, Payload] = invocation.named
        given: dict[str, Any] = {one: names[one] for one in _list_named(self.description) if one in self.parameters}
        for one in self.description.inputs:
            if one.name in self.parameters and one.direction is Direction.IN:
                as_bytes = one.text("dataType").lower() == "binary"
                given[one.name] = read_input(invocation.inputs.get(one.name), as_bytes=as_bytes)
        if _CONTEXT in self.parameters and self.description.find(_CONTEXT) is None:
            given[_CONTEXT] = CallContext(invocation, self.directory)
        trigger = self.description.trigger
        if trigger is not None:
            given[trigger.name] = read_trigger(invocation.trigger)
        return given

    def _collect(self, invocation: Invocation, returned: Any, outs: Mapping[str, OutValue]) -> FunctionResult:
        outputs: dict[str, bytes] = {}
        reply = HttpReply(NO_CONTENT) if isinstance(invocation.trigger, HttpCall) else None
        for one in self.description.outputs:
            value = returned if one.name == RETURN else outs[one.name].get()
            if one.kind == Kind.HTTP:
                reply = write_reply(value, self.description.name)
            elif (text := write_output(value)) is not None:
                outputs[one.name] = text
        result = returned if self.description.find(RETURN) is None else None
        return FunctionResult(outputs, result, reply)


def read_function(description: FunctionDescription, code: Callable[..., Any], directory: str) -> PythonFunction:
    """A function of an app. Raises ``SettingsError`` for parameters that do not fit its bindings, as the worker does.

    Args:
        description: Its bindings.
        code: What is called.
        directory: The folder of its code.
    """
    parameters = frozenset(inspect.signature(code).parameters)
    _check_names(description, parameters)
    annotations = _read_annotations(description, code)
    for binding in description.bindings:
        if binding.name in annotations:
            _check_annotation(description, binding, annotations[binding.name])
    found = annotations.get(_CONTEXT)
    if found is not None and description.find(_CONTEXT) is None and not _is_kind(found, func.Context):
        raise _fault(description, _CONTEXT, "is annotated as something else than func.Context: write that")
    return PythonFunction(description, code, directory, parameters)


def _fault(description: FunctionDescription, parameter: str, sentence: str) -> SettingsError:
    return SettingsError(f"{description.source}, function '{description.name}': '{parameter}' {sentence}.")


def _check_names(description: FunctionDescription, parameters: frozenset[str]) -> None:
    bound = {one.name for one in description.bindings} - {RETURN}
    missing = sorted(bound - parameters)
    if missing:
        raise _fault(description, missing[0], "is a binding, and no parameter of the function: write it there, too")
    more = sorted(parameters - bound - {_CONTEXT} - set(_list_named(description)))
    if more:
        raise _fault(description, more[0], "is a parameter of the function, and no binding: write one, or take it away")


def _list_named(description: FunctionDescription) -> Sequence[str]:
    """The names that the trigger gives to the arguments of a message."""
    return (description.trigger and description.trigger.texts("parameterNames")) or ()


def _read_annotations(description: FunctionDescription, code: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(code)
    except Exception as error:
        why = name_error(error)
        raise SettingsError(
            f"{description.source}, function '{description.name}': its annotations cannot be read ({why})."
        ) from error


def _check_annotation(description: FunctionDescription, binding: Binding, annotation: Any) -> None:
    is_out = _is_kind(annotation, func.Out)
    if binding.direction is Direction.OUT and not is_out:
        raise _fault(description, binding.name, "is an output, and not annotated as func.Out: write func.Out[str]")
    if binding.direction is Direction.IN and is_out:
        raise _fault(description, binding.name, "is an input, and annotated as func.Out: write the type of its value")
    wanted = {Kind.HTTP_TRIGGER: func.HttpRequest, Kind.TIMER_TRIGGER: func.TimerRequest}
    kind = next((one for name, one in wanted.items() if name == binding.kind), None)
    if kind is not None and not _is_kind(annotation, kind):
        raise _fault(description, binding.name, f"is annotated as something else than func.{kind.__name__}: write that")


def _is_kind(annotation: Any, kind: type) -> bool:
    found = typing.get_origin(annotation) or annotation
    return found is Any or (isinstance(found, type) and issubclass(found, kind))


class PythonRunner:
    """Runs the functions of an app in this process.

    Args:
        functions: All functions that may run.
        outbox: By which their code talks back, if it does so by the bridge's own interface.
    """

    def __init__(self, functions: Sequence[PythonFunction], outbox: Outbox) -> None:
        self._functions = {one.description.name: one for one in functions}
        self._outbox, self._threads = outbox, Threads()

    async def run(self, invocation: Invocation) -> FunctionResult:
        """Run a function to its end. Raises what it raises."""
        with OutboxScope(self._outbox):
            return await self._functions[invocation.function.name].run(invocation, self._threads)
