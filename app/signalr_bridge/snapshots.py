"""The snapshot of all that follows the settings, and the change to a new one in two phases."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from signalr_bridge.endpoints.client_signers import ClientSigners
from signalr_bridge.endpoints.credentials import Credentials, find_proxies
from signalr_bridge.endpoints.directory import Builder, Built, EndpointMap
from signalr_bridge.endpoints.health import Health
from signalr_bridge.endpoints.key_rotation import KEPT_SECONDS, KeyRotation, RecentCredentials
from signalr_bridge.endpoints.prober import Prober
from signalr_bridge.endpoints.rest_transport import RestTransport
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings import Settings, Sources, check_servable
from signalr_bridge.settings.live import Check, Commit, LiveSettings
from signalr_bridge.settings.model import CorsSettings
from signalr_bridge.settings.watcher import Watcher
from signalr_bridge.upstream.authenticator import UpstreamAuthenticator, build_authenticator, read_verifiers
from signalr_bridge.upstream.entra import build_entra_tokens
from signalr_bridge.upstream.forward.formats import WebhookSigner
from signalr_bridge.upstream.forward.rule import build_functions_signer, build_signers
from signalr_bridge.web.callers import KeyRing, read_keys
from signalr_bridge.web.observer import Observer

Entered: TypeAlias = AbstractAsyncContextManager[Any]
"""A part that is entered when the application starts, and left when it ends."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a change of settings changes. Each change makes a new one. Requests read it and build nothing.

    Args:
        settings: The settings that it was made from. They hold secrets, so nothing else keeps them.
        built: The endpoints of each hub.
        authenticator: Verifies upstream calls, hub by hub.
        key_ring: The keys of callers.
        signers: The signers of forwarded events by the name of the rule.
    """

    settings: Settings = field(repr=False)
    built: Built
    authenticator: UpstreamAuthenticator
    key_ring: KeyRing
    signers: Mapping[str, WebhookSigner] = field(repr=False)


class Snapshots:
    """The snapshot in force, and the change to a new one.

    Its methods give what is in force when they are called. A change goes in two phases. Preparing may fail and changes
    nothing. Committing swaps one reference and cannot fail.

    Args:
        settings: The settings to start with.
        sources: Where changes come from. None means that nothing changes.
        runtime: The clocks, randomness and ids.
        observer: Is told what endpoints, credentials and settings do.
        probe_seconds: Seconds between two probes of an endpoint.
        check: Checks new settings as those to start with were checked.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Sources | None,
        runtime: Runtime,
        observer: Observer,
        probe_seconds: float,
        check: Check = check_servable,
    ) -> None:
        self.watcher: Watcher | None = None
        if sources is not None:
            live = LiveSettings(self.settings, self.prepare, observer, check)
            self.watcher = Watcher(sources, live, observer, clock=runtime.clock)
        rest = RestTransport(
            messagepack=settings.calls.messagepack,
            connections=settings.limits.connections,
            proxies=find_proxies(os.environ),
        )
        health = Health(runtime.wall_clock, runtime.clock)
        self._recent = RecentCredentials(runtime.clock)
        transport = KeyRotation(rest, self._recent, reread=self._read_again, clock=runtime.clock)
        self._credentials = Credentials(
            settings.authority_host,
            runtime=runtime,
            wait_seconds=settings.limits.deadline_seconds,
            observer=observer,
        )
        self._builder = Builder(transport, health, runtime=runtime, credentials=self._credentials, observer=observer)
        self.client_signers = ClientSigners(self.endpoint_map, runtime.wall_clock)
        self._tokens_of = build_entra_tokens(settings, runtime, observer)
        self._checks: list[Callable[[Snapshot], None]] = []
        self._current = self._build(settings, None)
        endpoints = self.endpoint_map().endpoints
        self._recent.use(endpoints)
        self._prober = Prober(
            endpoints, transport, health, random=runtime.random, interval=probe_seconds, observer=observer
        )
        self.opened: Sequence[Entered] = [self._credentials, rest, self._prober]

    def settings(self) -> Settings:
        """The settings in force."""
        return self._current.settings

    def is_lossless(self, hub: str) -> bool:
        """Whether the tokens of the hub's clients carry the claim ``bridge.claims``."""
        return self.settings().negotiate_of(hub).lossless_claims

    def find_cors(self, default_hub: str, hub: str | None) -> CorsSettings:
        """The settings of CORS of a hub, which is ``default_hub`` where a path names none."""
        return self.settings().cors_of(hub or default_hub)

    def endpoint_map(self) -> EndpointMap:
        """The endpoints of each hub in force."""
        return self._current.built.endpoint_map

    def authenticator(self) -> UpstreamAuthenticator:
        """The authenticator in force."""
        return self._current.authenticator

    def key_ring(self) -> KeyRing:
        """The keys of callers in force."""
        return self._current.key_ring

    def signers(self) -> Mapping[str, WebhookSigner]:
        """The signers of forwarded events in force, by the name of the rule."""
        return self._current.signers

    def check_with(self, check: Callable[[Snapshot], None]) -> None:
        """Checks new snapshots with ``check``, which raises ``SettingsError`` to refuse one."""
        self._checks.append(check)

    def prepare(self, settings: Settings) -> Commit:
        """Makes a snapshot, and gives what puts it in force. Raises ``SettingsError`` when it is refused."""
        loop = asyncio.get_running_loop()
        try:
            snapshot = self._build(settings, self._current)
            for check in self._checks:
                check(snapshot)
        except Exception:  # a defect leaves no credentials behind either
            self.forget_former()  # of the snapshot that is refused
            raise
        return partial(self._commit, snapshot, loop)

    def _build(self, settings: Settings, before: Snapshot | None) -> Snapshot:
        built = self._builder.build(settings, None if before is None else before.built)
        verifiers_of = read_verifiers(settings, built.endpoint_map)
        return Snapshot(
            settings,
            built,
            build_authenticator(settings, verifiers_of, self._tokens_of),
            read_keys(settings.callers.keys),
            build_signers(settings.forward) | build_functions_signer(settings.functions),
        )

    def _commit(self, snapshot: Snapshot, loop: asyncio.AbstractEventLoop) -> None:
        self.client_signers.replace(self.endpoint_map(), snapshot.built.endpoint_map)
        self._current = snapshot
        endpoints = self.endpoint_map().endpoints
        self._recent.use(endpoints)
        self._prober.watch(endpoints)
        self.forget_former()
        loop.call_later(KEPT_SECONDS + 1, self.forget_former)

    def forget_former(self) -> None:
        """Stops and forgets the credentials that no endpoint uses and that were replaced long enough ago."""
        self._recent.forget()
        self._credentials.forget_all_but(self._recent.every)

    async def _read_again(self) -> None:
        if self.watcher is not None:
            await self.watcher.read_again()
