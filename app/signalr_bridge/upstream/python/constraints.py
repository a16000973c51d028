"""What is told of an argument that does not fit: where it is, what was expected, and what kind of value stands there.

Neither a value nor a key that a client chose is ever told.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from pydantic import ValidationError

# Kinds of errors whose message in pydantic holds what the author wrote, and nothing of the value.
_BY_LENGTH = {"too_short", "too_long"}
_SHOWN = _BY_LENGTH | {
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
    "multiple_of",
    "finite_number",
    "string_too_short",
    "string_too_long",
    "string_pattern_mismatch",
    "bytes_too_short",
    "bytes_too_long",
    "date_past",
    "date_future",
    "datetime_past",
    "datetime_future",
    "decimal_max_digits",
    "decimal_max_places",
    "decimal_whole_digits",
    "literal_error",
    "enum",
}
# What the kinds of errors that concern the type have expected, by how their names begin. The first that fits counts.
_EXPECTED = {
    ("model_", "dataclass_", "dict_", "mapping_", "frozen_dict_", "ordered_dict_"): "an object",
    ("list_", "tuple_", "named_tuple_", "set_", "frozen_set_", "deque_", "iterable_"): "a list",
    ("string_type", "string_unicode"): "a string",
    ("bool_",): "true or false",
    ("int_",): "an integer",
    ("float_",): "a number",
    ("decimal_type", "decimal_parsing"): "a decimal number",
    ("bytes_type", "bytes_invalid_encoding"): "base64 text",
    ("datetime_",): "a date and time (ISO 8601)",
    ("date_",): "a date (ISO 8601)",
    ("time_delta_",): "a duration (ISO 8601)",
    ("time_",): "a time (ISO 8601)",
    ("uuid_",): "a UUID",
    ("url_",): "a URL",
    ("none_required",): "null",
}
# Of these a string may be the right form, with the wrong text.
_TEXTS = {
    "a string",
    "a decimal number",
    "base64 text",
    "a date and time (ISO 8601)",
    "a date (ISO 8601)",
    "a duration (ISO 8601)",
    "a time (ISO 8601)",
    "a UUID",
    "a URL",
}
_NUMBERS = {"an integer", "a number", "a decimal number"}
_FORMS = (
    (type(None), "null"),
    (bool, "true or false"),
    (int | float | Decimal, "a number"),
    (str, "a string"),
    (dict, "an object"),
    (list | tuple, "a list"),
    (datetime, "a time of MessagePack"),
    (bytes, "bytes"),
)
_WITH_FIELDS = ["model-fields", "dataclass-args", "typed-dict"]
# Numbers in a path are indexes, unless there are maps, or functions of the author, which may look into anything.
_WITH_KEYS = ["dict", "function-before", "function-after", "function-wrap", "function-plain"]
_SUBJECT = re.compile(r"^[A-Z][\w ]*? should ")

MOST_ERRORS = 100
"""With more errors none is shown, because a client decides how many there are, and each takes time."""

MOST_SHOWN = 3
"""How many errors the client is told of."""


class Constraints:
    """The constraints of one parameter, read from pydantic's core schema. What is not understood is not shown."""

    def __init__(self, schema: Any) -> None:
        nodes = list(_walk(schema))
        self._kinds = {str(node.get("type")) for node in nodes}
        self._fields = {name for node in nodes if node.get("type") in _WITH_FIELDS for name in _read_names(node)}
        self._indexes = not any(node.get("type") in _WITH_KEYS for node in nodes)

    def holds(self, kind: str) -> bool:
        """Whether the parameter's type, or one within it, is of this kind in pydantic's core schema."""
        return kind in self._kinds

    def describe(self, error: ValidationError) -> str:
        """A text such as ``field 'count' must be greater than 0``. It is empty when nothing may be shown."""
        if error.error_count() > MOST_ERRORS:
            return ""
        errors = error.errors(include_url=False, include_context=False)
        written = (self._write(one["type"], one["loc"], one["msg"], one["input"]) for one in errors)
        return "; ".join(islice(dict.fromkeys(filter(None, written)), MOST_SHOWN))

    def _write(self, kind: str, path: Sequence[int | str], message: str, value: object) -> str:
        if kind == "extra_forbidden":
            path, wrong = path[:-1], "has a field that is not known"  # whose name is the client's
        else:
            wrong = _say_what_is_wrong(kind, message, value)
        if not wrong or not path:
            return f"it {wrong}" if wrong and _adds_to_the_type(kind, wrong) else ""
        known = [self._is_known(part) for part in path]
        if not any(known):
            return ""
        shown = [str(part) if known[place] else "…" for place, part in enumerate(path)]
        inner = not known[-1]
        while shown[-1] == "…":
            shown.pop()
        word = "item" if known[0] and isinstance(path[0], int) else "field"
        return f"{'a value in ' if inner else ''}{word} '{'.'.join(shown)}' {wrong}"

    def _is_known(self, part: int | str) -> bool:
        return self._indexes if isinstance(part, int) else part in self._fields


def _adds_to_the_type(kind: str, wrong: str) -> bool:
    """Whether the error of an argument as a whole says more than the name of the argument's type, which is shown."""
    is_of_type = kind not in _SHOWN and wrong.startswith("must be ") and not wrong.startswith("must be an object")
    return kind != "literal_error" and not is_of_type


def _say_what_is_wrong(kind: str, message: str, value: object) -> str:
    """What was expected, and the kind of value that stands there. It is empty for what is not known."""
    if kind in _SHOWN:
        if kind in _BY_LENGTH:
            message = message.partition(" after validation")[0].partition(", not ")[0]  # without how many there are
        return _SUBJECT.sub("must ", message)
    if kind == "missing":
        return "is missing"
    if kind in {"value_error", "assertion_error"}:
        return "is refused by a validator"  # the rest is the author's text, which may hold the value
    expected = next((words for starts, words in _EXPECTED.items() if kind.startswith(starts)), "")
    if not expected:
        return ""
    form = next((word for types, word in _FORMS if isinstance(value, types)), "")
    if not form or (form == "a number" and expected in _NUMBERS) or (form == "a string" and expected in _TEXTS):
        return f"must be {expected}"
    return f"must be {expected}, and is {form}"


def _walk(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every map in the schema. Defaults may make it cyclic."""
    todo, seen = [schema], set[int]()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, dict):
            yield one
            todo.extend(one.values())
        elif isinstance(one, list | tuple):
            todo.extend(one)


def _read_names(node: Mapping[str, Any]) -> Iterator[str]:
    """The names and aliases of fields."""
    fields = node["fields"]
    for name, field in fields.items() if isinstance(fields, dict) else ((one["name"], one) for one in fields):
        yield name
        yield from _read_aliases(field.get("validation_alias"))


def _read_aliases(alias: Any) -> Iterator[str]:
    """The names in an alias: one name, the parts of a path, or several paths."""
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, list | tuple):
        for part in alias:
            yield from _read_aliases(part)
