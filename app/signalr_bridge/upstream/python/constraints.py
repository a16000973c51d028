"""Which constraint an argument breaks, in words of the handler's author and none of the client's."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import ValidationError

# Of these kinds pydantic's message holds what the author wrote, and nothing of the value.
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
    "decimal_max_digits",
    "decimal_max_places",
    "decimal_whole_digits",
    "missing",
    "literal_error",
    "enum",
}
_WITH_FIELDS = ["model-fields", "dataclass-args", "typed-dict"]
# Numbers in a path are indexes, unless there are maps, or functions of the author's that may look into anything.
_WITH_KEYS = ["dict", "function-before", "function-after", "function-wrap", "function-plain"]

MOST_ERRORS = 100
"""With more nothing is shown: a client decides how many there are, and each takes time."""
MOST_SHOWN = 3


class Constraints:
    """Those of one parameter, read from pydantic's core schema; what is not understood there is not shown."""

    def __init__(self, schema: Any) -> None:
        nodes = list(_walk(schema))
        self._fields = {name for node in nodes if node.get("type") in _WITH_FIELDS for name in _read_names(node)}
        self._indexes = not any(node.get("type") in _WITH_KEYS for node in nodes)

    def describe(self, error: ValidationError) -> str:
        """Such as ``count: Input should be greater than 0``; empty when nothing may be shown."""
        if error.error_count() > MOST_ERRORS:
            return ""
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        shown = (
            _write(one["type"], one["loc"], one["msg"]) for one in errors if self._may_show(one["type"], one["loc"])
        )
        return "; ".join(islice(shown, MOST_SHOWN))

    def _may_show(self, kind: str, path: Sequence[int | str]) -> bool:
        # The literals of a parameter are its type, which is told anyway.
        return kind in _SHOWN and (path != () or kind != "literal_error") and all(map(self._is_known, path))

    def _is_known(self, part: int | str) -> bool:
        return self._indexes if isinstance(part, int) else part in self._fields


def _write(kind: str, path: Sequence[int | str], message: str) -> str:
    if kind in _BY_LENGTH:
        message = message.partition(", not ")[0]  # how many there are instead
    return f"{'.'.join(map(str, path))}: {message}" if path else message


def _walk(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every map in the schema; defaults may lead round in circles."""
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
    """One, the parts of a path, or several paths."""
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, list | tuple):
        for part in alias:
            yield from _read_aliases(part)
