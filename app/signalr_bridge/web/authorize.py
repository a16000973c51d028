"""What a route declares so that only those callers get in who may."""

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
    """Who gets in.

    Args:
        callers: knows callers by their keys and tokens.
        anonymous: the name of who calls without a key, by listener.
        hub_names: the hubs that there are.
        trusted_proxies: the networks of proxies whose word about the client's address is believed.
    """

    callers: Callers
    anonymous: Mapping[ListenerKind, str]
    hub_names: HubNames
    trusted_proxies: Sequence[Network] = ()

    def address_of(self, request: Request) -> FindAddress:
        """What works out the client's address, for when somebody is refused or limited."""
        return partial(scope_address, request.scope, self.trusted_proxies)


async def find_caller(request: Request, *, or_client: bool = True) -> Caller | None:
    """Who calls. None: the request shows nothing that a caller would.

    Raises ``Unauthenticated``, and ``RateLimited`` for one who tries too often.
    """
    kind = listener_of(request.scope)
    if kind is ListenerKind.PUBLIC:
        return None  # callers have a listener of their own
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
    """Who calls, and may do what this route does. Nothing is said about hubs or bodies to anybody else.

    Raises ``Unauthenticated``, ``Forbidden``, ``InvalidName``, ``HubNotFound`` and ``RateLimited``.
    """
    caller = await find_caller(request, or_client=False)
    if caller is None:
        raise Unauthenticated(REFUSAL, headers=CHALLENGE)
    check_caller(request, caller)
    return caller


def check_caller(request: Request, caller: Caller, hub: str | None = None) -> None:
    """Whether the caller may do what this route does, for the hub of its path (or for ``hub``), now.

    Raises ``Forbidden``, ``InvalidName``, ``HubNotFound`` and ``RateLimited``.
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
    """For routes that are the clients' too."""
    return await find_caller(request)


RequiredCaller = Annotated[Caller, Depends(require_caller)]
OptionalCaller = Annotated[Caller | None, Depends(find_possible_caller)]
"""Declare a caller before everything else: nothing is said about hubs or bodies to somebody unknown."""
