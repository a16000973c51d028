"""What of a change would open something while the bridge runs. It is left out and waits for the next start.

A file may be cut off where its text still means something, and then limits, codes and whole sections are missing. So a
change may close, replace and add, but it may give nobody more than somebody of the same name had before.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from pydantic import SecretStr

from signalr_bridge.protocol.connection_string import ConnectionString
from signalr_bridge.settings.access import CallerKey, GrantSettings, UpstreamSettings
from signalr_bridge.settings.azure import UNNAMED
from signalr_bridge.settings.model import EndpointSettings, Settings
from signalr_bridge.settings.names import write_name
from signalr_bridge.settings.rules import name_source
from signalr_bridge.settings.value import spell

Upstreams: TypeAlias = Mapping[tuple[str, ...], UpstreamSettings]
"""The sections about upstream by their paths."""
ReadSecrets: TypeAlias = Callable[[UpstreamSettings], tuple[SecretStr, ...]]
"""Gives the codes of a section, or its keys."""

_KEYS = "BRIDGE_CALLERS__KEYS"
_CUT_OFF = "is the beginning of what it was, and so it is probably cut off"


@dataclass(frozen=True, slots=True)
class Escalation:
    """One thing that would open. ``setting`` is the name of the setting, and ``text`` says what, without values."""

    setting: str
    text: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.text}"


def leave_out_escalations(
    current: Settings, wanted: Settings, gone: Sequence[CallerKey] = ()
) -> tuple[Settings, tuple[Escalation, ...]]:
    """``wanted`` without what would open something, and what that is.

    Only fields that are marked ``JUDGED`` are looked at. The others do not differ, or open nothing.

    Args:
        current: The settings in force.
        wanted: Those to change to. In fields that may not change while running they are the same.
        gone: Former keys, for names that ``current`` may lack. One that was lost with a file's end may come back.
    """
    found: list[Escalation] = []
    wanted = _keep_connections(current, wanted, found)
    endpoints = _EndpointJudge(current, wanted, found)
    settings = wanted.model_copy(
        update={
            "callers": wanted.callers.model_copy(update={"keys": _judge_keys(current, wanted, gone, found)}),
            "endpoints": endpoints.judge(wanted.connection, wanted.endpoints),
            "connections": {name: endpoints.judge(name, some) for name, some in wanted.connections.items()},
        }
    )
    return _judge_upstream(current, settings, found), tuple(dict.fromkeys(found))


# --- the keys of callers


def _judge_keys(
    current: Settings, wanted: Settings, gone: Sequence[CallerKey], found: list[Escalation]
) -> tuple[CallerKey, ...]:
    """The keys, without new ones that nobody like them had, and with no more hubs and rights than they have."""
    known = {one.digest: one for one in reversed(current.callers.keys)}  # the first of equal keys counts
    taken: list[CallerKey] = []
    for key in wanted.callers.keys:
        before, former = known.get(key.digest), _find_alike(key, current.callers.keys, gone)
        if before is not None:
            taken.append(_limit(key, before, found))
        elif _is_key_cut_off(key, current.callers.keys):
            found.append(Escalation(_KEYS, f"the new key '{key.name}' {_CUT_OFF}"))
        elif any(_covers(one, key) for one in former):
            taken.append(key)
        else:
            found.append(Escalation(_KEYS, _describe_new(key, former)))
    return tuple(taken)


def _is_key_cut_off(key: CallerKey, current: Sequence[CallerKey]) -> bool:
    """Whether a key is the beginning of one in force. A key that is given by its digest does not tell."""
    known = [one.key.get_secret_value() for one in current if one.key is not None]
    return key.key is not None and _is_cut_off(key.key.get_secret_value(), known)


def _find_alike(key: CallerKey, current: Sequence[CallerKey], gone: Sequence[CallerKey]) -> Sequence[CallerKey]:
    """The keys whose place a key may take. Those that are gone count where nobody like them is in force."""
    return [one for one in current if _is_alike(key, one)] or [one for one in gone if _is_alike(key, one)]


def _limit(key: CallerKey, before: CallerKey, found: list[Escalation]) -> CallerKey:
    """The key with those of its hubs and rights that it had before."""
    if _covers(before, key):
        return key
    found.append(Escalation(_KEYS, f"the key '{key.name}' would get more hubs or rights than it has"))
    return key.model_copy(
        update={"hubs": _intersect(key.hubs, before.hubs), "rights": _intersect(key.rights, before.rights)}
    )


def _describe_new(key: CallerKey, former: Sequence[CallerKey]) -> str:
    if key.form == "unnamed":
        return f"the new key '{key.name}' has no name in its table, and so nothing tells what it may have"
    if not former:
        return f"the key '{key.name}' is new"
    return f"the new key '{key.name}' would get more hubs or rights than the former one of this name"


def _is_alike(key: CallerKey, former: CallerKey) -> bool:
    """Whether a key may take the place of another: one of the same name, or a plain text that of a plain text.

    A table without a name may be one that was cut off in front of its name.
    """
    if key.form == "named":
        return former.form == "named" and former.name == key.name
    return key.form == "text" and former.form == "text"


def _covers(one: GrantSettings, other: GrantSettings) -> bool:
    """Whether ``one`` gives all that ``other`` gives."""
    return _is_within(other.hubs, one.hubs) and _is_within(other.rights, one.rights)


def _is_within(names: Sequence[str] | None, all_names: Sequence[str] | None) -> bool:
    """None stands for everything."""
    return all_names is None or (names is not None and set(names) <= set(all_names))


def _intersect(names: Sequence[str] | None, others: Sequence[str] | None) -> Sequence[str] | None:
    if names is None or others is None:
        return others if names is None else names
    return tuple(one for one in names if one in others)


# --- codes and keys of the upstream


def _judge_upstream(current: Settings, wanted: Settings, found: list[Escalation]) -> Settings:
    """The settings, with former codes and keys where the new ones would let somebody in who was not let in before."""
    before, after = _upstreams(current), _upstreams(wanted)
    taken = {path: _SectionJudge(before, after, path, found).judge() for path in after}
    hubs = {
        name: hub if hub.upstream is None else hub.model_copy(update={"upstream": taken["hubs", name, "upstream"]})
        for name, hub in wanted.hubs.items()
    }
    return wanted.model_copy(update={"upstream": taken["upstream",], "hubs": hubs})


def _upstreams(settings: Settings) -> Upstreams:
    """The sections about upstream by their paths: that of all hubs, and those of hubs that have one of their own."""
    found: dict[tuple[str, ...], UpstreamSettings] = {("upstream",): settings.upstream}
    for name, hub in settings.hubs.items():
        if hub.upstream is not None:
            found["hubs", name, "upstream"] = hub.upstream
    return found


class _SectionJudge:
    """Judges the secrets of one section about upstream by those of all sections."""

    def __init__(self, before: Upstreams, after: Upstreams, path: tuple[str, ...], found: list[Escalation]) -> None:
        self._before, self._after, self._path, self._found = before, after, path, found

    def judge(self) -> UpstreamSettings:
        """The section with its former codes, or its former keys, where the wanted ones would open something."""
        codes = self._choose("code", lambda one: one.code, may_be_none=False)
        keys = self._choose("keys", lambda one: one.keys, may_be_none=True)
        return self._after[self._path].model_copy(update={"code": codes, "keys": keys})

    def _choose(self, name: str, read: ReadSecrets, *, may_be_none: bool) -> tuple[SecretStr, ...]:
        former, wanted = read(self._before[self._path]), read(self._after[self._path])
        elsewhere = set(self._list_elsewhere(former, read))
        if former and not wanted and not may_be_none:
            text = "its last value would go, and then none would be asked for"
        elif any(one in elsewhere for one in wanted if one not in former):
            text = "a value that holds elsewhere would hold here, too"
        elif any(_is_cut_off(one.get_secret_value(), (old.get_secret_value() for old in former)) for one in wanted):
            text = f"a value {_CUT_OFF}"
        else:
            return wanted
        self._found.append(Escalation(write_name((*self._path, name)), text))
        return former

    def _list_elsewhere(self, former: tuple[SecretStr, ...], read: ReadSecrets) -> Iterator[SecretStr]:
        """What holds in other sections. New values of those that have had one in common with this one do not count."""
        for path in self._before.keys() - {self._path}:
            values = read(self._before[path])
            yield from values
            if set(values).isdisjoint(former):
                yield from read(self._after[path])


def _is_cut_off(text: str, former: Iterable[str]) -> bool:
    """Whether a text is the beginning of a former one. Half a key can be guessed, and half an address is another."""
    known = list(former)
    return text not in known and any(one.startswith(text) for one in known)


# --- endpoints


def _keep_connections(current: Settings, wanted: Settings, found: list[Escalation]) -> Settings:
    """The settings, in which each hub that has a connection of its own keeps one.

    Otherwise the hub would move to the instances of all hubs. Their keys could report its events, and whoever is there
    would get its messages. Its named endpoints are those of all hubs, and so they still come and go.
    """
    hubs, connections = dict(wanted.hubs), dict(wanted.connections)
    for name, before in current.hubs.items():
        own = spell(before.connection or wanted.connection)
        if hubs[name].connection is not None or own == spell(wanted.connection):
            continue
        text = "would go, and then the hub would be at the instances of all hubs"
        found.append(Escalation(write_name(("hubs", name, "connection")), text))
        hubs[name] = hubs[name].model_copy(update={"connection": before.connection})
        unnamed = [one for one in current.endpoints_of(name) if one.name == UNNAMED]
        named = [one for one in wanted.endpoints if one.name != UNNAMED]
        connections.setdefault(own, (*unnamed, *named))
    return wanted.model_copy(update={"hubs": hubs, "connections": connections})


class _EndpointJudge:
    """Judges the endpoints of each connection by those of the same connection and name."""

    def __init__(self, current: Settings, wanted: Settings, found: list[Escalation]) -> None:
        self._wanted, self._found = wanted, found
        self._checks_tokens = any(one.entra.tenant is not None for one in _upstreams(current).values())
        self._every = current.all_endpoints()
        self._former = {**current.connections, spell(current.connection): current.endpoints}

    def judge(self, connection: str, wanted: Sequence[EndpointSettings]) -> tuple[EndpointSettings, ...]:
        """The endpoints, with the former one in the place of one that would open something."""
        former = self._former.get(spell(connection), ())
        must_be_named = self._checks_tokens and (_name_all(former) or _name_all(self._every))
        return tuple(one for endpoint in wanted for one in self._choose(endpoint, former, must_be_named=must_be_named))

    def _choose(
        self, wanted: EndpointSettings, former: Sequence[EndpointSettings], *, must_be_named: bool
    ) -> Iterator[EndpointSettings]:
        alike = [one for one in former if one.name.lower() == wanted.name.lower()]
        if wanted not in alike and any(_is_endpoint_cut_off(wanted.connection, one.connection) for one in alike):
            self._found.append(Escalation(name_source(self._wanted, wanted), f"its connection string {_CUT_OFF}"))
        elif must_be_named and _is_unnamed(wanted):
            text = "is missing, and so every application that is trusted at all could report its events"
            self._found.append(Escalation(write_name(("endpoints", wanted.name, "upstream_app_id")), text))
        else:
            yield wanted
            return
        yield from alike


def _is_unnamed(endpoint: EndpointSettings) -> bool:
    """Whether its upstream calls may carry a token of an application that the settings do not name."""
    return endpoint.connection.access_key is None and endpoint.upstream_app_id is None


def _name_all(endpoints: Sequence[EndpointSettings]) -> bool:
    """Whether the settings name the application of each endpoint whose calls may carry a token."""
    return any(one.upstream_app_id for one in endpoints) and not any(map(_is_unnamed, endpoints))


def _is_endpoint_cut_off(now: ConnectionString, former: ConnectionString) -> bool:
    addresses = (
        (now.endpoint, former.endpoint),
        (now.client_endpoint, former.client_endpoint),
        (now.server_endpoint, former.server_endpoint),
    )
    parts = [(_host_of(one), _host_of(other)) for one, other in addresses]
    if now.endpoint == former.endpoint:
        parts.append((now.access_key, former.access_key))
    return any(_is_cut_off(one, [other]) for one, other in parts if one and other)


def _host_of(url: str | None) -> str | None:
    return urlsplit(url or "").hostname
