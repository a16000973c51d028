"""Which hubs are known by name: for clients always, for callers where the settings say so."""

from collections.abc import Collection

from signalr_bridge.errors import Forbidden, HubNotFound

EVERY = "*"


class HubNames:
    """``named`` by settings and handlers, in lower case. ``for_clients`` are those that clients may negotiate for, with
    ``*`` all; ``only``: callers, too, know no other than the named ones."""

    def __init__(self, named: Collection[str], for_clients: Collection[str], *, only: bool = False) -> None:
        self._named = frozenset(named) | frozenset(for_clients)
        self._for_clients = frozenset(for_clients)
        self._only = only

    def check_known(self, hub: str) -> None:
        """``HubNotFound`` for a hub that callers do not know."""
        if self._only and hub not in self._named:
            raise HubNotFound("No setting and no handler names this hub.")

    def check_client(self, hub: str) -> None:
        """``Forbidden`` for a hub that clients may not negotiate for: a token for any would let them listen to an
        internal one."""
        if hub not in self._for_clients and EVERY not in self._for_clients:
            raise Forbidden("Clients may not negotiate for this hub: name it in BRIDGE_NEGOTIATE__HUBS.")
