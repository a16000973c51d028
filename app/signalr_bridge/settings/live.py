"""The settings in force, and what a change of them changes: what opens something waits for the next start."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel

from signalr_bridge.settings.access import CallerKey
from signalr_bridge.settings.diagnosis import locating
from signalr_bridge.settings.escalation import Escalation, leave_out_escalations
from signalr_bridge.settings.fields import is_live
from signalr_bridge.settings.loading import review
from signalr_bridge.settings.model import EndpointSettings, HubSettings, Settings
from signalr_bridge.settings.names import write_name
from signalr_bridge.settings.rules import check_servable
from signalr_bridge.settings.value import Values

Commit: TypeAlias = Callable[[], None]
"""Switches to settings that were made ready. It cannot fail."""
Prepare: TypeAlias = Callable[[Settings], Commit]
"""Makes ready for new settings, and gives what switches to them. Raises ``SettingsError``."""
Check: TypeAlias = Callable[[Settings, Values], None]
"""Raises ``SettingsError`` for settings that nobody could start with."""

_ENDPOINTS = frozenset({"endpoints", "connections"})
_Section = TypeVar("_Section", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Change:
    """What to do about changed settings.

    Args:
        settings: The settings to run with from now on.
        changed: What is new in them, in a few words each, without values.
        waiting: The names of settings whose change waits for the next start.
        escalations: What would open something. It is not in ``settings``, and waits for the next start, too.
    """

    settings: Settings
    changed: tuple[str, ...]
    waiting: tuple[str, ...]
    escalations: tuple[Escalation, ...]


def plan_change(current: Settings, wanted: Settings, gone: Sequence[CallerKey] = ()) -> Change:
    """The change to ``wanted``. Fields marked as live change at once, as far as nothing opens. All others wait.

    ``gone`` are the last keys of names that were in force before ``current``. They need not hold their secrets.
    """
    hubs = {
        name: _change(current.hubs.get(name) or HubSettings(), _find_hub(wanted, name))
        for name in {**wanted.hubs, **current.hubs}
    }
    forward = {
        name: _change(one, wanted.forward[name]) if name in wanted.forward else one
        for name, one in current.forward.items()
    }
    changed = _change(current, wanted).model_copy(update={"hubs": hubs, "forward": forward})
    settings, escalations = leave_out_escalations(current, changed, gone)
    named = {one.setting for one in escalations}
    # A hub that is gone says no more than one that was never there.
    said = wanted.model_copy(update={"hubs": {**dict.fromkeys(current.hubs, HubSettings()), **wanted.hubs}})
    waiting = tuple(one for one in _find_differences(settings, said) if one not in named)
    return Change(settings, tuple(_describe(current, settings)), waiting, escalations)


def _change(current: _Section, wanted: BaseModel) -> _Section:
    """``current`` with the values of ``wanted`` that may change while running, also in its sections."""
    update: dict[str, Any] = {}
    for name, field in type(current).model_fields.items():
        before, after = getattr(current, name), getattr(wanted, name)
        if is_live(field):
            update[name] = after
        elif isinstance(before, BaseModel) and isinstance(after, BaseModel):
            update[name] = _change(before, after)
    return current.model_copy(update=update)


def _find_hub(wanted: Settings, name: str) -> HubSettings:
    """The settings of a hub. The hub, or its own section about upstream, may have gone.

    Secrets that it no longer has do not count any more. Those of all hubs take their place at once.
    """
    found = wanted.hubs.get(name) or HubSettings()
    return found if found.upstream is not None else found.model_copy(update={"upstream": wanted.upstream})


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


class SettingsListener(Protocol):
    """Is told what becomes of changes."""

    def settings_changed(self, *, changes: Sequence[str]) -> None:
        """Changes are in force. Each is named in a few words, without values."""
        ...

    def settings_waiting(self, *, settings: Sequence[str]) -> None:
        """The settings of these names have changed. They take effect at the next start."""
        ...

    def settings_opening(self, *, openings: Sequence[str]) -> None:
        """Changes that would open something were left out. Each is named in a few words, without values."""
        ...

    def settings_refused(self, *, reason: str) -> None:
        """A change was refused as a whole."""
        ...


class LiveSettings:
    """Changes the settings in force, which it does not keep.

    Args:
        current: Gives the settings in force.
        prepare: Makes ready for new settings. When it refuses them, nothing changes.
        listener: Is told of changes.
        check: Checks what is wanted as it was checked at the start.
    """

    def __init__(
        self,
        current: Callable[[], Settings],
        prepare: Prepare,
        listener: SettingsListener,
        check: Check = check_servable,
    ) -> None:
        self._current, self._prepare, self._listener, self._check = current, prepare, listener, check
        self._told: tuple[tuple[str, ...], tuple[Escalation, ...]] = ((), ())
        self._gone: list[CallerKey] = []

    def plan(self, values: Values) -> Change:
        """The change to the settings in ``values``. Raises ``SettingsError`` for what nobody could start with.

        It may take long and read files, so it is called in another thread than ``take``.
        """
        wanted, current = review(values).accept(), self._current()
        self._check(wanted, values)
        change = plan_change(current, wanted, self._gone)
        if change.settings != current:
            self._check(change.settings, values)
        return change

    def take(self, change: Change, values: Values) -> None:
        """Switches to the settings of a change, which was read from ``values``. Raises ``SettingsError``."""
        self._tell_what_waits(change)
        if change.settings == self._current():
            return
        with locating(values):
            commit = self._prepare(change.settings)
        self._remember(self._current().callers.keys)
        commit()
        self._listener.settings_changed(changes=change.changed)

    def _remember(self, keys: Sequence[CallerKey]) -> None:
        """Keeps what the keys of each name may do, without the keys themselves, in the place of what was kept of it."""
        names = {(one.form, one.name) for one in keys}
        self._gone = [
            *(one for one in self._gone if (one.form, one.name) not in names),
            *(one.model_copy(update={"key": None, "sha256": None}) for one in keys),
        ]

    def _tell_what_waits(self, change: Change) -> None:
        """Tells it once as long as it stays the same, because stores are read again and again."""
        waiting, escalations = self._told
        self._told = change.waiting, change.escalations
        if change.escalations and change.escalations != escalations:
            self._listener.settings_opening(openings=[str(one) for one in change.escalations])
        if change.waiting and change.waiting != waiting:
            self._listener.settings_waiting(settings=change.waiting)
