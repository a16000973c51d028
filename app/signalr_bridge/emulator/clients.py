"""The connection of one client: its handshake, its messages to the upstream in their order, and its end.

Source: ``docs/protocol/service-emulation.md`` 2.2, 2.5, 3.6 and 4.1.
"""

import asyncio
import itertools
import logging
from dataclasses import dataclass

from msgspec import structs

from signalr_bridge.emulator.codecs import CODECS, VERSION, ClientCodec, Frame
from signalr_bridge.emulator.hubs import HubState
from signalr_bridge.emulator.sockets import ClientSocket
from signalr_bridge.emulator.upstream import UpstreamCaller, interpret
from signalr_bridge.errors import MalformedJson, MalformedMessage, UnheldValue
from signalr_bridge.protocol import hub_json, upstream_event, websocket_frame
from signalr_bridge.protocol.hub_message import Close, Completion, Invocation
from signalr_bridge.protocol.upstream_event import EventHeaders

LONGEST_RECORD = 16 * 1024 * 1024
_MOST_PENDING = 1000
_LOG = logging.getLogger(__name__)


class ClientGone(Exception):
    """The client disconnected before it answered."""


class ClientCalls:
    """The calls of one client that it has not answered yet, by invocation id."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Completion]] = {}
        self._ids = itertools.count(1)
        self._ended = False

    def begin(self) -> tuple[str, asyncio.Future[Completion]]:
        """An invocation id, and a future for the client's answer. Raises ``ClientGone``, as the future does."""
        if self._ended:
            raise ClientGone
        invocation_id = f"s-{next(self._ids)}"
        future = asyncio.get_running_loop().create_future()
        self._waiting[invocation_id] = future
        future.add_done_callback(lambda _: self._waiting.pop(invocation_id, None))
        return invocation_id, future

    def complete(self, completion: Completion) -> None:
        """Takes a client's answer. An answer to an unknown call is dropped."""
        future = self._waiting.get(completion.invocation_id)
        if future is not None and not future.done():
            future.set_result(completion)

    def end(self) -> None:
        """Fails all calls, because the client has disconnected."""
        self._ended = True
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(ClientGone())


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the emulator waits, in seconds, and how much it keeps."""

    handshake_seconds: float = 15.0
    """From the open WebSocket to the client's first record."""
    open_seconds: float = 15.0
    """From the negotiation to the open WebSocket."""
    grace_seconds: float = 0.5
    """From a Close message to the end of the WebSocket."""
    send_seconds: float = 10.0
    """How long one frame may take before its client is dropped."""
    upstream_seconds: float = 100.0
    """How long an upstream call may take."""
    invoke_seconds: float = 100.0
    """How long a client may take to answer a call by REST."""
    stop_seconds: float = 5.0
    """How long ``stop`` waits for the last upstream calls."""
    outgoing_messages: int = 1000
    """How many frames may wait for one client before it is dropped."""


class HandshakeRefused(Exception):
    """The handshake is refused. The text is for the client."""


@dataclass(frozen=True, slots=True)
class _Call:
    """An invocation on its way to the upstream."""

    target: str
    invocation_id: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class _End:
    """The end of the client's messages, with an error unless it closed in the regular way."""

    error: str | None


