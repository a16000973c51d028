"""What of new settings may be taken over while running, and what waits for the next start."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from signalr_bridge.settings.model import EndpointSettings, HubSettings, Settings, UpstreamSettings
from signalr_bridge.settings.names import write_name

_ENDPOINTS = frozenset({"endpoints", "connections"})


@dataclass(frozen=True, slots=True)
class Change:
    """``settings`` are those to run with; ``changed`` says what is new, ``waiting`` names what is not so yet."""

    settings: Settings
    changed: tuple[str, ...]
    waiting: tuple[str, ...]


def plan_change(current: Settings, wanted: Settings) -> Change:
    """Endpoints and secrets change at once. What opens doors, and all the rest, changes by restart only."""
    update: dict[str, Any] = {
        "endpoints": wanted.endpoints,
        "connections": wanted.connections,
        "connection": wanted.connection,
        "hubs": {
            name: _change_hub(current.hubs.get(name), wanted.hubs.get(name), wanted.upstream)
            for name in {**wanted.hubs, **current.hubs}
        },
        "callers": current.callers.model_copy(update={"keys": wanted.callers.keys}),
        "upstream": _change_upstream(current.upstream, wanted.upstream),
        "forward": {
            name: one.model_copy(update={"secrets": wanted.forward[name].secrets}) if name in wanted.forward else one
            for name, one in current.forward.items()
        },
    }
    settings = current.model_copy(update=update)
    return Change(settings, tuple(_describe(current, settings)), tuple(_find_differences(settings, wanted)))


def _change_hub(current: HubSettings | None, wanted: HubSettings | None, common: UpstreamSettings) -> HubSettings:
    """Of a hub's own settings its connection, and upstream's secrets: the others are rules for clients.

    Secrets that it no longer has stop counting at once: those that are ``common`` to all hubs take their place.
    """
    kept = current or HubSettings()
    update: dict[str, Any] = {"connection": None if wanted is None else wanted.connection}
    if kept.upstream is not None:
        own = None if wanted is None else wanted.upstream
        update["upstream"] = _change_upstream(kept.upstream, common if own is None else own)
    return kept.model_copy(update=update)


def _change_upstream(current: UpstreamSettings, wanted: UpstreamSettings) -> UpstreamSettings:
    return current.model_copy(update={"code": wanted.code, "keys": wanted.keys})


# --- in words, without any value


def _describe(current: Settings, settings: Settings) -> Iterator[str]:
    before, after = _by_name(current.all_endpoints()), _by_name(settings.all_endpoints())
    yield from (f"endpoint {name} added" for name in after if name not in before)
    yield from (f"endpoint {name} removed" for name in before if name not in after)
    for name, now in after.items():
        if name in before and before[name] != now:
            yield f"endpoint {name}: {_describe_endpoint(before[name], now)}"
    without_endpoints = settings.model_copy(update={name: getattr(current, name) for name in _ENDPOINTS})
    yield from (f"{name} changed" for name in _find_differences(current, without_endpoints))


def _describe_endpoint(before: Sequence[EndpointSettings], now: Sequence[EndpointSettings]) -> str:
    keys = [[(one.connection.access_key, one.credential) for one in some] for some in (before, now)]
    return "changed" if keys[0] == keys[1] else "credential rotated"


def _by_name(endpoints: Sequence[EndpointSettings]) -> Mapping[str, list[EndpointSettings]]:
    found: dict[str, list[EndpointSettings]] = {}
    for one in endpoints:
        found.setdefault(one.name, []).append(one)
    return found


def _find_differences(one: Settings, other: Settings) -> Iterator[str]:
    """The names of the settings that differ, but for those of endpoints."""
    before, after = dict(_leaves(one, ())), dict(_leaves(other, ()))
    for path in sorted(before.keys() | after.keys()):
        if path[0] not in _ENDPOINTS and before.get(path) != after.get(path):
            yield write_name(path)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping) and path and path[-1] in {"hubs", "forward"}:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    else:
        yield path, value
