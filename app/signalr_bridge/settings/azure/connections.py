"""A connection: the unnamed endpoint of one setting, and the named ones, which belong to every connection.

Source: ``spec/functions-bindings.md`` 4.2 to 4.4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from signalr_bridge.settings.azure.candidate import Candidate, read_string
from signalr_bridge.settings.azure.identity import read_identity
from signalr_bridge.settings.finding import Finding, mistake, warning
from signalr_bridge.settings.sections.endpoints import EndpointType
from signalr_bridge.settings.sources import Value, Values

UNNAMED = "default"
NAMED = "azure:signalr:endpoints:"
_FORMS: tuple[tuple[str, EndpointType], ...] = (("", "Primary"), (":primary", "Primary"), (":secondary", "Secondary"))


def read_unnamed(values: Values, connection: str) -> list[Candidate]:
    """At most one: by a connection string or, without one, by identity."""
    name = connection.lower()
    identity = read_identity(values, f"{name}:", UNNAMED)
    for spelling in spellings(name):
        found = values.get(spelling)
        if found is not None and found.text:
            string = read_string(spelling, found, UNNAMED, "Primary")
            return [string if identity is None else _prefer(string, identity, f"{connection}: the connection string")]
    return [] if identity is None else [identity]


def spellings(connection: str) -> tuple[str, ...]:
    """Where a connection string may stand, the first match wins."""
    return f"connectionstrings:{connection}", f"customconnstr_{connection}", connection


def read_named(values: Values) -> list[Candidate]:
    """In the order of their names."""
    return [one for name, written in _find_names(values) for one in _read_name(values, name, written)]


def _read_name(values: Values, name: str, written: str) -> Iterator[Candidate]:
    prefix = NAMED + name
    strings = [
        read_string(prefix + suffix, found, written, endpoint_type)
        for suffix, endpoint_type in _FORMS
        if (found := values.get(prefix + suffix)) is not None
    ]
    identity = read_identity(values, f"{prefix}:", written)
    if identity is None:
        yield from strings
    else:
        beside = [one for one in strings if one.settings is not None]
        yield _prefer(identity, beside[0], f"the endpoint '{written}': its serviceUri") if beside else identity


def _find_names(values: Values) -> list[tuple[str, str]]:
    """The endpoints' names in lower case, each as it was written."""
    names: dict[str, str] = {}
    for spelled, found in values.items():
        if spelled.startswith(NAMED):
            names.setdefault(spelled.split(":")[3], _written_name(found))
    return sorted(names.items())


def _written_name(found: Value) -> str:
    return found.written.replace("__", ":").split(":")[3]


def _prefer(winner: Candidate, loser: Candidate, words: str) -> Candidate:
    setting, _, which = words.partition(": ")
    said = warning(setting, f"{which} is used, and what stands beside it is not: remove one of the two.")
    return replace(winner, findings=(*winner.findings, said), used=winner.used | loser.used)


# --- all together


def judge_connection(connection: str, unnamed: Sequence[Candidate], named: Sequence[Candidate]) -> Iterator[Finding]:
    """What is wrong with the endpoints of one connection as a set."""
    candidates = [*unnamed, *named]
    if unnamed and any(one.name.lower() == UNNAMED for one in named):
        yield mistake(
            "", f"A named endpoint 'default' stands beside {connection}, which has that name: rename the named one."
        )
    if candidates and all(one.endpoint_type == "Secondary" for one in candidates):
        yield mistake(
            f"{connection} and Azure__SignalR__Endpoints",
            "every endpoint is Secondary: make one Primary (<name>__primary, or <name>__type=Primary).",
        )
    yield from _judge_doubles(candidates)


def _judge_doubles(candidates: Sequence[Candidate]) -> Iterator[Finding]:
    groups: dict[str, list[Candidate]] = {}
    for one in candidates:
        if one.settings is not None:
            groups.setdefault(one.settings.connection.endpoint, []).append(one)
    for url, group in groups.items():
        if len(group) > 1:
            winner = next((one for one in group if one.endpoint_type == "Primary"), group[0])
            names = ", ".join(f"{one.name} ({one.endpoint_type})" for one in group)
            yield warning(
                names,
                f"are one instance, {url}: it is called as {winner.name} ({winner.endpoint_type}), "
                "and the keys of all verify its calls.",
            )
