"""One upstream call, from its headers to its answer: the ordered checks, and the table of answers.

Framework-free. Source of order and answers: the README's page about upstream, ``spec/functions-bindings.md`` 1.7, 1.8.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from app.errors import (
    BodyTooLarge,
    BridgeError,
    Forbidden,
    InternalError,
    InvalidHeader,
    MalformedJson,
    MalformedMessage,
    NoHandler,
    UnsupportedMediaType,
)
from app.protocol import upstream_event
from app.protocol.hub_message import Completion
from app.protocol.names import check_connection_id, check_hub
from app.protocol.rest import Action, Operation
from app.protocol.upstream_event import CONNECTED, CONNECTIONS, DISCONNECTED, MESSAGES, EventHeaders
from app.settings.model import Settings
from app.upstream.codecs import CODECS, Codec
from app.upstream.context import Context
from app.upstream.delivery import check_delivery
from app.upstream.dispatch import (
    Dispatch,
    Ending,
    Failed,
    Handler,
    Refused,
    Returned,
    answer_connection,
    answer_message,
    failure_text,
)
from app.upstream.outbox import Outbox
from app.upstream.trust import HeaderLines, Trust, Voucher

_LOG = logging.getLogger("signalr_bridge.upstream")

Message = TypeVar("Message")

ReadBody = Callable[[int], Awaitable[bytes]]
"""Reads a body of at most so many bytes, or raises ``BodyTooLarge``."""

# A reason travels in a URL; this many characters fit even when each takes twelve bytes there.
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    content_type: str | None = None


class Receiver:
    """Takes upstream calls. ``unhandled_is_fine``: a message without handler is answered 200 instead of 404."""

    def __init__(
        self, trust: Trust, dispatch: Dispatch, outbox: Outbox, *, unhandled_is_fine: bool, most_bytes: int
    ) -> None:
        self._trust = trust
        self._dispatch = dispatch
        self._outbox = outbox
        self._unhandled_is_fine = unhandled_is_fine
        self._most_bytes = most_bytes

    async def receive(self, query: bytes, lines: HeaderLines, read_body: ReadBody) -> Answer:
        """``query`` as it came, header names in lower case. A ``BridgeError`` is an answer too: a problem."""
        headers = upstream_event.read_event_headers(lines)
        endpoint = self._trust.check(query, lines, headers)
        media_type = _read_media_type(lines)
        body = await self._read_body(headers, lines, read_body)
        _check_headers(headers)
        if headers.category.lower() == MESSAGES:
            return await self._receive_message(headers, lines, media_type, body, endpoint)
        if media_type == upstream_event.MESSAGEPACK:
            body = b""  # MessagePack has no message for it: the client has gone all the same, and that counts
        return await self._receive_connection(headers, lines, body, endpoint)

    async def _read_body(self, headers: EventHeaders, lines: HeaderLines, read_body: ReadBody) -> bytes:
        if headers.category.lower() == CONNECTIONS and headers.event.lower() == CONNECTED:
            _check_length(lines, self._most_bytes)  # says nothing, and is not waited for
            return b""
        return await read_body(self._most_bytes)

    # --- connections

    async def _receive_connection(
        self, headers: EventHeaders, lines: HeaderLines, body: bytes, endpoint: str | None
    ) -> Answer:
        event = headers.event.lower()
        if headers.category.lower() != CONNECTIONS or event not in {CONNECTED, DISCONNECTED}:
            raise NoHandler("There are the categories 'connections' (connected, disconnected) and 'messages'.")
        error = _parse(upstream_event.read_disconnected, body).error if event == DISCONNECTED else None
        context = Context(headers, self._outbox, lines=lines, error=error, endpoint=endpoint)
        handlers = self._dispatch.find_for_connection(headers.hub, event)
        ending = await answer_connection(handlers, context)
        if isinstance(ending, Failed):
            raise InternalError("A handler of this event failed.")
        if isinstance(ending, Refused) and event == CONNECTED:
            await self._close(context, ending.reason)
            raise Forbidden("A handler refused the connection.")
        return Answer(200)

    async def _close(self, context: Context, reason: str) -> None:
        """The service itself would only log that the connection was refused."""
        operation = Operation(
            Action.CLOSE_CONNECTION,
            context.hub,
            connection=context.connection_id,
            reason=reason[:_LONGEST_REASON] or None,
        )
        try:
            check_delivery(operation, await self._outbox.perform(operation, endpoint=context.endpoint))
        except BridgeError as error:
            _LOG.warning("a refused connection could not be closed", extra={"hub": context.hub, "why": error.detail})

    # --- messages

    async def _receive_message(
        self, headers: EventHeaders, lines: HeaderLines, media_type: str, body: bytes, endpoint: str | None
    ) -> Answer:
        codec = CODECS[media_type]
        message = _parse(codec.read_invocation, body)
        if message.target.lower() != headers.event.lower():
            raise InvalidHeader("The header X-ASRS-Event is not the target that the body names.")
        context = Context(
            headers,
            self._outbox,
            lines=lines,
            arguments=message.arguments,
            invocation_id=message.invocation_id,
            endpoint=endpoint,
        )
        handler = self._dispatch.find_for_message(headers.hub, headers.event)
        if handler is None:
            ending = self._leave_unhandled(context)
        else:
            ending = await answer_message(handler, context)
        return _answer_message(ending, context, codec, media_type)

    def _leave_unhandled(self, context: Context) -> Ending:
        """Fine or not, somebody who waits for an answer is told: silence would look like success."""
        if not self._unhandled_is_fine:
            raise NoHandler("No handler answers this event of this hub.")
        return Returned() if context.invocation_id is None else Refused(f"Method '{context.event}' has no handler.")


def _answer_message(ending: Ending, context: Context, codec: Codec, media_type: str) -> Answer:
    if context.invocation_id is None:
        if isinstance(ending, Failed):
            raise InternalError("The handler of this event failed.")
        return Answer(200)
    completion = _complete(ending, context.invocation_id, context.event)
    try:
        body = codec.write_completion(completion)
    except Exception:  # whatever an author's objects raise while they are encoded
        _LOG.exception("result cannot be encoded", extra={"hub": context.hub, "event_name": context.event})
        body = codec.write_completion(_complete(Failed(), context.invocation_id, context.event))
    return Answer(200, body, media_type)


def _complete(ending: Ending, invocation_id: str, method: str) -> Completion:
    match ending:
        case Returned(result):
            return Completion(invocation_id, result=result, has_result=True)
        case Refused(reason):
            return Completion(invocation_id, error=reason)
        case Failed():
            return Completion(invocation_id, error=failure_text(method))


# --- checks


def _read_media_type(lines: HeaderLines) -> str:
    given = _read_header(lines, b"content-type").partition(";")[0].strip().lower()
    if given not in CODECS:
        raise UnsupportedMediaType(f"Send the header 'Content-Type: {' or '.join(CODECS)}'.")
    if _read_header(lines, b"content-encoding").lower() not in {"", "identity"}:
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")
    return given


def _read_header(lines: HeaderLines, wanted: bytes) -> str:
    return next((upstream_event.decode_header(value) for name, value in lines if name == wanted), "")


def _check_length(lines: HeaderLines, most_bytes: int) -> None:
    declared = _read_header(lines, b"content-length")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > most_bytes):
        raise BodyTooLarge(f"The body may have {most_bytes:,} bytes.", headers={"Connection": "close"})


def _check_headers(headers: EventHeaders) -> None:
    needed = {"Hub": headers.hub, "Category": headers.category, "Event": headers.event}
    for name, value in (needed | {"Connection-Id": headers.connection_id}).items():
        if not value:
            raise InvalidHeader(f"The header X-ASRS-{name} is missing or empty.")
    check_hub(headers.hub)
    check_connection_id(headers.connection_id)


def _parse(read: Callable[[bytes], Message], body: bytes) -> Message:
    try:
        return read(body)
    except MalformedMessage as error:
        raise MalformedJson(error.detail) from None


# --- assembly


def build_receiver(
    settings: Settings, handlers: Sequence[Handler], keys_of: Callable[[str], Sequence[Voucher]], outbox: Outbox
) -> Receiver:
    """From the settings and all handlers. Raises ``SettingsError`` for handlers that could never be called."""
    upstream = settings.upstream
    trust = Trust(
        keys_of,
        codes=[one.get_secret_value() for one in upstream.code],
        verify_keys=[one.get_secret_value() for one in upstream.keys],
        allow_unsigned=upstream.allow_unsigned,
    )
    for handler in handlers:
        trust.check_verifiable(handler.hub, handler.source)
    return Receiver(
        trust,
        Dispatch(handlers),
        outbox,
        unhandled_is_fine=upstream.unhandled == "200",
        most_bytes=settings.limits.upstream_bytes,
    )
