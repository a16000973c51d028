"""Which handlers see an event, and what comes of it: returned, refused or failed."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from signalr_bridge.errors import HubError, InvalidName, NoHandler, Overloaded, Rejected, SettingsError
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.names import check_hub
from signalr_bridge.protocol.upstream_event import CONNECTIONS, MESSAGES
from signalr_bridge.upstream.context import Context

_LOG = logging.getLogger("signalr_bridge.upstream")

ANY = "*"
"""In place of a name: all of them."""


class Handler(Protocol):
    """What answers events: those of ``hub``, ``category`` and ``event``, each a name in any case, or ``*``."""

    @property
    def hub(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def source(self) -> str:
        """Where it is to be found, for people."""
        ...

    async def answer(self, context: Context) -> Payload:
        """The result. ``HubError`` and ``Rejected`` refuse; ``NoHandler`` says that it is none; all else is failure."""
        ...


@dataclass(frozen=True, slots=True)
class Returned:
    result: Payload = None


@dataclass(frozen=True, slots=True)
class Refused:
    """``reason`` is meant for the client."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """``kind`` is the error's name; the log has the rest. ``overload``: nobody was asked, too many events wait."""

    kind: str = field(default="", compare=False)
    overload: Overloaded | None = None


Ending: TypeAlias = Returned | Refused | Failed


class Dispatch:
    """All handlers. Two for messages that are equally specific are a ``SettingsError``."""

    def __init__(self, handlers: Iterable[Handler]) -> None:
        self.handlers = tuple(handlers)
        self._for_messages: dict[tuple[str, str], Handler] = {}
        for handler in self.handlers:
            if handler.category in {MESSAGES, ANY}:
                self._add(handler)

    def _add(self, handler: Handler) -> None:
        key = (handler.hub.lower(), handler.event.lower())
        if key in self._for_messages:
            one, other = self._for_messages[key].source, handler.source
            raise SettingsError(
                f"Two handlers answer the same messages (hub {key[0]}, event {key[1]}): {one}, {other}. "
                "Remove one of them, or give it another event."
            )
        self._for_messages[key] = handler

    def find_for_message(self, hub: str, event: str) -> Handler | None:
        """The most specific one: hub and event named, then event, then hub, then neither."""
        hub, event = hub.lower(), event.lower()
        keys = ((hub, event), (ANY, event), (hub, ANY), (ANY, ANY))
        return next((self._for_messages[key] for key in keys if key in self._for_messages), None)

    def find_for_connection(self, hub: str, event: str) -> list[Handler]:
        """Every one that matches, in the order in which they were given."""
        return [
            one
            for one in self.handlers
            if one.category in {CONNECTIONS, ANY} and _matches(one.hub, hub) and _matches(one.event, event)
        ]


def read_hub_pattern(name: str, source: str) -> str:
    """A hub's name in lower case, or ``*``; ``SettingsError`` when the service takes no such name."""
    try:
        return name if name == ANY else check_hub(name)
    except InvalidName as error:
        raise SettingsError(f"{source}: {error.detail}") from None


def _matches(pattern: str, name: str) -> bool:
    return pattern == ANY or pattern.lower() == name.lower()


async def answer_message(handler: Handler, context: Context) -> Ending:
    """How the message ends; both ways to refuse refuse it. Without a text a client would take it for a success."""
    ending = await _run(handler, context, refusal=HubError)
    return Refused(failure_text(context.event)) if ending == Refused("") else ending


async def answer_connection(handlers: Iterable[Handler], context: Context) -> Ending:
    """How a connection event ends: refused when any handler refuses, else failed when any fails.

    Each sees it, one after the other; one that fails does not stop the next.
    """
    endings = [await _run(handler, context, refusal=Rejected) for handler in handlers]
    for kind in (Refused, Failed):
        if (worst := next((ending for ending in endings if isinstance(ending, kind)), None)) is not None:
            return worst
    return Returned()


async def _run(handler: Handler, context: Context, refusal: type[HubError]) -> Ending:
    try:
        return Returned(await handler.answer(context))
    except refusal as error:
        return Refused(error.detail)
    except NoHandler as error:
        if context.category == MESSAGES:
            raise
        return _fail(handler, context, error)
    except asyncio.CancelledError as error:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise  # the call itself is given up
        return _fail(handler, context, error)  # something the handler waited for was
    except (Exception, SystemExit, KeyboardInterrupt, BaseExceptionGroup) as error:
        return _fail(handler, context, error)  # a handler ends nothing but itself


def failure_text(method: str) -> str:
    """The general sentence: all that a client learns of a failure."""
    return f"Method '{method}' failed."


def _fail(handler: Handler, context: Context, error: BaseException) -> Failed:
    """Logs the stack, where, and nothing that the client sent but the event's name."""
    where = {"handler": handler.source, "hub": context.hub, "category": context.category, "event_name": context.event}
    _LOG.error("handler failed", exc_info=error, extra=where)
    return Failed(type(error).__name__, error if isinstance(error, Overloaded) else None)
