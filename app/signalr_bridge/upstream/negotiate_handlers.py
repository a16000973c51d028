"""The negotiate handlers of all hubs, in Python and over HTTP, by the hub that they decide about."""

from collections.abc import Callable, Iterable
from functools import partial

from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.admission import Admission, NegotiateHandler, NegotiateRequest
from signalr_bridge.upstream.dispatch import ANY
from signalr_bridge.upstream.outbox import Outbox, OutboxScope
from signalr_bridge.web.trace import acting


class NegotiateHandlers:
    """The handlers in force. Raises ``SettingsError`` for two that decide about the same clients.

    Args:
        replaceable: Those in Python, which development loads anew.
        lasting: Those over HTTP.
        outbox: By which those in Python talk to clients.
    """

    def __init__(
        self, replaceable: Iterable[NegotiateHandler], lasting: Iterable[NegotiateHandler], outbox: Outbox
    ) -> None:
        self._lasting, self._outbox = tuple(lasting), outbox
        self._by_hub: dict[str, NegotiateHandler] = {}
        self.prepare(replaceable)()

    @property
    def handlers(self) -> tuple[NegotiateHandler, ...]:
        """All of them. Each tells its hub and its source."""
        return tuple(self._by_hub.values())

    @property
    def hubs(self) -> tuple[str, ...]:
        """The hubs that they name. ``*`` is one of them when a handler decides about all others."""
        return tuple(self._by_hub)

    def find(self, hub: str) -> NegotiateHandler | None:
        """The most specific handler of a hub, whose name is in lower case. None when no handler decides there."""
        return self._by_hub.get(hub) or self._by_hub.get(ANY)

    def prepare(self, replaceable: Iterable[NegotiateHandler]) -> Callable[[], None]:
        """What lets these handlers decide from the next client on, in place of those that can be replaced.

        Raises ``SettingsError`` for two that decide about the same clients.
        """
        scoped = [_Scoped(one, self._outbox) for one in replaceable]
        return partial(self._commit, _sort([*scoped, *self._lasting]))

    def _commit(self, by_hub: dict[str, NegotiateHandler]) -> None:
        self._by_hub = by_hub


class _Scoped:
    """A handler that acts for the bridge with this outbox."""

    def __init__(self, handler: NegotiateHandler, outbox: Outbox) -> None:
        self.hub, self.source = handler.hub, handler.source
        self._handler, self._outbox = handler, outbox

    async def admit(self, request: NegotiateRequest) -> Admission | None:
        with OutboxScope(self._outbox), acting(self.source):
            return await self._handler.admit(request)


def _sort(handlers: Iterable[NegotiateHandler]) -> dict[str, NegotiateHandler]:
    found: dict[str, NegotiateHandler] = {}
    for handler in handlers:
        if (other := found.setdefault(handler.hub, handler)) is not handler:
            raise SettingsError(
                f"Two negotiate handlers decide about the same clients (hub {handler.hub}): "
                f"{other.source}, {handler.source}. Remove one of them, or name another hub."
            )
    return found
