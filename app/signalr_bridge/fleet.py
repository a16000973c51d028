"""ASSEMBLY of the endpoints: how they are reached and probed, and how they follow the settings while running."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from signalr_bridge.endpoints.credentials.credentials import Credentials
from signalr_bridge.endpoints.fleet import Fleet, Keys, Rotation
from signalr_bridge.endpoints.fleet.building import Builder, Built
from signalr_bridge.endpoints.fleet.keys import KEPT_SECONDS
from signalr_bridge.endpoints.health import Health
from signalr_bridge.endpoints.health.prober import Prober
from signalr_bridge.endpoints.rest_transport import RestTransport
from signalr_bridge.settings import Settings, Sources
from signalr_bridge.settings.live import LiveSettings
from signalr_bridge.settings.watcher import Watcher


class Endpoints:
    """The fleet, and what has to be opened for it. Without ``sources`` nothing changes while running.
    ``probe_seconds``: how often each is asked how it is."""

    def __init__(self, live: LiveSettings, sources: Sources | None, probe_seconds: float) -> None:
        inner, health = RestTransport(), Health(time.time)
        self.watcher = None if sources is None else Watcher(sources, live.take, clock=time.monotonic)
        self._keys = Keys(time.monotonic)
        transport = Rotation(inner, self._keys, reread=self._read_again, clock=time.monotonic)
        credentials = Credentials(
            live.current.authority_host,
            clock=time.time,
            random=random.random,
            wait_seconds=live.current.limits.deadline_seconds,
        )
        self._builder = Builder(
            transport, health, now=time.time, clock=time.monotonic, random=random.random, credentials=credentials
        )
        self._built = self._builder.build(live.current)
        self.fleet = Fleet(self._built.formation)
        self._keys.use(self.fleet.endpoints)
        self._prober = Prober(self.fleet.endpoints, transport, health, random=random.random, interval=probe_seconds)
        self.opened: list[AbstractAsyncContextManager[Any]] = [credentials, inner, self._prober]
        if self.watcher is not None:
            self.opened.append(self.watcher)
        live.follow(self._prepare)

    def preview(self, settings: Settings) -> Fleet:
        """The fleet as it would be with these settings."""
        return Fleet(self._builder.build(settings, self._built).formation)

    def _prepare(self, settings: Settings) -> Callable[[], None]:
        built = self._builder.build(settings, self._built)
        return lambda: self._use(built)

    def _use(self, built: Built) -> None:
        self._built = built
        self.fleet.use(built.formation)
        self._keys.use(self.fleet.endpoints)
        self._prober.watch(self.fleet.endpoints)
        asyncio.get_running_loop().call_later(KEPT_SECONDS + 1, self._keys.forget)

    async def _read_again(self) -> None:
        if self.watcher is not None:
            await self.watcher.read_again()
