"""What decides who may call: a caller is found by its credentials, and checked for a right and for a known hub.

Clients may use only the known hubs. Callers may use every hub, unless the settings say otherwise.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from signalr_bridge.errors import Forbidden, HubNotFound, InvalidName, Unauthenticated
from signalr_bridge.protocol.names import read_parameters
from signalr_bridge.web.callers import CHALLENGE, REFUSAL, Caller, Callers, FindAddress, Right
from signalr_bridge.web.guards import ListenerKind, is_of_this_machine
from signalr_bridge.web.limits import Network, find_address, find_client, write_peer
from signalr_bridge.web.request import Request
from signalr_bridge.web.tokens import read_bearers

_PUBLIC = ListenerKind.PUBLIC  # Python 3.11 takes 0.1 us to find a member in its enumeration

OF_APPS = frozenset({Right.FUNCTIONS, Right.FUNCTIONS_ADMIN})
"""The rights for functions of apps, which open nothing else."""

EVERY = "*"
"""Stands among the hubs for clients, and means all hubs."""


class HubNames:
    """The hubs that settings and handlers name.

    Args:
        named: Their names, in lower case.
        for_clients: The hubs that clients may negotiate for. ``*`` stands for all.
        only: Whether callers, too, know only the named hubs.
        default: The hub of ``/api/negotiate``. None means that there is none.
    """

    def __init__(
        self, named: Collection[str], for_clients: Collection[str], *, only: bool = False, default: str | None = None
    ) -> None:
        self.default = default
        self.named = frozenset(named) | frozenset(for_clients)
        """All that are named. ``*`` stands for every hub."""
        self._for_clients = frozenset(for_clients)
        self._only = only
        self._bound: frozenset[str] = frozenset()

    def use(self, bound: Collection[str]) -> None:
        """From now on these hubs are named, too: functions name them that came while the bridge runs."""
        self._bound = frozenset(bound)

    def is_named(self, hub: str) -> bool:
        """Whether something names the hub, whose name is in lower case."""
        return hub in self.named or hub in self._bound

    def check_known(self, hub: str) -> None:
        """Raise ``HubNotFound`` for a hub that callers do not know."""
        if self._only and hub not in self.named and hub not in self._bound:
            raise HubNotFound("No setting and no handler names this hub.")

    def is_for_clients(self, hub: str) -> bool:
        """Whether clients may negotiate for the hub."""
        return hub in self._for_clients or EVERY in self._for_clients or hub in self._bound

    def check_client(self, hub: str) -> None:
        """Raise ``Forbidden`` for a hub that clients may not negotiate for.

        A client with a token for an internal hub could listen to it.
        """
        if not self.is_for_clients(hub):
            raise Forbidden("Clients may not negotiate for this hub: name it in BRIDGE_NEGOTIATE__HUBS.")


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
        incoming = request.incoming
        peer = None if incoming.peer is None else incoming.peer[0]
        return partial(find_address, peer, incoming.headers, self.trusted_proxies)

    def find_exact_address(self, request: Request) -> str | None:
        """The client's address, and not the network that limits go by. None when it is not known."""
        incoming = request.incoming
        peer = None if incoming.peer is None else incoming.peer[0]
        if not self.trusted_proxies:
            return write_peer(peer or "")  # the usual case, which is kept
        found = find_client(peer, incoming.headers, self.trusted_proxies)
        return None if found is None else str(found)

    async def require_caller(self, request: Request, *, of_any_hub: bool = False) -> None:
        """Sets the caller, who may do what the route does. All others learn nothing about hubs and bodies.

        With ``of_any_hub`` a right for one hub is enough.

        Raises ``Unauthenticated``, ``Forbidden``, ``InvalidName``, ``HubNotFound`` and ``RateLimited``.
        """
        if not self._find_by_key(request):
            await self._find_by_token(request, or_client=False)
        if request.caller is None:
            raise Unauthenticated(REFUSAL, headers=CHALLENGE)
        if of_any_hub:
            self._check_of_any_hub(request, request.caller)
        else:
            self.check_caller(request, request.caller)

    async def require_caller_of_app(self, request: Request) -> None:
        """Sets the caller, who may call a function. It names no hub, so the hubs of a key do not matter.

        Raises ``Unauthenticated``, ``Forbidden`` and ``RateLimited``.
        """
        keys = self._read_app_keys(request)
        if any(keys):
            request.caller = self.callers.find_by_key(keys, self.address_of(request))
        else:
            await self._find_by_token(request, or_client=False)
        if request.caller is None:
            raise Unauthenticated(REFUSAL, headers=CHALLENGE)
        _check_caller_of_app(request, request.caller)
        self.callers.check_rate(request.caller)

    def _read_app_keys(self, request: Request) -> list[str]:
        """The keys to judge. In development, without keys, a page may still send the one that it has for Azure."""
        return [] if ListenerKind.ONLY in self.anonymous else read_app_keys(request)

    async def still_admits(self, request: Request) -> bool:
        """Whether the caller of an open stream may go on. Its key, its right or its token's key may be gone by now."""
        caller = await self._find_again(request)
        return caller is not None and any(caller.may(right, None) for right in request.rights)

    async def check_again(self, request: Request) -> None:
        """Sets the caller anew, for a request whose body has come late. It may have less rights by now.

        Raises ``Unauthenticated`` and ``Forbidden``.
        """
        request.caller = caller = await self._find_again(request)
        if caller is None:
            raise Unauthenticated(REFUSAL, headers=CHALLENGE)
        if request.rights <= OF_APPS:
            _check_caller_of_app(request, caller)
        else:
            caller.check(request.rights, self.hub_names.default if request.hub_segment is None else request.hub)

    async def _find_again(self, request: Request) -> Caller | None:
        """The caller of a request that was admitted before. None when it would not be admitted any more."""
        keys = self._read_app_keys(request) if request.rights <= OF_APPS else request.headers_of(b"x-api-key")
        tokens = read_bearers(request.headers_of(b"authorization"))
        if any(keys):
            return self.callers.recall(keys[0])
        address = self.address_of(request)
        caller = await self.callers.find_by_token(tokens, address, or_client=True) if tokens else None
        return caller or self._find_anonymous(request)

    def is_backend(self, request: Request) -> bool:
        """Whether a backend asks. In development every program of this machine may, and clients need no key either."""
        return request.caller is not None and ListenerKind.ONLY not in self.anonymous

    async def find_caller(self, request: Request) -> None:
        """Sets the caller of the request. It stays None when the request has no credentials of a caller.

        With a key and a token, only the key is judged. A token that is not a caller's may be a client's.

        Raises:
            Unauthenticated: The key is wrong.
            RateLimited: The address has sent too many wrong credentials.
            Forbidden: The request comes from another machine, where only this one's programs may call without a key.
        """
        if not self._find_by_key(request):
            await self._find_by_token(request, or_client=True)

    def _find_by_key(self, request: Request) -> bool:
        """Sets the caller, if the request has a key. Returns whether nothing else of the request is looked at."""
        if request.listener is _PUBLIC:
            return True  # callers have their own listener
        keys = request.headers_of(b"x-api-key")
        if not any(keys):
            return False  # an empty key is not a credential
        request.caller = self.callers.find_by_key(keys, self.address_of(request))
        return True

    async def _find_by_token(self, request: Request, *, or_client: bool) -> None:
        tokens = read_bearers(request.headers_of(b"authorization"))
        if tokens:
            address = self.address_of(request)
            request.caller = await self.callers.find_by_token(tokens, address, or_client=or_client)
        if request.caller is None:
            request.caller = self._find_anonymous(request)

    def _find_anonymous(self, request: Request) -> Caller | None:
        name = self.anonymous.get(request.listener)
        if name is None or request.crosses_origin:
            return None
        if not is_of_this_machine(request.headers_of(b"host"), request.headers_of(b"origin")):
            raise Forbidden("Without a key only this machine's own programs may call.")
        return Caller(name)

    def _check_of_any_hub(self, request: Request, caller: Caller) -> None:
        if not any(map(caller.has, request.rights)):
            caller.check(request.rights, None)  # has none of them for all hubs either
        self.callers.check_rate(caller)

    def check_caller(self, request: Request, caller: Caller, hub: str | None = None) -> None:
        """Raise the reason why the caller may not do now what the route does.

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
        if request.hub_segment is not None:
            hub = _read_hub(request, caller)
        caller.check(request.rights, hub)
        if hub is not None:
            self.hub_names.check_known(hub)
        self.callers.check_rate(caller)


def read_app_keys(request: Request) -> list[str]:
    """The keys with which a function of an app is called. Those of one place alone are judged, the bridge's own first.

    Source: https://learn.microsoft.com/azure/azure-functions/function-keys-how-to
    """
    for name in (b"x-api-key", b"x-functions-key"):
        if any(keys := request.headers_of(name)):
            return keys
    query = read_parameters(request.incoming.query.decode("latin-1"))
    return [value for name, value in query if name.lower() == "code"]


def _check_caller_of_app(request: Request, caller: Caller) -> None:
    if not any(map(caller.has, request.rights)):
        wanted = " or ".join(f"'{right}'" for right in sorted(request.rights))
        raise Forbidden(f"You may not call this function; it takes the right {wanted}.")


def _read_hub(request: Request, caller: Caller) -> str:
    try:
        return request.hub
    except InvalidName:
        if all(grant.hubs is not None for grant in caller.grants):
            raise Forbidden("You may not do this here.") from None
        raise
