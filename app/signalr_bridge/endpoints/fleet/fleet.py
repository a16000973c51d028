"""Which endpoints a hub has: a registry for each connection, all replaced at once when settings change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.endpoints.registry import Registry


class Registries(Protocol):
    """What knows the endpoints of a hub: a fleet, or one registry for all hubs."""

    def find(self, hub: str) -> Registry: ...


@dataclass(frozen=True, slots=True)
class Formation:
    """Registries by connection and, of the hubs that name another than ``default``, the connection by hub."""

    default: str
    registries: Mapping[str, Registry]
    connections: Mapping[str, str] = field(default_factory=dict)


class Fleet:
    """Whoever has asked keeps what it was given to the end of its call; the next one gets what is so by then."""

    def __init__(self, formation: Formation) -> None:
        self._formation = formation
        self._worked = False

    def use(self, formation: Formation) -> None:
        self._formation = formation

    def find(self, hub: str) -> Registry:
        formation = self._formation
        return formation.registries[formation.connections.get(hub.lower(), formation.default)]

    @property
    def registries(self) -> Sequence[Registry]:
        """Those that have an endpoint."""
        return tuple(one for one in self._formation.registries.values() if one.endpoints)

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """Of all connections; a named one, which belongs to each, stands there once."""
        return tuple({id(one): one for registry in self.registries for one in registry.endpoints}.values())

    def has_worked(self, *, now: bool = False) -> bool:
        """Whether every connection has had one endpoint that answered to our credential; ``now``: and is online.

        What was so once stays so, unless somebody asks for ``now``: a connection that joins later takes nothing away.
        """
        if self._worked and not now:
            return True
        registries = self.registries
        works = bool(registries) and all(one.has_worked(now=now) for one in registries)
        self._worked |= works
        return works