class ClientConnection:
    """A client's connection to a hub.

    Args:
        about: The client as the upstream's headers describe it.
        user_id: The user. None for a client without one.
        hub: The hub it connects to.
        socket: Its WebSocket.
        upstream: Calls the upstream.
        handshake_seconds: How long the client's first record may take.
    """

    def __init__(
        self,
        about: EventHeaders,
        user_id: str | None,
        hub: HubState,
        socket: ClientSocket,
        upstream: UpstreamCaller,
        handshake_seconds: float,
    ) -> None:
        self.connection_id = about.connection_id
        self.user_id = user_id
        self.codec: ClientCodec = CODECS["json"]
        self.close_after: float | None = None
        """Seconds from the handshake to the end of the client's authentication."""
        self._about = about
        self._hub, self._socket, self._upstream = hub, socket, upstream
        self._handshake_seconds = handshake_seconds
        self._greeted = False
        self._calls = ClientCalls()
        # It is full only when the upstream is slow. Then no more is read from the client, and TCP makes it wait.
        self._pending: asyncio.Queue[_Call | _End] = asyncio.Queue(_MOST_PENDING)

    def deliver(self, frame: Frame) -> None:
        """Writes a frame without waiting, behind those that wait."""
        self._socket.deliver(frame)

    async def call(self, message: Invocation) -> Completion:
        """Calls the client. Raises ``ClientGone`` when it disconnects before it answers, and what the codec raises."""
        invocation_id, answer = self._calls.begin()
        try:
            self.deliver(self.codec.write(structs.replace(message, invocation_id=invocation_id)))
        except (MalformedJson, RecursionError):
            answer.cancel()
            raise
        return await answer

    def close(self, reason: str | None = None) -> None:
        """Sends a Close message that allows the client to reconnect, then ends the transport."""
        self._say_goodbye(Close(reason, allow_reconnect=True))

    def _say_goodbye(self, close: Close) -> None:
        self._socket.end(self.codec.write(close) if self._greeted else None)

    async def run(self) -> None:
        """Runs from the open WebSocket to its end and the last event about it."""
        async with self._socket:
            rest = await self._shake_hands()
            if rest is None:
                return
            self._hub.enter(self)
            expiry = self._close_later()
            try:
                await self._converse(rest)
            finally:
                if expiry is not None:
                    expiry.cancel()
                self._hub.leave(self)

    def _close_later(self) -> asyncio.TimerHandle | None:
        if self.close_after is None:
            return None
        return asyncio.get_running_loop().call_later(self.close_after, self.close)

    async def _shake_hands(self) -> bytes | None:
        """The bytes behind the handshake. None when the handshake fails."""
        try:
            async with asyncio.timeout(self._handshake_seconds):
                record, rest = await self._read_first_record()
            self.codec = choose_codec(record)
        except (HandshakeRefused, TimeoutError) as exc:
            text = str(exc) if isinstance(exc, HandshakeRefused) else "Handshake was canceled."
            self.deliver(websocket_frame.write_text(hub_json.write_handshake_response(text)))
            return None
        except ConnectionError:
            return None
        self.deliver(self.codec.frame(hub_json.write_handshake_response()))
        self._greeted = True
        return rest

    async def _read_first_record(self) -> tuple[bytes, bytes]:
        data = b""
        while hub_json.RECORD_SEPARATOR not in data:
            more = await self._socket.receive()
            if more is None:
                raise ConnectionError("the client has gone")
            data += more
            if len(data) > LONGEST_RECORD:
                raise HandshakeRefused("An unexpected error occurred during connection handshake. It is too long.")
        record, _, rest = data.partition(hub_json.RECORD_SEPARATOR)
        return record, rest

    async def _converse(self, rest: bytes) -> None:
        reader = asyncio.create_task(self._read_all(rest))
        try:
            await self._report(upstream_event.CONNECTED, upstream_event.write_connected())
            while isinstance(item := await self._pending.get(), _Call):
                await self._forward(item)
        finally:
            reader.cancel()
        await self._report(upstream_event.DISCONNECTED, upstream_event.write_disconnected(item.error))

    async def _read_all(self, rest: bytes) -> None:
        try:
            error = await self._read_messages(rest)
        except MalformedMessage as exc:
            error = exc.detail
            self._say_goodbye(Close("Connection closed with an error.", allow_reconnect=True))
        self._calls.end()
        await self._pending.put(_End(error or self._socket.failure))

    async def _read_messages(self, data: bytes | None) -> str | None:
        rest = b""
        while data is not None:
            records, rest = self.codec.split(rest + data)
            if len(rest) > LONGEST_RECORD:
                raise MalformedMessage("A message is too long.")
            for record in records:
                message = self.codec.read(record)
                if isinstance(message, Close):
                    self._socket.end()
                    return message.error
                if isinstance(message, Completion):
                    self._calls.complete(message)
                if isinstance(message, Invocation):  # nothing else is forwarded in serverless mode
                    await self._take(message)
            data = await self._socket.receive()
        return None

    async def _take(self, message: Invocation) -> None:
        """Queues an invocation for the upstream. One that cannot be carried costs its client an error, and no more."""
        try:
            body = self.codec.write_body(message)
        except UnheldValue as error:
            self._refuse(message.invocation_id, error.detail)
            return
        if message.refusal is None:
            await self._pending.put(_Call(message.target, message.invocation_id, body))
        else:
            self._refuse(message.invocation_id, message.refusal)

    def _refuse(self, invocation_id: str | None, reason: str) -> None:
        if invocation_id is None:
            _LOG.warning("A message of a client was dropped. %s", reason)
        else:
            self.deliver(self.codec.write(Completion(invocation_id, error=reason)))

    async def _forward(self, call: _Call) -> None:
        event = self._event(upstream_event.MESSAGES, call.target)
        answer = await self._upstream.call(event, self.codec.content_type, call.body)
        if call.invocation_id is not None:
            self.deliver(interpret(answer, call.invocation_id, self.codec))

    async def _report(self, event: str, body: bytes) -> None:
        await self._upstream.call(self._event(upstream_event.CONNECTIONS, event), upstream_event.JSON, body)

    def _event(self, category: str, event: str) -> EventHeaders:
        return structs.replace(self._about, hub=self._hub.name, category=category, event=event)


def choose_codec(record: bytes) -> ClientCodec:
    """The codec of the hub protocol that a handshake asks for. Raises ``HandshakeRefused``."""
    try:
        wanted = hub_json.read_handshake_request(record)
    except MalformedMessage as exc:
        text = f"An unexpected error occurred during connection handshake. {exc.detail}"
        raise HandshakeRefused(text) from None
    codec = CODECS.get(wanted.protocol.lower())
    if codec is None:
        raise HandshakeRefused(f"The protocol '{wanted.protocol}' is not supported.")
    if wanted.version != VERSION:
        text = f"The server does not support version {wanted.version} of the '{wanted.protocol}' protocol."
        raise HandshakeRefused(text)
    return codec
