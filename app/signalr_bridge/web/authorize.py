"""The dependencies by which a route takes only callers that may call it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Request

from signalr_bridge.errors import Forbidden, InvalidName, Unauthenticated
from signalr_bridge.web.callers import CHALLENGE, REFUSAL, Caller, Callers, FindAddress, read_credentials
from signalr_bridge.web.guards import ListenerKind, is_of_this_machine, listener_of
from signalr_bridge.web.hub_names import HubNames
from signalr_bridge.web.limits import Network, scope_address
from signalr_bridge.web.request import find_part, read_hub
from signalr_bridge.web.rights import RIGHTS


@dataclass(frozen=True, slots=True)
class Access:
    """What decides who may call.

    Args:
        callers: Knows callers by their keys and tokens.
        anonymous: The name of a caller without a key, by listener.
        hub_names: The hubs that there are.
        trusted_proxies: The networks of proxies that are trusted to report the client's address.
    """

    callers: Callers
    anonymous: Mapping[ListenerKind, str]
    hub_names: HubNames
    trusted_proxies: Sequence[Network] = ()

    def address_of(self, request: Request) -> FindAddress:
        """A function that works out the client's address. It is called for requests that are refused or limited."""
        return partial(scope_address, request.scope, self.trusted_proxies)


async def find_caller(request: Request, *, or_client: bool = True) -> Caller | None:
    """Who calls. None means that the request has no credentials of a caller.

    Args:
        request: The request.
        or_client: Whether a token that is not a caller's may be a client's. Then it counts as none.

    Raises:
        Unauthenticated: The credentials are wrong.
        RateLimited: The address has sent too many wrong credentials.
        Forbidden: The request comes from another machine, where only this one's programs may call without a key.
    """
    kind = listener_of(request.scope)
    if kind is ListenerKind.PUBLIC:
        return None  # callers have their own listener
    access = find_part(request, Access)
    given = read_credentials(request.headers)
    caller = await access.callers.find(given, access.address_of(request), or_client=or_client)
    caller = _find_anonymous(request, access, kind) if caller is None else caller
    if caller is not None:
        request.scope["caller"] = caller.name
    return caller


def _find_anonymous(request: Request, access: Access, kind: ListenerKind) -> Caller | None:
    name = access.anonymous.get(kind)
    if name is None:
        return None
    if not is_of_this_machine(request.scope):
        raise Forbidden("Without a key only this machine's own programs may call.")
    return Caller(name)


async def require_caller(request: Request) -> Caller:
    """The caller, who may do what this route does. All others learn nothing about hubs and bodies.

    Raises ``Unauthenticated``, ``Forbidden``, ``InvalidName``, ``HubNotFound`` and ``RateLimited``.
    """
    caller = await find_caller(request, or_client=False)
    if caller is None:
        raise Unauthenticated(REFUSAL, headers=CHALLENGE)
    check_caller(request, caller)
    return caller


def check_caller(request: Request, caller: Caller, hub: str | None = None) -> None:
    """Raise the reason why the caller may not do now what this route does.

    Args:
        request: The request. The hub in its path is checked, if there is one.
        caller: Who calls.
        hub: The hub to check when the path has none, in lower case.

    Raises:
        Forbidden: The caller lacks the right for the hub.
        InvalidName: The hub's name is malformed.
        HubNotFound: Callers do not know the hub.
        RateLimited: The caller calls too often.
    """
    operation: str | None = getattr(request.scope.get("route"), "operation_id", None)
    rights = RIGHTS.get(operation or "", frozenset())
    if (segment := request.path_params.get("hub")) is not None:
        hub = _read_hub(request, segment, caller)
    caller.check(rights, hub)
    access = find_part(request, Access)
    if hub is not None:
        access.hub_names.check_known(hub)
    access.callers.check_rate(caller)


def _read_hub(request: Request, segment: str, caller: Caller) -> str:
    try:
        return read_hub(request, segment)
    except InvalidName:
        if all(grant.hubs is not None for grant in caller.grants):
            raise Forbidden("You may not do this here.") from None
        raise


async def find_possible_caller(request: Request) -> Caller | None:
    """The caller, or None for a client. It is for routes that serve both."""
    return await find_caller(request)


RequiredCaller = Annotated[Caller, Depends(require_caller)]
"""Declare a caller before everything else, because an unknown one must learn nothing about hubs and bodies."""

OptionalCaller = Annotated[Caller | None, Depends(find_possible_caller)]
"""For routes that serve callers and clients. Declare it first, too."""
