"""The settings in force, and what follows their changes. A change is taken over whole or not at all."""

import asyncio
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, TypeVar

from pydantic import BaseModel

from signalr_bridge.errors import SettingsError
from signalr_bridge.runtime import Clock
from signalr_bridge.settings.diagnosis import locating
from signalr_bridge.settings.fields import is_live
from signalr_bridge.settings.loading import review
from signalr_bridge.settings.model import EndpointSettings, HubSettings, Settings
from signalr_bridge.settings.names import write_name
from signalr_bridge.settings.rules import check_servable
from signalr_bridge.settings.sources import Sources
from signalr_bridge.settings.value import Values

Commit: TypeAlias = Callable[[], None]
"""Switches to settings that were made ready. It cannot fail."""
Prepare: TypeAlias = Callable[[Settings], Commit]
"""Makes ready for new settings, and gives what switches to them. Raises ``SettingsError``."""
Check: TypeAlias = Callable[[Settings, Values], None]
"""Raises ``SettingsError`` for settings that nobody could start with."""

LOOK_SECONDS = 0.5
"""Seconds between two looks at the files. A change is in force well within two seconds."""
SETTLE_SECONDS = 0.1
"""A file that changes again within so many seconds is still being written."""
FORCED_SECONDS = 1.0
"""The least seconds between two readings that are asked for although no file has changed."""

_MOST_READINGS = 20
_ENDPOINTS = frozenset({"endpoints", "connections"})
_Section = TypeVar("_Section", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Change:
    """What to do about changed settings.

    Args:
        settings: The settings to run with from now on.
        changed: What is new in them, in a few words each, without values.
        waiting: The names of settings whose change waits for the next start.
    """

    settings: Settings
    changed: tuple[str, ...]
    waiting: tuple[str, ...]


def plan_change(current: Settings, wanted: Settings) -> Change:
    """The change to ``wanted``. Fields marked ``LIVE`` change at once. Those that allow access, and the rest, wait."""
    hubs = {
        name: _change(current.hubs.get(name) or HubSettings(), _find_hub(wanted, name))
        for name in {**wanted.hubs, **current.hubs}
    }
    forward = {
        name: _change(one, wanted.forward[name]) if name in wanted.forward else one
        for name, one in current.forward.items()
    }
    settings = _change(current, wanted).model_copy(update={"hubs": hubs, "forward": forward})
    return Change(settings, tuple(_describe(current, settings)), tuple(_find_differences(settings, wanted)))


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

    def take(self, values: Values) -> None:
        """Switches to the settings in ``values`` that may change while running. Raises ``SettingsError``."""
        wanted = review(values).accept()
        self._check(wanted, values)
        current = self._current()
        change = plan_change(current, wanted)
        if change.waiting:
            self._listener.settings_waiting(settings=change.waiting)
        if change.settings == current:
            return
        self._check(change.settings, values)
        with locating(values):
            commit = self._prepare(change.settings)
        commit()
        self._listener.settings_changed(changes=change.changed)


class Watcher:
    """Reads the sources when they have changed, in a background task that is entered and left with the application.

    Args:
        sources: What is read.
        take: Gets the values. It raises ``SettingsError`` for values that cannot be used.
        listener: Is told when values are refused.
        clock: Gives monotonic seconds.
        interval: Seconds between two looks at the sources.
        settle: Seconds without a change after which a file is read.
    """

    def __init__(
        self,
        sources: Sources,
        take: Callable[[Values], None],
        listener: SettingsListener,
        *,
        clock: Clock,
        interval: float = LOOK_SECONDS,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._sources, self._take, self._listener, self._clock = sources, take, listener, clock
        self._interval, self._settle = interval, settle
        self._seen: Hashable = None  # what was read before may have changed since
        self._forced_at = clock() - FORCED_SECONDS
        self._refused: str | None = None
        self._reading: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (self._watching, self._reading):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def read_again(self) -> None:
        """Reads all sources now. Calls that come meanwhile wait for the same reading."""
        if self._reading is None:
            now = self._clock()
            unchanged = self._sources.look() == self._seen
            if unchanged and now < self._forced_at + FORCED_SECONDS:
                return
            self._forced_at = now
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                if self._reading is None and await asyncio.to_thread(self._sources.look) != self._seen:
                    await self._start_reading()
            except Exception as error:  # whatever it is, the next look may go well
                self._refuse_unexpected(error)

    async def _start_reading(self) -> None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        try:
            self._take(await self._read_settled())
            self._refused = None
        except SettingsError as error:
            self._refuse(error)
        except Exception as error:  # whatever it is, the old settings stay and watching goes on
            self._refuse_unexpected(error)
        finally:
            self._reading = None

    async def _read_settled(self) -> Values:
        """What the sources say, read when they have stopped changing. Raises ``SettingsError``."""
        self._seen = await asyncio.to_thread(self._sources.look)
        for _ in range(_MOST_READINGS):
            await asyncio.sleep(self._settle)
            values = await asyncio.to_thread(self._sources.read)
            before, self._seen = self._seen, await asyncio.to_thread(self._sources.look)
            if before == self._seen:
                return values
        raise SettingsError("The files change faster than they can be read.")

    def _refuse_unexpected(self, error: Exception) -> None:
        """Refuses by the type of the error alone, because its text may quote a value."""
        self._refuse(SettingsError(f"They cannot be read: {type(error).__name__}."))

    def _refuse(self, error: SettingsError) -> None:
        """Tells the listener of a refusal, once as long as its text stays the same."""
        if error.detail != self._refused:
            self._refused = error.detail
            self._listener.settings_refused(reason=error.detail)
