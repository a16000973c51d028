"""The choice of the handlers that see an event, how it ends (returned, refused or failed), and the answer to that."""

import logging
import traceback
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias

import msgspec
from msgspec import structs

from signalr_bridge.errors import (
    DeliveryError,
    HubError,
    InternalError,
    InvalidName,
    NoHandler,
    Overloaded,
    Rejected,
    SettingsError,
)
from signalr_bridge.protocol.hub_message import Completion, Payload
from signalr_bridge.protocol.names import check_hub
from signalr_bridge.protocol.upstream_event import CONNECTED, CONNECTIONS, DISCONNECTED, MESSAGES
from signalr_bridge.upstream.codecs import Codec
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.values import to_plain
from signalr_bridge.web.cancellation import is_from_outside
from signalr_bridge.web.trace import NOTE, Note
from signalr_bridge.wire.exchange import Answer, make_answer

_LOG = logging.getLogger("signalr_bridge.upstream")
_PACKAGE = str(Path(__file__).parents[1])

ANY = "*"
"""In place of a name: all of them."""

MOST_NAMED = 20
"""How many handlers a sentence names."""


class Handler(Protocol):
    """Answers the events of ``hub``, ``category`` and ``event``. Each is a name in any case, or ``*``."""

    @property
    def hub(self) -> str:
        """The hub whose events are answered."""
        ...

    @property
    def category(self) -> str:
        """``connections``, ``messages``, or ``*`` for both."""
        ...

    @property
    def event(self) -> str:
        """``connected``, ``disconnected``, or the target of a message."""
        ...

    @property
    def source(self) -> str:
        """Where people find the handler."""
        ...

    @property
    def takes_json(self) -> bool:
        """Whether it passes a message's arguments on as JSON text, so that nobody need decode them."""
        ...

    async def answer(self, context: Context) -> Payload:
        """The result of a message.

        ``HubError`` and ``Rejected`` refuse the event. ``NoHandler`` says that this is not its handler. Any other error
        is a failure.
        """
        ...


class OutsideFailure(Exception):
    """Something that a handler needs has failed, outside of this process. The text says what, without what was sent."""


class Returned(msgspec.Struct, frozen=True):
    """The handler has returned. ``result`` may be None."""

    word: ClassVar[str] = "returned"

    result: Payload = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The handler has refused the event. ``reason`` is meant for the client."""

    word: ClassVar = "refused"

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler has failed. ``kind`` is the name of the error's class, and the log has the rest.

    ``overload`` is set when no handler was asked, because too many events wait.
    """

    word: ClassVar = "failed"

    kind: str = field(default="", compare=False)
    overload: Overloaded | None = None


Ending: TypeAlias = Returned | Refused | Failed


class Dispatch:
    """All handlers, by the events that they answer. Raises ``SettingsError`` for two that answer the same messages."""

    def __init__(self, handlers: Iterable[Handler]) -> None:
        self.handlers = tuple(handlers)
        self._hubs = {one.hub.lower() for one in self.handlers}
        self._for_messages: dict[tuple[str, str], Handler] = {}
        self._for_connections: dict[tuple[str, str], list[Handler]] = {}
        for handler in self.handlers:
            if handler.category in {MESSAGES, ANY}:
                self._add(handler)
        for hub in (ANY, *self._hubs):
            for event in (CONNECTED, DISCONNECTED):
                self._for_connections[hub, event] = [one for one in self.handlers if _sees(one, hub, event)]

    def _add(self, handler: Handler) -> None:
        key = (handler.hub.lower(), handler.event.lower())
        if key in self._for_messages:
            one, other = self._for_messages[key].source, handler.source
            raise SettingsError(
                f"Two handlers answer the same messages (hub {key[0]}, event {key[1]}): {one}, {other}. "
                "Remove one of them, or give it another event.",
                setting=_name_setting(other),
            )
        self._for_messages[key] = handler

    def find_for_message(self, hub: str, event: str) -> Handler | None:
        """The most specific handler: one that names hub and event, or else the event, or else the hub, or neither."""
        hub, event = hub.lower(), event.lower()
        for key in ((hub, event), (ANY, event), (hub, ANY), (ANY, ANY)):
            if (handler := self._for_messages.get(key)) is not None:
                return handler
        return None

    def find_for_hub(self, hub: str) -> list[Handler]:
        """Every handler that answers an event of the hub, in the order in which they were given."""
        hub = hub.lower()
        return [one for one in self.handlers if one.hub.lower() in {ANY, hub} and self._is_reached(one, hub)]

    def describe_messages(self, hub: str) -> str:
        """Which messages of the hub have handlers, in one sentence."""
        names = [one.event for one in self.find_for_hub(hub) if one.category in {MESSAGES, ANY}]
        if not names:
            return "It has no handler of messages."
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        return f"It has handlers of {', '.join(names[:MOST_NAMED])}{more}."

    def _is_reached(self, handler: Handler, hub: str) -> bool:
        """Whether no other handler of the hub is more specific for all that this one would answer."""
        return handler.category != MESSAGES or self.find_for_message(hub, handler.event) is handler

    @property
    def connected_hubs(self) -> frozenset[str]:
        """The hubs whose ``connected`` has a handler, in lower case. ``*`` stands for all hubs."""
        return frozenset(one.hub.lower() for one in self.handlers if _sees(one, one.hub.lower(), CONNECTED))

    def find_for_connection(self, hub: str, event: str) -> list[Handler]:
        """Every handler of ``connected`` or ``disconnected``, in the order in which they were given."""
        hub = hub.lower()
        return self._for_connections[hub if hub in self._hubs else ANY, event]


