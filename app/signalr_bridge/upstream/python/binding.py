"""A message's arguments, bound by position to a handler's parameters and converted to their types.

MessagePack has bytes and times where JSON has only text. For ``bytes`` a text is base64, for ``datetime`` ISO 8601. So
a handler with annotations gets the same values from every client. Fields of a model follow the model's own rules. A
``Decimal`` gets a number of JSON with all its digits, and a ``datetime`` takes what .NET makes of a ``DateTimeOffset``
in MessagePack: an array of the time that its clock shows, as if that were UTC, and of its offset in minutes.
"""

import inspect
import types
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from signalr_bridge.errors import HubError, MalformedJson, MalformedMessage, SettingsError
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import UNHELD, Payload
from signalr_bridge.protocol.upstream_event import read_values
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.python.constraints import Constraints

# Pydantic gives a value of exactly such a type back as it is.
_PLAIN = (str, int, float, bool)
MOST_OFFSETS = 10_000
"""How many times with offsets one argument may have. With more of them it does not fit."""
_LARGEST_OFFSET = 14 * 60  # .NET's, in minutes
_BY_POSITION = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
_VARIABLE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler.

    ``adapter`` validates its value. None takes every value. ``expected`` is its type in words. A value that is already
    of the type ``plain`` needs no validation.
    """

    name: str
    expected: str
    adapter: TypeAdapter[Any] | None
    required: bool
    constraints: Constraints
    plain: type | None = None

    def convert(self, method: str, value: Payload) -> Any:
        """The value in the type of the parameter. Raises ``HubError``, which never holds the value."""
        if isinstance(value, msgspec.Raw):
            value = self._read(value)
        if self.adapter is None or type(value) is self.plain:
            return value
        try:
            return self._validate(self.adapter, value)
        except ValidationError as error:
            broken = self.constraints.describe(error)
        except RecursionError:
            broken = ""
        reason = f": {broken}" if broken else ""
        raise HubError(f"Method '{method}': the argument '{self.name}' must be {self.expected}{reason}.")

    @property
    def needs_digits(self) -> bool:
        """Whether it wants the numbers of JSON with all their digits."""
        return self.constraints.holds("decimal")

    def _read(self, text: msgspec.Raw) -> Payload:
        decode = json_text.decode_exactly if self.needs_digits else json_text.decode
        try:
            return read_values(decode, text)
        except MalformedMessage as error:
            raise HubError(error.detail) from None

    def _validate(self, adapter: TypeAdapter[Any], value: Payload) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            joined = _join_offsets(value, error) if self.constraints.holds("datetime") else value
            if joined is value:
                raise
        return adapter.validate_python(joined)


def _join_offsets(value: Payload, error: ValidationError) -> Payload:
    """The value with a time for each pair of time and offset that stands where a time was expected."""
    if error.error_count() > MOST_OFFSETS:
        return value
    errors = error.errors(include_url=False, include_context=False)
    pairs = {id(one["input"]) for one in errors if one["type"].startswith("datetime_") and _is_pair(one["input"])}
    return _join(value, pairs) if pairs else value


def _is_pair(value: Payload) -> bool:
    match value:
        case [datetime() as moment, int() as minutes] if not isinstance(minutes, bool):
            return moment.tzinfo is UTC and abs(minutes) <= _LARGEST_OFFSET
    return False


def _join(value: Payload, pairs: Collection[int]) -> Payload:
    if id(value) in pairs:
        return value[0].replace(tzinfo=timezone(timedelta(minutes=value[1])))
    if isinstance(value, dict):
        return {name: _join(one, pairs) for name, one in value.items()}
    return [_join(one, pairs) for one in value] if isinstance(value, list) else value


class Binding:
    """The parameters of a handler behind ``context``, and the one for what is left (``*args``).

    It is built once for each handler. Raises ``SettingsError`` for a function that cannot be a handler.

    Attributes:
        needs_digits: Whether a parameter wants the numbers of JSON with all their digits.

    Args:
        function: The function.
        source: Where it is.
    """

    def __init__(self, function: Callable[..., Any], source: str) -> None:
        self._parameters, self._rest = _read_parameters(function, source)
        self._required = sum(one.required for one in self._parameters)
        known = self._parameters if self._rest is None else [*self._parameters, self._rest]
        self.needs_digits = any(one.needs_digits for one in known)

    def fits(self, count: int) -> bool:
        """Whether the handler can be called with so many arguments."""
        return self._required <= count and (self._rest is not None or count <= len(self._parameters))

    def bind(self, method: str, arguments: Sequence[Payload]) -> list[Any]:
        """The converted arguments, which may be given as ``msgspec.Raw`` JSON.

        Raises ``HubError``, which names the method, the parameter and the expected type.
        """
        if isinstance(arguments, msgspec.Raw):
            arguments = _take_apart(arguments)
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


def _take_apart(arguments: msgspec.Raw) -> list[msgspec.Raw]:
    try:
        return [msgspec.Raw(one) for one in json_text.elements(bytes(arguments))]
    except MalformedJson:  # nested too deeply, because it was read before
        raise HubError(UNHELD) from None


def _read_parameters(function: Callable[..., Any], source: str) -> tuple[list[Parameter], Parameter | None]:
    hints = _read_hints(function, source)
    parameters: list[Parameter] = []
    rest = None
    for given in read_behind(function, source, Context):
        if given.kind in _BY_POSITION:
            parameters.append(_read_parameter(given, hints, source))
        elif given.kind is inspect.Parameter.VAR_POSITIONAL:
            rest = _read_parameter(given, hints, source)
        elif given.kind is inspect.Parameter.KEYWORD_ONLY and given.default is given.empty:
            raise SettingsError(f"The handler {source}: nobody can give its keyword parameter '{given.name}'.")
    return parameters, rest


def read_behind(function: Callable[..., Any], source: str, first: type) -> list[inspect.Parameter]:
    """The parameters behind the first one, which is given a ``first``.

    Raises ``SettingsError`` when there is no first one, and when it is annotated as something else.
    """
    parameters, hints = read_signature(function, source), _read_hints(function, source)
    given = parameters[0] if parameters else None
    if given is None or given.kind not in {*_BY_POSITION, inspect.Parameter.VAR_POSITIONAL}:
        raise SettingsError(f"The handler {source} has no first parameter: write '{_show_first(first)}'.")
    annotation = hints.get(given.name, Any)
    if not _takes(annotation, first):
        raise SettingsError(
            f"The handler {source} has a first parameter '{given.name}' of the type {describe_type(annotation)}, but "
            f"it is given a {first.__name__}: write '{_show_first(first)}' before the others."
        )
    # What takes everything by position takes the context along with the rest.
    return parameters if given.kind is inspect.Parameter.VAR_POSITIONAL else parameters[1:]


def _show_first(first: type) -> str:
    return f"{'context' if first is Context else 'request'}: {first.__name__}"


def _takes(annotation: Any, first: type) -> bool:
    """Whether the annotation of a first parameter says that it takes a ``first``."""
    if get_origin(annotation) is Annotated:
        return _takes(get_args(annotation)[0], first)
    if get_origin(annotation) in {Union, types.UnionType}:
        return any(_takes(one, first) for one in get_args(annotation))
    return annotation in (Any, object, first) or isinstance(annotation, TypeVar)


def read_signature(function: Callable[..., Any], source: str) -> list[inspect.Parameter]:
    """The parameters that a function still has to be given. Raises ``SettingsError`` when it does not tell them."""
    try:
        return list(inspect.signature(_strip(function)).parameters.values())
    except (TypeError, ValueError) as error:
        text = f"The handler {source} does not tell its parameters ({error})"
        raise SettingsError(f"{text}: write a function of your own that calls it.") from error


def find_needed(parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    """Those without which the function cannot be called."""
    return [one for one in parameters if one.default is one.empty and one.kind not in _VARIABLE]


def _strip(function: Callable[..., Any]) -> Callable[..., Any]:
    """A ``partial`` without the attributes of ``update_wrapper``, which show parameters that are given already."""
    if not isinstance(function, partial):
        return function
    return partial(_strip(function.func), *function.args, **function.keywords)


def unwrap(function: Any) -> Any:
    """The function within a ``partial``, or within several."""
    while isinstance(function, partial):
        function = function.func
    return function


def find_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """What will run, with its annotations: the function within a ``partial``, or the ``__call__`` of an object."""
    called = unwrap(function)
    return called if inspect.isroutine(called) else type(called).__call__


def _read_hints(function: Callable[..., Any], source: str) -> dict[str, Any]:
    try:
        return get_type_hints(find_code(function), include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise SettingsError(f"The handler {source} has an annotation that means nothing: {error}.") from error


def _read_parameter(given: inspect.Parameter, hints: dict[str, Any], source: str) -> Parameter:
    required = given.default is given.empty and given.kind in _BY_POSITION
    if (annotation := hints.get(given.name, Any)) is Any:
        return Parameter(given.name, "any value", None, required, Constraints(None))
    try:
        adapter = _make_adapter(annotation)
    except (PydanticUserError, SchemaError, NameError, TypeError) as error:
        reason = " ".join(str(error).partition("\n\n")[0].split())  # the rest are addresses of pages
        text = f"The handler {source}: no argument can be converted to the type of its parameter '{given.name}'"
        raise SettingsError(f"{text}: {reason}") from error
    expected, constraints = describe_type(annotation), Constraints(adapter.core_schema)
    plain = next((one for one in _PLAIN if one is annotation), None)
    return Parameter(given.name, expected, adapter, required, constraints, plain)


def _make_adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=ConfigDict(val_json_bytes="base64"))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        return TypeAdapter(annotation)  # a model has its own configuration


def describe_type(annotation: Any) -> str:
    """The type as its author wrote it, without module names."""
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
