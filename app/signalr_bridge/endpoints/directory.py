"""The endpoints of each hub: a registry for each connection, all replaced at once when settings change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from signalr_bridge.endpoints.attempts import RetryPolicy
from signalr_bridge.endpoints.credentials import Credentials
from signalr_bridge.endpoints.endpoint import Credential, Endpoint, Transport, make_endpoint
from signalr_bridge.endpoints.health import Health
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings.model import CallSettings, CredentialSettings, EndpointSettings, HubSettings, Settings
from signalr_bridge.settings.value import spell
from signalr_bridge.web.observer import Observer

_Opener: TypeAlias = tuple[str, str | None, str | None, CredentialSettings]
"""What tells credentials apart: the endpoint's URL, the server's URL, the access key and the credential's settings."""


@dataclass(frozen=True, slots=True)
class EndpointMap:
    """The endpoints of each hub as one value that never changes.

    Args:
        default: The name of the default connection, in lower case.
        registries: The registries by the name of their connection, in lower case.
        connections: The name of the connection by hub, for the hubs with another one than ``default``.
    """

    default: str
    registries: Mapping[str, Registry]
    connections: Mapping[str, str] = field(default_factory=dict)

    def connection_of(self, hub: str) -> str:
        """The name of the hub's connection. The hub's name may be in any case."""
        return self.connections.get(hub.lower(), self.default)

    def find(self, hub: str) -> Registry:
        """The registry of the hub, whose name may be in any case."""
        return self.registries[self.connection_of(hub)]

    @property
    def in_use(self) -> Sequence[Registry]:
        """The registries that have an endpoint."""
        return tuple(one for one in self.registries.values() if one.endpoints)

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """The endpoints of all connections, each once. A named endpoint may belong to several connections."""
        return tuple({id(one): one for registry in self.in_use for one in registry.endpoints}.values())


class EndpointDirectory:
    """The endpoints in force. ``current`` gives the map in force.

    A call that is under way keeps the registry that it was given. The next call gets the one in force by then.
    """

    def __init__(self, current: Callable[[], EndpointMap]) -> None:
        self._current = current
        self._worked = False
        self.is_stopping = False
        """Whether the bridge is about to stop. Then it is not ready, and requests are still answered."""
        self.awaited = ""
        """What else must be there before the bridge is ready, in a few words. Empty without such."""

    def begin_stop(self) -> None:
        """From now on the bridge is not ready."""
        self.is_stopping = True

    def find(self, hub: str) -> Registry:
        """The registry of the hub, whose name may be in any case."""
        return self._current().find(hub)

    @property
    def registries(self) -> Sequence[Registry]:
        """The registries that have an endpoint."""
        return self._current().in_use

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """The endpoints of all connections, each once."""
        return self._current().endpoints

    def has_worked(self, *, now: bool = False) -> bool:
        """Whether every connection has an endpoint that once answered to our credential. ``now``: and is online.

        Once True it stays True unless ``now`` is set, so a connection that is added later does not turn it back.
        """
        if self._worked and not now:
            return True
        registries = self.registries
        works = bool(registries) and all(one.has_worked(now=now) for one in registries)
        self._worked |= works
        return works


@dataclass(frozen=True, slots=True)
class _Spread:
    """What all registries are made with: the unusual strategies by hub, and how often a call is tried again."""

    strategies: Mapping[str, str]
    policy: RetryPolicy


@dataclass(frozen=True, slots=True)
class Built:
    """A map and what it was made from. The settings of the endpoints hold secrets.

    Args:
        endpoint_map: The endpoints of each hub.
        endpoints: The endpoints by the settings that they were made from.
        spread: What its registries were made with.
    """

    endpoint_map: EndpointMap
    endpoints: Mapping[EndpointSettings, Endpoint] = field(repr=False)
    spread: _Spread


class Builder:
    """Makes the map from settings. What has not changed since the map before stays the same object.

    A registry that stays keeps its breakers. Health is kept by the URL of an endpoint, and all registries share it.

    Args:
        transport: Reaches the endpoints.
        health: What is known of each endpoint.
        runtime: The clocks and randomness.
        credentials: Where credentials are found. None makes them without an Entra authority.
        observer: Is told what the registries do.
    """

    def __init__(
        self,
        transport: Transport,
        health: Health,
        *,
        runtime: Runtime,
        credentials: Credentials | None = None,
        observer: Observer,
    ) -> None:
        self._transport, self._health, self._runtime = transport, health, runtime
        self._credentials = credentials or Credentials("", runtime=runtime, observer=observer)
        self._observer = observer

    def build(self, settings: Settings, before: Built | None = None) -> Built:
        """The map of ``settings``, made with what ``before`` has already. ``before`` itself does not change.

        Raises ``SettingsError`` for a credential that cannot be used.
        """
        known = dict(before.endpoints) if before else {}
        credentials = {_opener(one): endpoint.credential for one, endpoint in known.items()}
        made = {one: known.get(one) or self._make(one, credentials) for one in settings.all_endpoints()}
        named = {spell(settings.connection): settings.endpoints, **settings.connections}
        spread = _Spread(_read_strategies(settings), make_policy(settings.calls))
        old = before.endpoint_map.registries if before and before.spread == spread else {}
        registries = {
            name: self._find_registry(old.get(name), [made[one] for one in endpoints], spread)
            for name, endpoints in named.items()
        }
        connections = {hub: settings.connection_of(hub) for hub in settings.hubs}
        return Built(EndpointMap(spell(settings.connection), registries, connections), made, spread)

    def _make(self, one: EndpointSettings, credentials: Mapping[_Opener, Credential]) -> Endpoint:
        return make_endpoint(
            one.name,
            one.endpoint_type,
            one.connection,
            self._runtime.wall_clock,
            weight=one.weight,
            lenient_404=one.lenient_404,
            credential=credentials.get(_opener(one)) or self._credentials.find(one),
        )

    def _find_registry(self, old: Registry | None, endpoints: Sequence[Endpoint], spread: _Spread) -> Registry:
        # By identity: two endpoints that differ in their credential alone are equal.
        if old is not None and list(map(id, old.endpoints)) == list(map(id, endpoints)):
            return old
        return Registry(
            endpoints,
            self._transport,
            self._health,
            clock=self._runtime.clock,
            random=self._runtime.random,
            strategies=spread.strategies,
            policy=spread.policy,
            observer=self._observer,
        )


def _read_strategies(settings: Settings) -> Mapping[str, str]:
    """The strategies that are not the usual one. A hub that is only named makes no registry another one."""
    usual = HubSettings().strategy
    return {hub: one.strategy for hub, one in settings.hubs.items() if one.strategy != usual}


def _opener(one: EndpointSettings) -> _Opener:
    connection = one.connection
    return connection.endpoint, connection.server_endpoint, connection.access_key, one.credential


def make_policy(calls: CallSettings) -> RetryPolicy:
    """How often a call is tried: by the bridge's defaults, or by a function app's settings if there are any."""
    retry = calls.retry
    if retry is None:
        return RetryPolicy(attempt_seconds=calls.attempt_seconds)
    return RetryPolicy(
        most_attempts=1 + retry.max_retries,
        most_throttled=1 + retry.max_retries if "max_retries" in retry.model_fields_set else None,
        first_delay=retry.delay_seconds,
        longest_delay=retry.max_delay_seconds,
        fixed=retry.mode == "Fixed",
        attempt_seconds=calls.attempt_seconds,
    )
