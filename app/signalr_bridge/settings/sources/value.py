"""A setting as it was found: its value, how somebody wrote its name, and where.

``__`` in the environment and ``:`` in files both separate levels; names ignore case.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

COMMAND_LINE = "command line"
ENVIRONMENT = "environment"
SECRETS = "secrets directory"
UNWATCHED = frozenset({COMMAND_LINE, ENVIRONMENT})
"""What these say is so until the next start."""


@dataclass(frozen=True, slots=True)
class Value:
    """``written`` is the name as somebody wrote it; ``shadows`` are the sources that have it, too, and do not count."""

    written: str
    value: Any = field(repr=False)
    source: str
    shadows: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return str(self.value).strip()


Values: TypeAlias = Mapping[str, Value]
"""Settings by name, in lower case, levels joined by ``:``."""


def spell(name: str) -> str:
    """A name as it stands in ``Values``."""
    return name.replace("__", ":").lower()


def name_values(named: Iterable[tuple[str, Any]], source: str) -> Values:
    """None is a setting that is not given."""
    return {spell(name): Value(name, value, source) for name, value in named if value is not None}


def first_of(*places: Values) -> Values:
    """All settings of all places; of one that stands in several, the first place's."""
    merged: dict[str, Value] = {}
    for place in reversed(places):
        for name, found in place.items():
            below = merged.get(name)
            merged[name] = (
                found if below is None else replace(found, shadows=(*found.shadows, below.source, *below.shadows))
            )
    return merged
