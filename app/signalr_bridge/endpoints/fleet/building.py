"""From settings to registries: what has not changed stays the same object, so that nobody probes or doubts it anew."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from signalr_bridge.endpoints.calls.retry import RetryPolicy
from signalr_bridge.endpoints.credentials.credentials import Credentials
from signalr_bridge.endpoints.endpoint import Credential, Endpoint, make_endpoint
from signalr_bridge.endpoints.fleet.fleet import Formation
from signalr_bridge.endpoints.health import Health
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.endpoints.transport import Transport
from signalr_bridge.settings.model import CallSettings, CredentialSettings, EndpointSettings, Settings

_Opener: TypeAlias = tuple[str, str | None, str | None, CredentialSettings]


@dataclass(frozen=True, slots=True)
class Built:
    """``endpoints`` by the settings they were made from, which hold secrets."""

    formation: Formation
    endpoints: Mapping[EndpointSettings, Endpoint] = field(repr=False)


class Builder:
    """``now`` gives seconds since 1970, ``clock`` monotonic seconds, ``random`` a number from 0 to 1."""

    def __init__(
        self,
        transport: Transport,
        health: Health,
        *,
        now: Callable[[], float],
        clock: Callable[[], float],
        random: Callable[[], float],
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
        return Built(Formation(settings.connection.lower(), registries, connections), made)

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
