"""One upstream call that is being answered, and what the observer is told of it at its end."""

from collections.abc import Mapping, Sequence

import msgspec

from signalr_bridge.errors import (
    BodyTooLarge,
    InvalidHeader,
    InvalidName,
    MalformedJson,
    MalformedMessage,
    NoHandler,
    UnsupportedMediaType,
)
from signalr_bridge.protocol.upstream_event import MESSAGES, EventHeaders, HeaderLines
from signalr_bridge.upstream.authenticator import UpstreamRules
from signalr_bridge.upstream.dispatch import ANY, Ending, Handler
from signalr_bridge.upstream.event_feed import EventRecord
from signalr_bridge.web.observer import Observer

Values = Mapping[bytes, bytes]
"""The values of a call's header lines, as ``first_values`` gives them."""

_RETURNED, _FAILED, _UNHANDLED = "returned", "failed", "unhandled"

_OF_HEADERS = (InvalidHeader, InvalidName)
_OF_BODY = (BodyTooLarge, UnsupportedMediaType, MalformedJson, MalformedMessage)


class Call(msgspec.Struct):
    """A call that ``rules`` took.

    ``record`` is None when no feed exists, ``ending`` until a handler was asked. ``handler_seconds`` is None when no
    handler was.
    """

    headers: EventHeaders
    lines: HeaderLines
    values: Values
    endpoint: str | None
    rules: UpstreamRules
    record: EventRecord | None
    ending: Ending | None = None
    handlers: Sequence[Handler] = ()
    unhandled: bool = False
    handler_seconds: float | None = None

    def end(self, handlers: Sequence[Handler], ending: Ending) -> None:
        """Note which handlers were asked, and how the event ended."""
        self.handlers, self.ending = handlers, ending
        if self.record is not None:
            self.record.see(handlers, ending)

    def tell(self, observer: Observer, error: BaseException | None, seconds: float) -> None:
        """Tell ``observer`` how the call ended. ``error`` is what became its answer. None when it was in order."""
        headers = self.headers
        if self.ending is None and (reason := _find_reason(error)) is not None:
            tell_refused(observer, headers, reason, seconds)
            return
        observer.event_ended(
            hub=headers.hub,
            category=headers.category.lower(),
            event=headers.event,
            registered_event=self._find_registered(),
            connection_id=headers.connection_id,
            user_id=headers.user_id,
            handler=", ".join([one.source for one in self.handlers]),
            result=self._find_result(error),
            endpoint=self.endpoint,
            handler_seconds=self.handler_seconds,
            seconds=seconds,
        )

    def _find_result(self, error: BaseException | None) -> str:
        if self.unhandled or isinstance(error, NoHandler):
            return _UNHANDLED
        if self.ending is not None:
            return self.ending.word
        return _RETURNED if error is None else _FAILED

    def _find_registered(self) -> str | None:
        if self.headers.category.lower() != MESSAGES:
            return self.headers.event.lower() if self.ending is not None else None
        return next((one.event for one in self.handlers if one.event != ANY), None)


def _find_reason(error: BaseException | None) -> str | None:
    """Why a call that was authenticated is not in order. None when it was, whatever became of it."""
    if isinstance(error, _OF_HEADERS):
        return "routing"
    return "body" if isinstance(error, _OF_BODY) else None


def tell_refused(observer: Observer, headers: EventHeaders, reason: str, seconds: float) -> None:
    """Tell ``observer`` of a call that is refused before any handler."""
    observer.event_refused(
        reason=reason,
        hub=headers.hub,
        category=headers.category.lower(),
        event=headers.event,
        connection_id=headers.connection_id,
        user_id=headers.user_id,
        seconds=seconds,
    )
