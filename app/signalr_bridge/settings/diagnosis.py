"""What is wrong with the value of a setting: in words that say what to write, with the place where it stands."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.names import Path, find_path, named_sections, settings_below, settings_by_path, write_name
from signalr_bridge.settings.value import Diagnostic, Value, Values, spell

_WORDS: Mapping[str, str] = {
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "dict_type": "write a map, as a JSON object or as a table",
    "finite_number": "write a number",
    "float_parsing": "write a number alone, such as {example}, without a unit",
    "float_type": "write a number alone, such as {example}, without a unit",
    "greater_than": "write a number over {gt:g}",
    "greater_than_equal": "write {ge:g} or more",
    "int_from_float": "write a whole number",
    "int_parsing": "write a whole number alone, such as {example}, without a unit",
    "int_type": "write a whole number alone, such as {example}, without a unit",
    "less_than_equal": "write {le:g} or less",
    "list_type": "write a list",
    "model_type": 'write an object: {{"name": "value"}}',
    "string_too_long": "write {max_length} characters or fewer",
    "string_too_short": "is empty: write a text, or remove it",
    "string_type": "write a text, in quotes",
    "too_short": "is an empty list: write at least one value, or remove it",
    "tuple_type": "write a list",
}
"""By pydantic's name of an error. No sentence holds a value that was given."""


def explain(error: ValidationError, values: Values, path: Path = ()) -> Iterator[Diagnostic]:
    """A diagnostic for each error.

    Args:
        error: What pydantic found. Nothing that stands in a value is shown, because it may be secret.
        values: Where each setting was found.
        path: The sections in which the error's own locations stand.
    """
    for fault in error.errors(include_input=False, include_url=False):
        context = fault.get("ctx", {})
        setting, inside = _split((*path, *fault["loc"]))
        setting = _find_common(_point(setting, context), values)
        text = _put_into_words(fault["type"], fault["msg"], context, setting, inside)
        text = text.replace("{section}", f"{write_name(setting[:-1])}__")
        item = next((part for part in inside if isinstance(part, int)), None)
        entry = "" if item is None or not _has_entries(setting) else f"entry {item + 1}: "
        yield locate(Diagnostic.error(write_name(setting) if setting else "", f"{entry}{text}."), values, item)


def find_paths(error: ValidationError) -> list[Path]:
    """The settings that are wrong. One of a hub may be given for all hubs only."""
    faults = error.errors(include_input=False, include_url=False)
    return [_point(_split(one["loc"])[0], one.get("ctx", {})) for one in faults]


def _point(setting: Path, context: Mapping[str, Any]) -> Path:
    """The path of the setting that a rule over a whole section is about."""
    return (*setting, str(context["field"])) if "field" in context else setting


def _split(location: tuple[int | str, ...]) -> tuple[Path, tuple[int | str, ...]]:
    """The path of the setting, and the rest of the location, which lies inside its value."""
    names: list[str] = []
    for index, part in enumerate(location):
        if isinstance(part, int):
            return tuple(names), location[index:]
        names.append(part)
        if find_path(":".join(names).lower()) is not None:
            return tuple(names), location[index + 1 :]
    return tuple(names), ()


def _find_common(setting: Path, values: Values) -> Path:
    """The setting for all hubs where the hub's own one is not given, but follows it."""
    if setting[:1] != ("hubs",) or len(setting) < 3 or spell(write_name(setting)) in values:
        return setting
    return setting[2:] if _find(spell(write_name(setting[2:])), values) else setting


def _put_into_words(
    kind: str, said: str, context: Mapping[str, Any], setting: Path, inside: tuple[int | str, ...]
) -> str:
    members = _list_members(setting)
    if kind == "missing":
        return f"'{inside[-1]}' is missing: add it" if inside else f"is missing: set it ({_describe(setting)})"
    if kind == "extra_forbidden":
        return f"a name in it means nothing: write {_enumerate(members)}" if members else "means nothing: remove it"
    if kind == "literal_error":
        return f"write {context['expected'].replace(chr(39), '')}"
    if kind in _WORDS:
        return _WORDS[kind].format(**context, example=_find_default(setting))
    said = said.removeprefix("Value error, ").rstrip(".")
    return said if said[1:2].isupper() else f"{said[0].lower()}{said[1:]}"


def _find_field(setting: Path) -> FieldInfo | None:
    field = settings_by_path().get(setting)
    return settings_below(setting[0]).get(setting[2:]) if field is None and setting[0] in named_sections() else field


def _describe(setting: Path) -> str:
    field = _find_field(setting)
    return "" if field is None else (field.description or "").replace("`", "")


def _find_default(setting: Path) -> object:
    field = _find_field(setting)
    return field.default if field is not None and isinstance(field.default, int | float) else 10


def _enumerate(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _has_entries(setting: Path) -> bool:
    return bool(_list_members(setting))


def _list_members(setting: Path) -> list[str]:
    """The names that may be written in an object of the setting's value. Empty when it holds no objects."""
    field = _find_field(setting) if setting else None
    model = None if field is None else _find_model(field.annotation)
    return [] if model is None else [name for name, field in model.model_fields.items() if not field.exclude]


def _find_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _find_model(one)) is not None), None)


def locate(diagnostic: Diagnostic, values: Values, item: int | None = None) -> Diagnostic:
    """The diagnostic with the place of its setting, or of what is nearest to a setting that is not given.

    Args:
        diagnostic: One that may have its place already, or concern no setting.
        values: All settings that were found.
        item: The index in a list. The line is that of this item.
    """
    found = None if diagnostic.place or not diagnostic.setting else _find(spell(diagnostic.setting), values)
    if found is None:
        return diagnostic
    line = found.items[item] if item is not None and item < len(found.items) else found.line
    return replace(diagnostic, place=found.place, line=line)


def _find(spelled: str, values: Values) -> Value | None:
    """The setting, or the first one below it, or the first one beside it that has the same free name."""
    if spelled in values:
        return values[spelled]
    below = [found for name, found in values.items() if name.startswith(f"{spelled}:")]
    if below:
        return min(below, key=lambda one: one.line or 0)
    above = spelled.rpartition(":")[0]
    return _find(above, values) if ":" in above else None


@contextmanager
def locating(values: Values) -> Iterator[None]:
    """Adds the place of the setting to a ``SettingsError`` that is raised inside."""
    try:
        yield
    except SettingsError as error:
        raise locate(Diagnostic.of(error), values).as_error() from error
