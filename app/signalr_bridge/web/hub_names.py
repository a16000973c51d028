"""The known hubs. Clients may use only these, callers any hub unless the settings say otherwise."""

from collections.abc import Collection

from signalr_bridge.errors import Forbidden, HubNotFound

EVERY = "*"


class HubNames:
    """Checks the names of hubs.

    Args:
        named: The hubs that settings and handlers name, in lower case.
        for_clients: The hubs that clients may negotiate for. ``*`` is all of them.
        only: Whether callers, too, may use only named hubs.
    """

    def __init__(self, named: Collection[str], for_clients: Collection[str], *, only: bool = False) -> None:
        self._named = frozenset(named) | frozenset(for_clients)
        self._for_clients = frozenset(for_clients)
        self._only = only

    def check_known(self, hub: str) -> None:
        """Raises ``HubNotFound`` for a hub that callers may not use."""
        if self._only and hub not in self._named:
            raise HubNotFound("No setting and no handler names this hub.")

    def check_client(self, hub: str) -> None:
        """Raises ``Forbidden`` for a hub that clients may not negotiate for.

        With tokens for any hub, they could listen to an internal one.
        """
        if hub not in self._for_clients and EVERY not in self._for_clients:
            raise Forbidden("Clients may not negotiate for this hub: name it in BRIDGE_NEGOTIATE__HUBS.")
