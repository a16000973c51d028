"""The prober: it asks every endpoint, again and again, whether it is there and takes our credential."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from signalr_bridge.endpoints.endpoint import Endpoint, Transport
from signalr_bridge.endpoints.health import Health, State, judge_probe
from signalr_bridge.protocol.rest import Action, Operation
from signalr_bridge.runtime import Random
from signalr_bridge.web.observer import SILENT, Observer

INTERVAL_SECONDS = 10.0
PROBE_SECONDS = 2.0
"""How long one probe may take. Together with the interval: within 12 s nobody is sent to an endpoint that is down."""

_STEPS = 10
"""The first probes are spread over a tenth of the interval, and the first wait for a recovery is as long."""
_HEAD_START = 500
_JITTER = 0.1


def probe_seconds(interval: float) -> float:
    """How long one probe may take. It is less where somebody asks more often."""
    return min(PROBE_SECONDS, interval / 5)


def first_delay(rank: int, count: int, interval: float) -> float:
    """Seconds before the first probe of the endpoint at ``rank`` of ``count``. Requests are served first."""
    return min(interval, INTERVAL_SECONDS) / _HEAD_START + rank * interval / _STEPS / max(count, 1)


def second_delay(rank: int, count: int, interval: float) -> float:
    """Seconds from the first probe to the second. Here the endpoints spread over the whole interval."""
    return interval * (rank + 1) / max(count, 1)


def healthy_delay(interval: float, random: Random) -> float:
    """Seconds from one good probe to the next: a little less than the interval, so that probes do not keep step."""
    return interval * (1 - _JITTER * random())


def recovery_delay(failures: int, retry_after: float | None, interval: float, random: Random) -> float:
    """Seconds to the next probe after ``failures`` in a row. They double, but are never more than the interval.

    The service may ask for a longer wait than we would take by ourselves.
    """
    backoff = interval / _STEPS * float(1 << min(failures - 1, 10))
    return min(max(backoff, retry_after or 0.0), interval) * (1 - _JITTER * random())


PROBE = Operation(Action.CONNECTION_EXISTS, "bridge", connection="probe")
"""A question that needs a credential. ``/api/health`` needs none and so proves little."""
_LOG = logging.getLogger("signalr_bridge.endpoints")


class _Watch:
    """One endpoint under watch. It has a task, and a bell that rings when calls have found it down."""

    def __init__(self) -> None:
        self.bell = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Prober:
    """Background tasks, one for each instance, entered and left with the application.

    ``interval`` and ``seconds`` (how long a probe may take) are in seconds; ``random`` gives a number from 0 to 1.
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
        observer: Observer = SILENT,
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
        """These from now on. One that is new, or has another credential, is probed at once."""
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
        # Not for ever: aiohttp can take a cancellation that comes together with its own time-out for the latter.
        while self._watches.get(endpoint.url) is watch:
            if await _rings(watch.bell, delay):
                failures = 0
                await asyncio.sleep(recovery_delay(1, None, self._interval, self._random))
            delay, failures = await self._probe(endpoint, failures)

    async def _probe(self, endpoint: Endpoint, failures: int) -> tuple[float, int]:
        """Seconds to the next probe, and how many have failed in a row."""
        outages = self._health.outages(endpoint.url)
        try:
            outcome = await self._transport.perform(endpoint, PROBE, None, self._seconds)
        except Exception as error:  # whatever it is, the endpoint stays under watch; nothing was learnt of it
            _LOG.error("probe failed", extra={"endpoint": endpoint.name, "error": type(error).__name__})
            return recovery_delay(failures + 1, None, self._interval, self._random), failures + 1
        self._health.record_probe(endpoint.url, outcome, outages)
        self._observer.probe_ended(
            endpoint=endpoint.name, outcome=outcome.verdict, code=outcome.code, reason=outcome.why
        )
        if judge_probe(outcome) is State.ONLINE:
            return healthy_delay(self._interval, self._random), 0
        return recovery_delay(failures + 1, outcome.retry_after, self._interval, self._random), failures + 1


async def _rings(bell: asyncio.Event, seconds: float) -> bool:
    """Whether the bell rings within ``seconds``, or has rung meanwhile, during a probe."""
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return False
    bell.clear()
    return True


def _by_url(endpoints: Sequence[Endpoint]) -> dict[str, Endpoint]:
    """One for each instance. A second entry of the same URL is the same instance."""
    found: dict[str, Endpoint] = {}
    for one in endpoints:
        found.setdefault(one.url, one)
    return found
