"""The first words of ``serve``: where it listens, its endpoints, its hubs and who may connect."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from signalr_bridge import __version__
from signalr_bridge.hubs import Admits, HubFacts, describe_clients
from signalr_bridge.settings import Settings
from signalr_bridge.upstream.dispatch import ANY

MOST_LINES = 20
"""The most lines about endpoints, and about hubs."""
_MOST_HANDLERS = 8

_HOW_TO_ADMIT = (
    "No client may connect by itself: set BRIDGE_NEGOTIATE__ANONYMOUS=true or BRIDGE_NEGOTIATE__JWT, or write a "
    "negotiate handler. Callers may negotiate for their clients."
)
_HOW_TO_NAME = (
    "No hub is named, so that no client may connect: set BRIDGE_NEGOTIATE__HUBS or BRIDGE_HANDLERS, or a forward's hub."
)
_LOG = logging.getLogger("signalr_bridge")


@dataclass(frozen=True, slots=True)
class Banner:
    """What ``serve`` says when it listens. It is a few sentences on a terminal, else lines with fields.

    Args:
        settings: The settings in force.
        hubs: What holds of each hub.
        others: What admits the clients of hubs that nothing names. None means that they may not be negotiated for.
        addresses: The URLs of the public listener and, where it exists, of the callers' own one.
        is_text: Whether the lines are read by people.
    """

    settings: Settings
    hubs: Sequence[HubFacts]
    others: Sequence[Admits] | None
    addresses: Sequence[str]
    is_text: bool

    def say(self) -> None:
        """Logs everything."""
        self._say_addresses()
        self._say_endpoints()
        self._say_hubs()
        self._say_whether_nobody_is_admitted()

    def _say_addresses(self) -> None:
        public, *callers = self.addresses
        where = f", for callers on {callers[0]}" if callers else ""
        _LOG.info(
            f"signalr-bridge {__version__} listens on {public}{where}" if self.is_text else "serving",
            extra={} if self.is_text else {"version": __version__, "address": ", ".join(self.addresses)},
        )

    def _say_endpoints(self) -> None:
        endpoints = self.settings.all_endpoints()
        for one in endpoints[:MOST_LINES]:
            address, credential = one.connection.endpoint, one.credential.describe()
            words = f"endpoint {one.name}: {one.endpoint_type}, {address}, {credential}"
            fields = {
                "endpoint": one.name,
                "endpoint_type": one.endpoint_type,
                "address": address,
                "credential": credential,
            }
            _LOG.info(words if self.is_text else "endpoint", extra={} if self.is_text else fields)
        self._say_more("endpoints", len(endpoints))

    def _say_hubs(self) -> None:
        for one in self.hubs[:MOST_LINES]:
            self._say_hub(one.name, _list_handlers(one), one.clients)
        self._say_more("hubs", len(self.hubs))
        if self.others is not None:
            self._say_hub(ANY, [], self.others)

    def _say_hub(self, name: str, handlers: Sequence[str], clients: Sequence[Admits]) -> None:
        words = f"hub {name}: handlers {', '.join(handlers) or 'none'}; clients {describe_clients(clients)}"
        _LOG.info(
            words if self.is_text else "hub",
            extra={} if self.is_text else {"hub": name, "handlers": [*handlers], "clients": [*clients]},
        )

    def _say_more(self, what: str, count: int) -> None:
        if count > MOST_LINES:
            _LOG.info(f"and {count - MOST_LINES} more {what}", extra={} if self.is_text else {"count": count})

    def _say_whether_nobody_is_admitted(self) -> None:
        if not self.hubs and self.others is None:
            _LOG.warning(_HOW_TO_NAME)
        elif not any(one.clients for one in self.hubs) and not self.others:
            _LOG.warning(_HOW_TO_ADMIT)


def _list_handlers(hub: HubFacts) -> list[str]:
    """The events that are answered, or who answers all of them. The longest lists are cut."""
    named = [one.source if one.event == ANY else one.event for one in hub.handlers]
    rest = len(named) - _MOST_HANDLERS
    return [*named[:_MOST_HANDLERS], *([f"{rest} more"] if rest > 0 else [])]


def write_url(host: str, port: int) -> str:
    """The URL of a listener."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
