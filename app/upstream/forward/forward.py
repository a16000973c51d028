"""Handlers in any language: an event goes to a backend over HTTP, signed, and its answer decides."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from app.endpoints.outcome import Result, Status
from app.errors import BridgeError, NoHandler, SettingsError
from app.protocol.hub_message import Payload
from app.protocol.upstream_event import CONNECTED, CONNECTIONS, DISCONNECTED, JSON
from app.settings.model import ForwardSettings
from app.upstream.context import Context
from app.upstream.delivery import describe
from app.upstream.dispatch import ANY, read_hub_pattern
from app.upstream.forward.envelope import Address, BackendFailed, Reply, Seal, read_reply, write_body
from app.upstream.forward.order import Order, TooManyWaiting
from app.upstream.outbox import Outbox
from app.web.trace import trace_headers

_LOG = logging.getLogger("signalr_bridge.upstream")

LARGEST_ANSWER = 16 * 1024 * 1024
"""In bytes."""
_PAUSE_SECONDS = 0.1
# Less than the 5 s after which common servers hang up: a call on a connection that has just gone would be lost.
_IDLE_SECONDS = 3


async def _pause() -> None:
    await asyncio.sleep(_PAUSE_SECONDS)


class Backends:
    """The connections to all backends; open while the ``async with`` block runs.

    ``pause`` passes between a call that certainly never arrived and its second try.
    """

    def __init__(self, pause: Callable[[], Awaitable[None]] = _pause) -> None:
        self._pause = pause
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # No limit: events of different connections do not wait for each other.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": "signalr-bridge", "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        self._session = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """One call of a completely escaped URL, tried again once when it certainly never arrived. ``BackendFailed``."""
        try:
            try:
                return await self._post(url, body, headers)
            except aiohttp.ClientConnectorError:
                await self._pause()
                return await self._post(url, body, headers)
        except aiohttp.ClientError as error:
            # Not its text, nor the error as cause: they can hold the URL, and that a key.
            raise BackendFailed(f"The backend gave no answer ({type(error).__name__}).") from None

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if self._session is None:
            raise RuntimeError("the backends are not open")
        async with self._session.post(
            URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
        ) as response:
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return Reply(response.status, media_type, await _read(response))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = response.content_length or 0
    if size <= LARGEST_ANSWER:
        size = 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_ANSWER:
                break
    if size > LARGEST_ANSWER:
        raise BackendFailed(f"The backend's answer has more than {LARGEST_ANSWER:,} bytes.")
    return b"".join(chunks)


class Forward:
    """One ``[forward.<name>]`` rule as a handler. ``clock`` gives the time in UTC."""

    def __init__(
        self,
        name: str,
        rule: ForwardSettings,
        *,
        backends: Backends,
        outbox: Outbox,
        order: Order,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self.source = f"forward.{name}"
        self.hub = read_hub_pattern(rule.hub, f"{self.source}.hub")
        self.category, self.event = rule.category, _read_event(rule, self.source)
        self._address = Address(rule.url, f"{self.source}.url")
        self._seal = _make_seal(rule, self.source)
        self._seconds = rule.timeout_seconds
        self._backends, self._outbox, self._order = backends, outbox, order
        self._clock, self._new_id = clock, new_id

    async def answer(self, context: Context) -> Payload:
        """The backend's result, after its outputs. Raises ``Rejected``, ``NoHandler`` and ``BackendFailed``."""
        if context.event in {".", ".."}:
            raise NoHandler("No handler answers an event of this name.")
        deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with self._order.turn(context.connection_id, deadline):
                async with asyncio.timeout_at(deadline):
                    reply = await self._call(context)
                verdict = read_reply(reply, context.event)
                if verdict.outputs:
                    await self._send(context, verdict.outputs)
                return verdict.result
        except TimeoutError:
            raise BackendFailed(f"The backend did not answer within {self._seconds:g} s.") from None
        except TooManyWaiting:
            raise BackendFailed("Too many events of this connection wait for the backend.") from None

    async def _call(self, context: Context) -> Reply:
        id, moment = self._new_id(), self._clock()
        body = write_body(context, id, moment)
        headers = {"Content-Type": JSON} | self._seal.sign(id, moment, body) | trace_headers()
        return await self._backends.post(self._address.write(context.hub, context.event), body, headers)

    async def _send(self, context: Context, outputs: bytes) -> None:
        try:
            results = await self._outbox.send_outputs(context.hub.lower(), outputs)
        except BridgeError as error:
            raise BackendFailed(f"The backend's outputs are not well formed ({error.code}): {error.detail}") from None
        self._check(context, results)

    def _check(self, context: Context, results: Iterable[Result]) -> None:
        for index, result in enumerate(results):
            if result.status in {Status.REJECTED, Status.UNKNOWN, Status.SKIPPED}:
                raise BackendFailed(f"Output {index} was not delivered: {result.status} ({describe(result)}).")
            if result.status is Status.PARTIAL:
                extra = {"handler": self.source, "hub": context.hub, "output": index, "outcomes": describe(result)}
                _LOG.warning("output delivered in part", extra=extra)


def _read_event(rule: ForwardSettings, source: str) -> str:
    known = rule.category != CONNECTIONS or rule.event.lower() in {ANY, CONNECTED, DISCONNECTED}
    if not known or not rule.event:
        raise SettingsError(
            f"{source}.event is never met: connections know connected and disconnected, messages a name."
        )
    return rule.event


def _make_seal(rule: ForwardSettings, source: str) -> Seal:
    if not rule.secrets and not rule.unsigned:
        raise SettingsError(
            f"{source} has no secrets: a backend could not tell our calls from others (or unsigned = true)."
        )
    return Seal([one.get_secret_value() for one in rule.secrets], f"{source}.secrets")


def build_forwards(
    rules: Mapping[str, ForwardSettings],
    backends: Backends,
    outbox: Outbox,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: f"msg_{uuid.uuid4().hex}",
) -> list[Forward]:
    """A handler for each rule, all with one order of events. Raises ``SettingsError``."""
    order = Order()
    return [
        Forward(name, rule, backends=backends, outbox=outbox, order=order, clock=clock, new_id=new_id)
        for name, rule in rules.items()
    ]
