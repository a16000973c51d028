"""A function of a hub that decides who may connect, with a time limit."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from signalr_bridge.errors import NegotiateFailed, Overloaded, Rejected, SettingsError, Unauthenticated
from signalr_bridge.protocol.admission import Admission, NegotiateRequest
from signalr_bridge.upstream.python.binding import find_code
from signalr_bridge.upstream.python.handler import (
    HandlerCall,
    check_function,
    make_call,
    name_error,
    name_function,
    read_seconds,
)
from signalr_bridge.upstream.python.hub import Hub, Registration, read_name, read_negotiate
from signalr_bridge.upstream.python.threads import Threads

_BY_POSITION = {
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
}
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
        except (Exception, SystemExit, KeyboardInterrupt, BaseExceptionGroup) as error:
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
    name = vars(hub).get("_hub") or read_name(type(hub).__name__)
    registered = read_negotiate(hub)
    if not registered:
        return None
    if len(registered) > 1:
        sources = ", ".join(name_function(one.function) for one in registered)
        raise SettingsError(f"The hub '{name}' has several negotiate handlers: {sources}. Remove all but one.")
    given = vars(hub).get("_timeout_seconds")
    return _make(name, registered[0], threads, default_seconds if given is None else given)


def _make(hub: str, registration: Registration, threads: Threads, seconds: float | None) -> PythonNegotiateHandler:
    function, own = registration.function, registration.timeout_seconds
    source = name_function(function)
    check_function(function, source, f"The hub '{hub}' negotiates")
    _check_parameters(function, source)
    limit = read_seconds(seconds if own is None else own, source)
    return PythonNegotiateHandler(hub, source, make_call(function, threads), limit)


def _check_parameters(function: Callable[..., Any], source: str) -> None:
    """Raise ``SettingsError`` unless the function can be called with the request alone."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in _BY_POSITION:
        raise SettingsError(f"The negotiate handler {source} has no first parameter for the request.")
    needed = [one for one in parameters[1:] if one.default is one.empty and one.kind not in _VARIABLE]
    if needed:
        raise SettingsError(f"The negotiate handler {source} takes more than the request: '{needed[0].name}'.")
    if parameters[0].annotation is not inspect.Parameter.empty and not _takes_requests(function, parameters[0].name):
        raise SettingsError(
            f"The negotiate handler {source}: its first parameter is annotated as something other than "
            "NegotiateRequest. Write `request: NegotiateRequest`."
        )


_VARIABLE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def _takes_requests(function: Callable[..., Any], parameter: str) -> bool:
    try:
        hint = get_type_hints(find_code(function)).get(parameter)
    except (NameError, TypeError, SyntaxError, AttributeError):
        return False
    return hint is Any or (isinstance(hint, type) and issubclass(NegotiateRequest, hint))
