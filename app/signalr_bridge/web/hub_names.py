"""The known hubs. Clients may use only these, callers any hub unless the settings say otherwise."""

from collections.abc import Collection

from signalr_bridge.errors import Forbidden, HubNotFound

EVERY = "*"


class HubNames:
    """The hubs that settings and handlers name.

    Args:
        named: their names, in lower case.
        for_clients: the hubs that clients may negotiate for. ``*`` stands for all.
        only: callers, too, know no other than the named ones.
        default: the hub of ``/api/negotiate``. None: there is none.
    """

    def __init__(
        self, named: Collection[str], for_clients: Collection[str], *, only: bool = False, default: str | None = None
    ) -> None:
        self.default = default
        self._named = frozenset(named) | frozenset(for_clients)
        self._for_clients = frozenset(for_clients)
        self._only = only

    def check_known(self, hub: str) -> None:
        """Raises ``HubNotFound`` for a hub that callers do not know."""
        if self._only and hub not in self._named:
            raise HubNotFound("No setting and no handler names this hub.")

    def check_client(self, hub: str) -> None:
        """Raises ``Forbidden`` for a hub that clients may not negotiate for.

        A token for any hub would let them listen to an internal one.
        """
        if hub not in self._for_clients and EVERY not in self._for_clients:
            raise Forbidden("Clients may not negotiate for this hub: name it in BRIDGE_NEGOTIATE__HUBS.")
