"""What is worth a warning although nothing is wrong: values that hide others, names that some place cannot hold."""

import re
from collections.abc import Iterable, Iterator

from signalr_bridge.settings.azure.connections import spellings
from signalr_bridge.settings.finding import Finding, warning
from signalr_bridge.settings.names import PREFIX, find_path
from signalr_bridge.settings.sources import Values
from signalr_bridge.settings.sources.value import SECRETS, UNWATCHED

_OURS = ("bridge_", "azure:signalr", "azuresignalr")
_PORTABLE = re.compile(r"[A-Za-z0-9_]+")


def find_notices(values: Values, connections: Iterable[str]) -> Iterator[Finding]:
    """``connections`` are their names."""
    names = [spelled for name in connections for spelled in spellings(name.lower())]
    yield from _find_shadows(values, (*_OURS, *names))
    yield from _find_awkward(values)


def _find_shadows(values: Values, ours: tuple[str, ...]) -> Iterator[Finding]:
    """A rotated value that nobody sees is the worst kind of surprise."""
    for spelled, found in sorted(values.items()):
        hidden = [source for source in found.shadows if source not in UNWATCHED]
        if spelled.startswith(ours) and found.source in UNWATCHED and hidden:
            yield warning(
                found.written,
                f"the {found.source} hides what {_the(hidden[0])} says, so that changes there are not seen: "
                f"remove it from the {found.source}.",
            )


def _the(source: str) -> str:
    return f"the {source}" if source == SECRETS else source


def _find_awkward(values: Values) -> Iterator[Finding]:
    """A free name that no environment variable can hold everywhere."""
    seen: set[tuple[str, str]] = set()
    for spelled in sorted(values):
        path = find_path(spelled.removeprefix(PREFIX.lower())) if spelled.startswith(PREFIX.lower()) else None
        if path is None or path[0] != "hubs" or _PORTABLE.fullmatch(path[1].replace(":", "__")):
            continue
        if values[spelled].source in UNWATCHED and (path[0], path[1]) not in seen:
            seen.add((path[0], path[1]))
            yield warning(
                values[spelled].written,
                f'many shells and platforms cannot hold such a name: write it in bridge.toml, as [hubs."{path[1]}"].',
            )
