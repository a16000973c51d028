"""The prober: it asks every endpoint at intervals whether it is there and takes our credential."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from signalr_bridge.endpoints.endpoint import Code, Endpoint, Transport
from signalr_bridge.endpoints.health import Health, State, judge_probe
from signalr_bridge.protocol.rest import Action, Operation
from signalr_bridge.runtime import Random
from signalr_bridge.web.observer import Observer

INTERVAL_SECONDS = 10.0
"""Seconds between two probes of an endpoint that is online."""
PROBE_SECONDS = 2.0
"""How many seconds one probe may take. With the interval, no client is sent to a dead endpoint after 12 s."""
PROBE = Operation(Action.CONNECTION_EXISTS, "bridge", connection="probe")
"""A question that needs a credential. ``/api/health`` needs none, so it proves little."""

_STEPS = 10
"""The first probes are spread over a tenth of the interval. The first wait for a recovery is as long."""
_HEAD_START = 500
_JITTER = 0.1
_LOG = logging.getLogger("signalr_bridge.endpoints")


def probe_seconds(interval: float) -> float:
    """How many seconds one probe may take. They are fewer when the interval is short."""
    return min(PROBE_SECONDS, interval / 5)


def first_delay(rank: int, count: int, interval: float) -> float:
    """Seconds before the first probe of the endpoint at ``rank`` (from 0) of ``count``. Requests are served first."""
    return min(interval, INTERVAL_SECONDS) / _HEAD_START + rank * interval / _STEPS / max(count, 1)


def second_delay(rank: int, count: int, interval: float) -> float:
    """Seconds from the first probe to the second. They spread the endpoints over the whole interval."""
    return interval * (rank + 1) / max(count, 1)


def healthy_delay(interval: float, random: Random) -> float:
    """Seconds from a good probe to the next: the interval less some jitter, so that probes spread out."""
    return interval * (1 - _JITTER * random())


def recovery_delay(failures: int, retry_after: float | None, interval: float, random: Random) -> float:
    """Seconds to the next probe after ``failures`` in a row. They double up to the interval, less some jitter.

    ``retry_after`` are the seconds that the service asked for, which may make the wait longer.
    """
    backoff = interval / _STEPS * float(1 << min(failures - 1, 10))
    return min(max(backoff, retry_after or 0.0), interval) * (1 - _JITTER * random())


class _Watch:
    """The watch over one endpoint: its task, and a bell that rings when calls take the endpoint offline."""

    def __init__(self) -> None:
        self.bell = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Prober:
    """Background tasks, one for each instance. It is entered and left with the application.

    Args:
        endpoints: What is probed.
        transport: Makes the probes.
        health: Is told the outcome of each probe.
        random: Gives 0 to 1.
        interval: Seconds between two probes of an endpoint that is online.
        seconds: How long one probe may take. None derives it from the interval.
        observer: Is told the outcome of each probe.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        transport: Transport,
        health: Health,
        *,
        random: Random,
        interval: float = INTERVAL_SECONDS,
        seconds: float | None = None,
        observer: Observer,
    ) -> None:
        self._endpoints = _by_url(endpoints)
        self._transport, self._health, self._random = transport, health, random
        self._interval = interval
        self._seconds = probe_seconds(interval) if seconds is None else seconds
        self._observer = observer
        self._watches: dict[str, _Watch] = {}
        self._running = False

    async def __aenter__(self) -> Self:
        self._running = True
        self._health.on_offline = self._ring
        self._start(list(self._endpoints))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = False
        tasks = [task for url in list(self._watches) if (task := self._stop(url)) is not None]
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    def watch(self, endpoints: Sequence[Endpoint]) -> None:
        """Probes these endpoints from now on. A new or changed endpoint is probed at once."""
        before, self._endpoints = self._endpoints, _by_url(endpoints)
        changed = [url for url, one in self._endpoints.items() if before.get(url) is not one]
        for url in {*(before.keys() - self._endpoints.keys()), *changed}:
            self._stop(url)
        if self._running:
            self._start(changed)

    def _start(self, urls: Sequence[str]) -> None:
        for rank, url in enumerate(urls):
            watch = self._watches[url] = _Watch()
            watch.task = asyncio.create_task(self._keep_watch(self._endpoints[url], watch, rank, len(urls)))

    def _stop(self, url: str) -> asyncio.Task[None] | None:
        watch = self._watches.pop(url, None)
        if watch is None or watch.task is None:
            return None
        watch.task.cancel()
        return watch.task

    def _ring(self, url: str) -> None:
        if url in self._watches:
            self._watches[url].bell.set()

    async def _keep_watch(self, endpoint: Endpoint, watch: _Watch, rank: int, count: int) -> None:
        await asyncio.sleep(first_delay(rank, count, self._interval))
        delay, failures = await self._probe(endpoint, 0)
        if failures == 0:
            delay = second_delay(rank, count, self._interval)
        # The condition ends the loop even when the cancellation is lost. What is awaited may take it for a time-out of
        # its own when both come at once.
        while self._watches.get(endpoint.url) is watch:
            if await _rings(watch.bell, delay):
                failures = 0
                await asyncio.sleep(recovery_delay(1, None, self._interval, self._random))
            delay, failures = await self._probe(endpoint, failures)

    async def _probe(self, endpoint: Endpoint, failures: int) -> tuple[float, int]:
        """Seconds to the next probe, and how many probes have failed in a row."""
        outages = self._health.outages(endpoint.url)
        try:
            outcome = await self._transport.begin(endpoint, PROBE, None, self._seconds)
        except Exception as error:  # whatever it is, the probing goes on and health stays as it was
            _LOG.error("probe failed", extra={"endpoint": endpoint.name, "error": type(error).__name__})
            return recovery_delay(failures + 1, None, self._interval, self._random), failures + 1
        if outcome.code is Code.OVERLOADED:  # it was our own pool that was full: health stays as it was
            return recovery_delay(1, None, self._interval, self._random), failures
        self._health.record_probe(endpoint.url, outcome, outages)
        self._observer.probe_ended(
            endpoint=endpoint.name,
            outcome=outcome.verdict,
            code=outcome.code,
            reason=outcome.why,
            has_credential=outcome.code is not Code.NO_CREDENTIAL,
        )
        if judge_probe(outcome) is State.ONLINE:
            return healthy_delay(self._interval, self._random), 0
        return recovery_delay(failures + 1, outcome.retry_after, self._interval, self._random), failures + 1


async def _rings(bell: asyncio.Event, seconds: float) -> bool:
    """Whether the bell rings within ``seconds``, or has rung during the last probe."""
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return False
    bell.clear()
    return True


def _by_url(endpoints: Sequence[Endpoint]) -> dict[str, Endpoint]:
    """One endpoint for each instance. Endpoints with the same URL are the same instance."""
    found: dict[str, Endpoint] = {}
    for one in endpoints:
        found.setdefault(one.url, one)
    return found
