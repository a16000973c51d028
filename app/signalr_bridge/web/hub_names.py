"""The known hubs. Clients may use only these. Callers may use every hub, unless the settings say otherwise."""

from collections.abc import Collection

from signalr_bridge.errors import Forbidden, HubNotFound

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
        self._named = frozenset(named) | frozenset(for_clients)
        self._for_clients = frozenset(for_clients)
        self._only = only

    def check_known(self, hub: str) -> None:
        """Raise ``HubNotFound`` for a hub that callers do not know."""
        if self._only and hub not in self._named:
            raise HubNotFound("No setting and no handler names this hub.")

    def check_client(self, hub: str) -> None:
        """Raise ``Forbidden`` for a hub that clients may not negotiate for.

        A client with a token for an internal hub could listen to it.
        """
        if hub not in self._for_clients and EVERY not in self._for_clients:
            raise Forbidden("Clients may not negotiate for this hub: name it in BRIDGE_NEGOTIATE__HUBS.")
