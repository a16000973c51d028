"""A message's arguments, bound by position to a handler's parameters and converted to their types.

MessagePack has bytes and times where JSON has text only: for ``bytes`` a text is base64, for ``datetime`` ISO 8601. So
a handler with annotations gets the same whatever a client speaks. (Fields of a model follow the model's own rules.)
"""

import inspect
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from app.errors import HubError, SettingsError
from app.protocol.hub_message import Payload

_BY_POSITION = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler: its validator (None takes everything) and its type in words."""

    name: str
    expected: str
    adapter: TypeAdapter[Any] | None
    required: bool

    def convert(self, method: str, value: Payload) -> Any:
        """Raises ``HubError``, which never holds the value."""
        if self.adapter is None:
            return value
        try:
            return self.adapter.validate_python(value)
        except (ValidationError, RecursionError):
            raise HubError(f"Method '{method}': the argument '{self.name}' must be {self.expected}.") from None


class Binding:
    """Built once for each handler: the parameters behind ``context``, and the one for what is left (``*args``)."""

    def __init__(self, function: Callable[..., Any], source: str) -> None:
        self._parameters, self._rest = _read_parameters(function, source)
        self._required = sum(one.required for one in self._parameters)

    def fits(self, count: int) -> bool:
        """Whether the handler can be called with so many arguments."""
        return self._required <= count and (self._rest is not None or count <= len(self._parameters))

    def bind(self, method: str, arguments: Sequence[Payload]) -> list[Any]:
        """The converted arguments. ``HubError`` names the method, the parameter and the expected type."""
        parameters = self._parameters
        if len(arguments) < self._required:
            missing = parameters[len(arguments)]
            raise HubError(f"Method '{method}': the argument '{missing.name}' ({missing.expected}) is missing.")
        if len(arguments) > len(parameters):
            parameters = parameters + self._parameters_of_rest(method, len(arguments))
        return [one.convert(method, value) for one, value in zip(parameters, arguments, strict=False)]

    def _parameters_of_rest(self, method: str, count: int) -> list[Parameter]:
        if self._rest is None:
            known = ", ".join(f"{one.name} ({one.expected})" for one in self._parameters) or "none"
            raise HubError(f"Method '{method}' was called with {count} arguments, more than it takes: {known}.")
        return [self._rest] * (count - len(self._parameters))


def _read_parameters(function: Callable[..., Any], source: str) -> tuple[list[Parameter], Parameter | None]:
    hints = _read_hints(function, source)
    parameters: list[Parameter] = []
    rest = None
    for given in _behind_context(function, source):
        if given.kind in _BY_POSITION:
            parameters.append(_read_parameter(given, hints, source))
        elif given.kind is inspect.Parameter.VAR_POSITIONAL:
            rest = _read_parameter(given, hints, source)
        elif given.kind is inspect.Parameter.KEYWORD_ONLY and given.default is given.empty:
            raise SettingsError(f"The handler {source}: nobody can give its keyword parameter '{given.name}'.")
    return parameters, rest


def _behind_context(function: Callable[..., Any], source: str) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(function).parameters.values())
    first = parameters[0].kind if parameters else None
    if first is inspect.Parameter.VAR_POSITIONAL:
        return parameters  # it takes the context along with the rest
    if first not in _BY_POSITION:
        raise SettingsError(f"The handler {source} has no first parameter for the context.")
    return parameters[1:]


def _read_hints(function: Callable[..., Any], source: str) -> dict[str, Any]:
    try:
        annotated = function if inspect.isroutine(function) else type(function).__call__
        return get_type_hints(annotated, include_extras=True)
    except (NameError, TypeError) as error:
        raise SettingsError(f"The handler {source} has an annotation that means nothing: {error}.") from error


def _read_parameter(given: inspect.Parameter, hints: dict[str, Any], source: str) -> Parameter:
    required = given.default is given.empty and given.kind in _BY_POSITION
    if (annotation := hints.get(given.name, Any)) is Any:
        return Parameter(given.name, "any value", None, required)
    try:
        adapter = _make_adapter(annotation)
    except (PydanticUserError, NameError, TypeError) as error:
        text = f"The handler {source}: no argument can be converted to the type of its parameter '{given.name}'."
        raise SettingsError(text) from error
    return Parameter(given.name, describe_type(annotation), adapter, required)


def _make_adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=ConfigDict(val_json_bytes="base64"))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        return TypeAdapter(annotation)  # a model has a configuration of its own


def describe_type(annotation: Any) -> str:
    """A type as its author wrote it, without module names."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "None"
    if origin is Annotated:
        return describe_type(parts[0])
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin in {Union, types.UnionType}:
        return " or ".join(map(describe_type, parts))
    name = getattr(origin or annotation, "__name__", "another value")
    shown = ["..." if part is ... else describe_type(part) for part in parts]
    return f"{name}[{', '.join(shown)}]" if shown else name
