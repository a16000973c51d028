"""Which endpoints a hub has: a registry for each connection, all replaced at once when settings change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from signalr_bridge.endpoints.attempts import RetryPolicy
from signalr_bridge.endpoints.credentials import Credentials
from signalr_bridge.endpoints.endpoint import Credential, Endpoint, Transport, make_endpoint
from signalr_bridge.endpoints.health import Health
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.runtime import Clock, Random, WallClock
from signalr_bridge.settings.model import CallSettings, CredentialSettings, EndpointSettings, Settings


class Registries(Protocol):
    """What knows the endpoints of a hub: a directory, or one registry for all hubs."""

    def find(self, hub: str) -> Registry: ...


@dataclass(frozen=True, slots=True)
class EndpointMap:
    """Registries by connection and, of the hubs that name another than ``default``, the connection by hub."""

    default: str
    registries: Mapping[str, Registry]
    connections: Mapping[str, str] = field(default_factory=dict)


class EndpointDirectory:
    """Whoever has asked keeps what it was given to the end of its call; the next one gets what is so by then."""

    def __init__(self, endpoint_map: EndpointMap) -> None:
        self._endpoint_map = endpoint_map
        self._worked = False

    def use(self, endpoint_map: EndpointMap) -> None:
        self._endpoint_map = endpoint_map

    def find(self, hub: str) -> Registry:
        endpoint_map = self._endpoint_map
        return endpoint_map.registries[endpoint_map.connections.get(hub.lower(), endpoint_map.default)]

    @property
    def registries(self) -> Sequence[Registry]:
        """Those that have an endpoint."""
        return tuple(one for one in self._endpoint_map.registries.values() if one.endpoints)

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


_Opener: TypeAlias = tuple[str, str | None, str | None, CredentialSettings]


@dataclass(frozen=True, slots=True)
class Built:
    """``endpoints`` by the settings they were made from, which hold secrets."""

    endpoint_map: EndpointMap
    endpoints: Mapping[EndpointSettings, Endpoint] = field(repr=False)


class Builder:
    """``now`` gives seconds since 1970, ``clock`` monotonic seconds, ``random`` a number from 0 to 1."""

    def __init__(
        self,
        transport: Transport,
        health: Health,
        *,
        now: WallClock,
        clock: Clock,
        random: Random,
        credentials: Credentials | None = None,
    ) -> None:
        self._transport, self._health = transport, health
        self._now, self._clock, self._random = now, clock, random
        self._credentials = credentials or Credentials("", clock=now, random=random)

    def build(self, settings: Settings, before: Built | None = None) -> Built:
        known = dict(before.endpoints) if before else {}
        credentials = {_opener(one): endpoint.credential for one, endpoint in known.items()}
        made = {one: known.get(one) or self._make(one, credentials) for one in settings.all_endpoints()}
        named = {settings.connection.lower(): settings.endpoints, **settings.connections}
        registries = {
            name: self._make_registry(settings, [made[one] for one in endpoints]) for name, endpoints in named.items()
        }
        connections = {hub: settings.connection_of(hub) for hub in settings.hubs}
        return Built(EndpointMap(settings.connection.lower(), registries, connections), made)

    def _make(self, one: EndpointSettings, credentials: Mapping[_Opener, Credential]) -> Endpoint:
        return make_endpoint(
            one.name,
            one.endpoint_type,
            one.connection,
            self._now,
            weight=one.weight,
            lenient_404=one.lenient_404,
            credential=credentials.get(_opener(one)) or self._credentials.find(one),
        )

    def _make_registry(self, settings: Settings, endpoints: list[Endpoint]) -> Registry:
        return Registry(
            endpoints,
            self._transport,
            self._health,
            clock=self._clock,
            random=self._random,
            strategies={hub: one.strategy for hub, one in settings.hubs.items()},
            policy=make_policy(settings.calls),
        )


def _opener(one: EndpointSettings) -> _Opener:
    connection = one.connection
    return connection.endpoint, connection.server_endpoint, connection.access_key, one.credential


def make_policy(calls: CallSettings) -> RetryPolicy:
    """The bridge's own counts and delays, unless a function app's settings have others."""
    retry = calls.retry
    if retry is None:
        return RetryPolicy(attempt_seconds=calls.attempt_seconds)
    return RetryPolicy(
        most_attempts=1 + retry.max_retries,
        first_delay=retry.delay_seconds,
        longest_delay=retry.max_delay_seconds,
        fixed=retry.mode == "Fixed",
        attempt_seconds=calls.attempt_seconds,
    )
