"""The README's table of settings, written from the model: ``python -m tests.shape.settings_table`` writes it anew."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo
from signalr_bridge.settings.fields import is_live
from signalr_bridge.settings.names import (
    PREFIX,
    READ_ELSEWHERE,
    named_sections,
    settings_below,
    settings_by_path,
    write_name,
)

from tests.shape.tree import ROOT

README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- settings: .*? -->\n)(.*?)(<!-- end of settings -->)", re.DOTALL)
FREE = {"hubs": "<HUB>", "forward": "<NAME>", "endpoints": "<NAME>"}


def table_lines() -> list[str]:
    """The table, a row for each setting in the order of the model."""
    return ["| name | default | meaning |", "|---|---|---|", *rows()]


def rows() -> Iterator[str]:
    yield from (row(PREFIX + name.upper(), "", text) for name, text in READ_ELSEWHERE.items())
    for path, field in settings_by_path().items():
        yield row(write_name(path), write_default(field), write_meaning(field))
    for section in named_sections():
        yield from rows_below(section)


def rows_below(section: str) -> Iterator[str]:
    """What a hub has of its own like all hubs have it is one row."""
    repeated: set[str] = set()
    start = f"{PREFIX}{section.upper()}__{FREE[section]}__"
    for path, field in settings_below(section).items():
        if (path[0], *path[1:]) in settings_by_path() and len(path) > 1:
            if path[0] not in repeated:
                repeated.add(path[0])
                yield row(f"{start}{path[0].upper()}__...", "", f"as `{PREFIX}{path[0].upper()}__...`, for one hub")
        else:
            name = start + "__".join(path).upper()
            yield row(name, "required" if field.is_required() else write_default(field), write_meaning(field))


def row(name: str, default: str, meaning: str) -> str:
    return f"| `{name}` | {default} | {meaning} |".replace("|  |", "| |")


def write_meaning(field: FieldInfo) -> str:
    """With a mark where a change is in force at once."""
    return f"{field.description or ''}{' (live)' if is_live(field) else ''}"


def write_default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}, ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def written(readme: str) -> str:
    """The README with the table as it should be."""
    text = "\n".join(table_lines())
    return BLOCK.sub(lambda match: f"{match[1]}{text}\n{match[3]}", readme)


if __name__ == "__main__":
    README.write_text(written(README.read_text("utf-8")), "utf-8")
