"""One upstream call, from its headers to its answer: the ordered checks, and the table of answers.

It needs no web framework. Source of the order and the answers: ``docs/protocol/functions-bindings.md`` 1.7 and 1.8.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec

from signalr_bridge.errors import (
    BodyTooLarge,
    Forbidden,
    InvalidHeader,
    MalformedJson,
    MalformedMessage,
    MalformedMessagePack,
    NoHandler,
    UnheldValue,
    UnsupportedMediaType,
)
from signalr_bridge.protocol import upstream_event
from signalr_bridge.protocol.claims import may_name_groups
from signalr_bridge.protocol.hub_message import Invocation, Payload
from signalr_bridge.protocol.names import check_connection_id, check_hub
from signalr_bridge.protocol.upstream_event import (
    CONNECTED,
    CONNECTIONS,
    DISCONNECTED,
    MESSAGES,
    EventHeaders,
    HeaderLines,
    decode_header,
)
from signalr_bridge.runtime import RUNTIME, Clock
from signalr_bridge.upstream.authenticator import UnbelievedCall, UpstreamAuthenticator
from signalr_bridge.upstream.call import Call, Values, tell_refused
from signalr_bridge.upstream.codecs import CODECS, Codec
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import (
    Dispatch,
    Ending,
    Handler,
    Refused,
    Returned,
    answer_connection,
    answer_message,
    check_failure,
    write_answer,
)
from signalr_bridge.upstream.event_feed import EventFeed, EventRecord
from signalr_bridge.upstream.join import NEGOTIATED_JOIN
from signalr_bridge.upstream.message_limit import MessageLimit
from signalr_bridge.upstream.outbox import Outbox
from signalr_bridge.upstream.refused import close_refused
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.refusals import Refusals
from signalr_bridge.wire.exchange import Answer, make_answer

Read = TypeVar("Read")
Message = TypeVar("Message")

ReadBody = Callable[[int], Awaitable[bytes]]
"""Reads a body of at most so many bytes, or raises ``BodyTooLarge``."""

BeginFlight = Callable[[], None]
"""Takes a place in flight for a call whose body is not read. Raises ``Overloaded``."""

_LOG = logging.getLogger("signalr_bridge.upstream")

_check_known_hub = lru_cache(1024)(check_hub)


def read_media_type(values: Values) -> str:
    """The media type of a call, which is that of a codec. Raises ``UnsupportedMediaType``, also for an encoded body."""
    given = decode_header(values.get(b"content-type", b""))
    if given not in CODECS:  # most calls spell it as it is known
        given = given.partition(";")[0].strip().lower()
    if given not in CODECS:
        raise UnsupportedMediaType(f"Send the header 'Content-Type: {' or '.join(CODECS)}'.")
    if b"content-encoding" in values and decode_header(values[b"content-encoding"]).lower() not in {"", "identity"}:
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")
    return given


def check_length(values: Values, most_bytes: int) -> None:
    """Raise ``BodyTooLarge`` when the headers announce a body of more than ``most_bytes``."""
    declared = decode_header(values.get(b"content-length", b""))
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > most_bytes):
        raise BodyTooLarge(f"The body may have {most_bytes:,} bytes.", headers={"Connection": "close"})


def check_headers(headers: EventHeaders) -> None:
    """Raise ``InvalidHeader`` for a missing header, and ``InvalidName`` for a malformed hub or connection id."""
    if not (headers.hub and headers.category and headers.event and headers.connection_id):
        needed = {"Hub": headers.hub, "Category": headers.category, "Event": headers.event}
        missing = next((name for name, value in needed.items() if not value), "Connection-Id")
        raise InvalidHeader(f"The header X-ASRS-{missing} is missing or empty.")
    _check_known_hub(headers.hub)
    check_connection_id(headers.connection_id)


def parse(read: Callable[[Read], Message], body: Read, media_type: str = upstream_event.JSON) -> Message:
    """What ``read`` reads from the body, or a part of it.

    Raises ``UnheldValue``, and ``MalformedJson`` or its kind of MessagePack.
    """
    try:
        return read(body)
    except MalformedMessage as error:
        if isinstance(error, UnheldValue):
            raise
        kind = MalformedMessagePack if media_type == upstream_event.MESSAGEPACK else MalformedJson
        raise kind(error.detail) from None


def _read_arguments(message: Invocation, handler: Handler | None) -> tuple[Sequence[Payload], str | None]:
    """The arguments as the handler takes them, and why the message cannot be carried out. Raises ``MalformedJson``."""
    arguments = message.arguments
    if message.fault is not None or message.stream_ids:
        return (), message.refusal
    if not isinstance(arguments, msgspec.Raw) or (handler is not None and handler.takes_json):
        return arguments, None
    try:
        return parse(upstream_event.read_arguments, arguments), None
    except UnheldValue as error:
        return (), error.detail


def _refuse(context: Context, reason: str) -> Refused:
    """The ending of a message that cannot be carried out. A client that does not wait for it learns nothing of it."""
    _LOG.warning("message dropped", extra={"hub": context.hub, "event": context.event, "reason": reason})
    return Refused(reason)


class Receiver:
    """Takes upstream calls.

    Args:
        authenticator: Gives the rules in force. Each call is judged by those that were in force when it came.
        dispatch: The handlers.
        outbox: By which handlers talk back.
        most_bytes: The largest body, in bytes.
        events: The feed that shows the calls. None means that they are not shown.
        observer: Is told how each event ended.
        clock: Gives monotonic seconds.
        refusals: Remembers connections that handlers refused.
        message_limit: The limit of each client's messages. None is no limit.
    """

    def __init__(
        self,
        authenticator: Callable[[], UpstreamAuthenticator],
        dispatch: Dispatch,
        outbox: Outbox,
        *,
        most_bytes: int,
        events: EventFeed | None = None,
        observer: Observer,
        clock: Clock,
        refusals: Refusals | None = None,
        message_limit: MessageLimit | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._dispatch = dispatch
        self._outbox = outbox
        self._most_bytes = most_bytes
        self._events = events
        self._observer, self._clock = observer, clock
        self._refusals = Refusals(clock, RUNTIME.new_id) if refusals is None else refusals
        self._message_limit = message_limit
        self._refusals.watch(dispatch.connected_hubs)

    @property
    def dispatch(self) -> Dispatch:
        """The handlers in force."""
        return self._dispatch

    def use(self, handlers: Sequence[Handler]) -> None:
        """Let these handlers answer from the next call on. Calls in flight keep the old ones.

        Raises ``SettingsError`` for handlers that could never be called, and then the old ones stay.
        """
        check_verifiable(self._authenticator(), handlers)
        self._dispatch = Dispatch(handlers)
        self._refusals.watch(self._dispatch.connected_hubs)

    def check(self, authenticator: UpstreamAuthenticator) -> None:
        """Raise ``SettingsError`` when a handler could never be called by these rules."""
        check_verifiable(authenticator, self._dispatch.handlers)

    async def receive(
        self, query: bytes, lines: HeaderLines, read_body: ReadBody, begin_flight: BeginFlight = lambda: None
    ) -> Answer:
        """The answer to a call.

        Args:
            query: The request's query as it came.
            lines: The request's header lines, with names in lower case.
            read_body: Reads the body, when it is needed.
            begin_flight: Called when the call is taken and its body is not needed.

        Raises:
            BridgeError: The answer is a problem.
        """
        values = upstream_event.first_values(lines)
        headers = upstream_event.pick_event_headers(values)
        rules, began = self._authenticator().rules_of(headers.hub), self._clock()
        try:
            endpoint = await rules.check(query, lines, headers)
        except UnbelievedCall as error:
            tell_refused(self._observer, headers, error.check, self._clock() - began)
            raise
        record = None if self._events is None else EventRecord(headers)
        call = Call(headers, lines, values, endpoint, rules, record)
        problem: BaseException | None = None
        try:
            answering = self._answer(call, read_body, begin_flight)
            if self._events is None or record is None:
                return await answering
            return await self._events.watch(record, answering)
        except BaseException as error:
            problem = error
            raise
        finally:
            call.tell(self._observer, problem, self._clock() - began)
            problem = None  # else its frames and this one would wait for the garbage collector

    async def _answer(self, call: Call, read_body: ReadBody, begin_flight: BeginFlight) -> Answer:
        headers = call.headers
        media_type = read_media_type(call.values)
        category, event = headers.category.lower(), headers.event.lower()
        if category == CONNECTIONS and event == CONNECTED:
            check_length(call.values, self._most_bytes)
            body = b""  # it says nothing, and is not waited for
            begin_flight()
        else:
            body = await read_body(self._most_bytes)
        if call.record is not None:
            call.record.media_type, call.record.body = media_type, body
        check_headers(headers)
        if category == MESSAGES:
            return await self._answer_message(call, media_type, body)
        if media_type == upstream_event.MESSAGEPACK:
            body = b""  # MessagePack has no message for it, but the client has gone all the same
        if category != CONNECTIONS or event not in {CONNECTED, DISCONNECTED}:
            raise NoHandler("There are the categories 'connections' (connected, disconnected) and 'messages'.")
        return await self._answer_connection(call, event, body)

    async def _answer_connection(self, call: Call, event: str, body: bytes) -> Answer:
        error = parse(upstream_event.read_disconnected, body).error if event == DISCONNECTED else None
        context = self._open(call, (), None, error)
        handlers = self._dispatch.find_for_connection(call.headers.hub, event)
        if event == CONNECTED and may_name_groups(call.headers.claims_line):
            handlers = [NEGOTIATED_JOIN, *handlers]
        call.handlers, began = handlers, self._clock()
        ending = await answer_connection(handlers, context)
        if handlers:
            call.handler_seconds = self._clock() - began
        call.end(handlers, ending)
        check_failure(ending)
        if event == DISCONNECTED:
            if self._message_limit is not None:
                self._message_limit.forget(context.connection_id)
        elif isinstance(ending, Refused):
            await close_refused(context, ending.reason, self._refusals)
            raise Forbidden("A handler refused the connection.")
        elif not self._refusals.is_empty:
            self._refusals.admit(context.negotiation_mark)
        return make_answer(200)

    async def _answer_message(self, call: Call, media_type: str, body: bytes) -> Answer:
        codec = CODECS[media_type]
        message = parse(codec.read_invocation, body, media_type)
        if message.target != call.headers.event and message.target.lower() != call.headers.event.lower():
            raise InvalidHeader("The header X-ASRS-Event is not the target that the body names.")
        if self._message_limit is not None:
            excess = self._message_limit.explain_excess(
                call.headers.connection_id,
                hub=call.headers.hub,
                event=message.target,
                answered=message.invocation_id is not None,
            )
            if excess is not None:
                return self._answer_excess(call, message.invocation_id, codec, media_type, excess)
        handler = self._dispatch.find_for_message(call.headers.hub, call.headers.event)
        arguments, refusal = _read_arguments(message, handler)
        context = self._open(call, arguments, message.invocation_id, None)
        handlers = () if handler is None else (handler,)
        if handler is None:
            ending = self._leave_unhandled(call, context)
        elif refusal is not None:
            ending = _refuse(context, refusal)
        else:
            call.handlers, began = handlers, self._clock()
            ending = await answer_message(handler, context)
            call.handler_seconds = self._clock() - began
        call.end(handlers, ending)
        answer, ending = write_answer(ending, context, codec, media_type)
        call.end(handlers, ending)
        return answer

    def _answer_excess(
        self, call: Call, invocation_id: str | None, codec: Codec, media_type: str, excess: str
    ) -> Answer:
        """The answer to a message over the limit. No handler is asked, and its arguments are not read."""
        ending = Refused(excess)
        call.end((), ending)
        return write_answer(ending, self._open(call, (), invocation_id, None), codec, media_type)[0]

    def _leave_unhandled(self, call: Call, context: Context) -> Ending:
        """The ending without a handler. A client that waits is told, because silence would look like success.

        What handlers there are is told to the service and to those who watch, and not to the client.
        """
        call.unhandled = True
        advice = self._dispatch.describe_messages(context.hub)
        _LOG.info("no handler", extra={"hub": context.hub, "event": context.event, "reason": advice})
        if call.record is not None:
            call.record.detail = advice
        if not call.rules.unhandled_is_fine:
            raise NoHandler(f"No handler answers this event of this hub. {advice}")
        return Returned() if context.invocation_id is None else Refused(f"Method '{context.event}' has no handler.")

    def _open(self, call: Call, arguments: Sequence[Payload], invocation_id: str | None, error: str | None) -> Context:
        return Context(
            call.headers,
            self._outbox,
            call.lines,
            arguments,
            invocation_id,
            error,
            call.endpoint,
            call.rules.lossless_claims,
            platform=call.rules.platform_identity,
        )


def check_verifiable(authenticator: UpstreamAuthenticator, handlers: Iterable[Handler]) -> None:
    """Raise ``SettingsError`` for a handler that could never be called."""
    for handler in handlers:
        authenticator.check_verifiable(handler.hub, handler.source)


def build_receiver(
    authenticator: Callable[[], UpstreamAuthenticator],
    handlers: Sequence[Handler],
    outbox: Outbox,
    events: EventFeed | None = None,
    *,
    most_bytes: int,
    observer: Observer,
    clock: Clock,
    refusals: Refusals | None = None,
    message_limit: MessageLimit | None = None,
) -> Receiver:
    """A receiver for these handlers. Raises ``SettingsError`` for handlers that could never be called.

    ``authenticator`` gives the one in force. Former ones are not kept, because they hold secrets.
    """
    check_verifiable(authenticator(), handlers)
    return Receiver(
        authenticator,
        Dispatch(handlers),
        outbox,
        most_bytes=most_bytes,
        events=events,
        observer=observer,
        clock=clock,
        refusals=refusals,
        message_limit=message_limit,
    )
