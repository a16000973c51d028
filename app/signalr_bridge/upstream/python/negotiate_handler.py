"""A function of a hub that decides who may connect, with a time limit."""

import asyncio
from dataclasses import dataclass

from signalr_bridge.errors import NegotiateFailed, Overloaded, Rejected, SettingsError, Unauthenticated
from signalr_bridge.protocol.admission import Admission, NegotiateRequest
from signalr_bridge.upstream.python.binding import find_needed, read_behind
from signalr_bridge.upstream.python.handler import (
    HandlerCall,
    check_function,
    make_call,
    name_error,
    name_function,
    read_seconds,
)
from signalr_bridge.upstream.python.hub import Hub, Registration, read_hub_name, read_hub_seconds, read_negotiate
from signalr_bridge.upstream.python.threads import Threads
from signalr_bridge.web.cancellation import is_from_outside

_REFUSALS = (Rejected, Unauthenticated, Overloaded)


@dataclass(frozen=True, slots=True)
class PythonNegotiateHandler:
    """The negotiate handler of one hub. ``seconds`` limits the function. None means no limit."""

    hub: str
    source: str
    call: HandlerCall
    seconds: float | None = None

    async def admit(self, request: NegotiateRequest) -> Admission | None:
        """What the function returns, which has not been checked.

        Raises ``Rejected`` and ``Unauthenticated`` as the function does, and ``NegotiateFailed`` for any other error.
        """
        limit = asyncio.timeout(self.seconds)
        try:
            async with limit:
                admission: Admission | None = await self.call(request)
        except _REFUSALS:
            if not limit.expired():
                raise
        except BaseException as error:
            if is_from_outside(error):
                raise
            if not limit.expired():
                raise NegotiateFailed(name_error(error)) from None
        else:
            if not limit.expired():
                return admission
        raise NegotiateFailed(f"It took longer than {self.seconds:g} s.")


def read_negotiate_handler(
    hub: Hub, threads: Threads, default_seconds: float | None = None
) -> PythonNegotiateHandler | None:
    """The negotiate handler of a hub, from its decorator or its method. None when it has none.

    ``default_seconds`` limits one whose hub has no time-out of its own. ``threads`` runs one that is not async. Raises
    ``SettingsError`` for one that could not work, and for several.
    """
    name = read_hub_name(hub)
    registered = read_negotiate(hub)
    if not registered:
        return None
    if len(registered) > 1:
        sources = ", ".join(name_function(one.function) for one in registered)
        raise SettingsError(f"The hub '{name}' has several negotiate handlers: {sources}. Remove all but one.")
    return _make(name, registered[0], threads, read_hub_seconds(hub, default_seconds))


def _make(hub: str, registration: Registration, threads: Threads, seconds: float | None) -> PythonNegotiateHandler:
    function, own = registration.function, registration.timeout_seconds
    source = name_function(function)
    check_function(function, source, f"The hub '{hub}' negotiates")
    if needed := find_needed(read_behind(function, source, NegotiateRequest)):
        raise SettingsError(f"The negotiate handler {source} takes more than the request: '{needed[0].name}'.")
    limit = read_seconds(seconds if own is None else own, source)
    return PythonNegotiateHandler(hub, source, make_call(function, threads), limit)