def _name_setting(source: str) -> str:
    """The setting that named a handler, by the handler's source."""
    kind, _, name = source.partition(".")
    return f"BRIDGE_FORWARD__{name.upper()}" if kind == "forward" else "BRIDGE_HANDLERS"


def read_hub_pattern(name: str, source: str) -> str:
    """A hub's name in lower case, or ``*``. Raises ``SettingsError`` for a name that the service does not take.

    ``source`` says in the error where the name stands.
    """
    try:
        return name if name == ANY else check_hub(name)
    except InvalidName as error:
        raise SettingsError(error.detail, setting=source) from None


def _sees(handler: Handler, hub: str, event: str) -> bool:
    of_connections = handler.category in {CONNECTIONS, ANY}
    return of_connections and handler.hub.lower() in {ANY, hub} and handler.event.lower() in {ANY, event}


def answer_message(handler: Handler, context: Context) -> Coroutine[Any, Any, Ending]:
    """Have the message answered. ``HubError`` and ``Rejected`` both refuse it.

    A refusal without a text gets the general sentence, because a client would take it for a success.
    """
    return _run(handler, context, HubError, needs_reason=True)


async def answer_connection(handlers: Iterable[Handler], context: Context) -> Ending:
    """Have the connection event answered by each handler, one after the other.

    It is refused when any handler refuses it, and else failed when any handler fails. A failure does not stop the next
    handler.
    """
    endings = [await _run(handler, context, Rejected) for handler in handlers]
    for kind in (Refused, Failed):
        if (worst := next((ending for ending in endings if isinstance(ending, kind)), None)) is not None:
            return worst
    return Returned()


async def _run(handler: Handler, context: Context, refusal: type[HubError], *, needs_reason: bool = False) -> Ending:
    NOTE.set(Note(handler.source))
    try:
        return Returned(await handler.answer(context))
    except refusal as error:
        return Refused(error.detail or (failure_text(context.event) if needs_reason else ""))
    except NoHandler as error:
        if context.category == MESSAGES:
            raise
        return _fail(handler, context, error)
    except BaseException as error:  # a handler cannot end the process
        if is_from_outside(error):
            raise
        return _fail(handler, context, error)


def failure_text(method: str) -> str:
    """The general sentence, which is all that a client learns of a failure."""
    return f"Method '{method}' failed."


def _fail(handler: Handler, context: Context, error: BaseException) -> Failed:
    """Log why, the handler and the event. Of what the client sent, the log has only the event's name."""
    where = {"handler": handler.source, "hub": context.hub, "category": context.category, "event": context.event}
    if (reason := explain_outside(error)) is None:
        _LOG.error("handler failed", exc_info=error, extra=where)
    else:
        _LOG.error("handler failed", extra=where | {"error": type(error).__name__, "reason": reason})
    return Failed(type(error).__name__, error if isinstance(error, Overloaded) else None)


def explain_outside(error: BaseException) -> str | None:
    """What has failed outside of this process, and where a function of an author met it. None for any other error.

    Such an error needs no stack. While a backend or the service is down, every event has one.
    """
    if not isinstance(error, OutsideFailure | DeliveryError | Overloaded | NoHandler):
        return None
    frames = traceback.extract_tb(error.__traceback__) if isinstance(error, DeliveryError) else []
    of_author = [one for one in frames if not one.filename.startswith(_PACKAGE)]
    return f"{error} ({of_author[-1].filename}, line {of_author[-1].lineno})" if of_author else str(error)


def write_answer(ending: Ending, context: Context, codec: Codec, media_type: str) -> tuple[Answer, Ending]:
    """The answer to a message, and how the message ended.

    A result that cannot be encoded makes it end as ``Failed``. Without an invocation id in the context, and for an
    overload, there is no completion.

    Args:
        ending: What came of the message.
        context: The message's context.
        codec: Writes the completion.
        media_type: The media type of what ``codec`` writes.

    Raises:
        Overloaded, InternalError: As ``check_failure`` does, when there is no completion.
    """
    invocation_id = context.invocation_id
    if invocation_id is None or (isinstance(ending, Failed) and ending.overload is not None):
        check_failure(ending)
        return make_answer(200), ending
    try:
        body = _write(codec, _complete(ending, invocation_id, context.event))
    except BaseException as error:  # whatever an author's objects raise while they are encoded
        _LOG.exception("result cannot be encoded", extra={"hub": context.hub, "event": context.event})
        ending = Failed(type(error).__name__)
        body = codec.write_completion(_complete(ending, invocation_id, context.event))
    return make_answer(200, body, media_type), ending


def check_failure(ending: Ending) -> None:
    """Raise ``Overloaded`` or ``InternalError`` for a failure, so that the status tells the service of it."""
    if isinstance(ending, Failed):
        raise ending.overload or InternalError("A handler of this event failed.")


def _write(codec: Codec, completion: Completion) -> bytes:
    try:
        return codec.write_completion(completion)
    except TypeError:  # an object that the codec does not know, such as a pydantic model
        return codec.write_completion(structs.replace(completion, result=to_plain(completion.result)))


def _complete(ending: Ending, invocation_id: str, method: str) -> Completion:
    match ending:
        case Returned(result):
            return Completion(invocation_id, result=result, has_result=True)
        case Refused(reason):
            return Completion(invocation_id, error=reason)
        case Failed():
            return Completion(invocation_id, error=failure_text(method))
