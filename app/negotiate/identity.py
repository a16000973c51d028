"""Who a client is, by the rules of the settings: what admits it, and what names it."""

from collections.abc import Collection, Sequence

from app.errors import Forbidden, Unauthenticated
from app.negotiate.negotiator import Admission
from app.negotiate.template import Sources, Template
from app.web.callers import CHALLENGE


class ClientRules:
    """The rules for clients. ``hubs`` are the names that clients may negotiate for; ``*`` among them means all."""

    def __init__(
        self, *, anonymous: bool, template: Template | None, hubs: Collection[str], defaults: Admission
    ) -> None:
        self._anonymous = anonymous
        self._template = template
        self._hubs = frozenset(hub.lower() for hub in hubs)
        self.defaults = defaults

    def check_open(self) -> None:
        """``Unauthenticated`` where no client is admitted, whatever it asks for."""
        if not self._anonymous:
            raise Unauthenticated("Clients without identity may not connect here.", headers=CHALLENGE)

    def admit(self, hub: str, sources: Sources) -> Admission:
        """What a client's token will say. Raises ``Unauthenticated`` and ``Forbidden``."""
        self.check_open()
        if hub not in self._hubs and "*" not in self._hubs:
            # A token for any hub would let it listen to an internal one.
            raise Forbidden("Clients may not negotiate for this hub: name it in BRIDGE_NEGOTIATE__HUBS.")
        user_id = None if self._template is None else self._template.fill(sources)
        return Admission(
            user_id=user_id,
            lifetime_seconds=self.defaults.lifetime_seconds,
            close_on_expiry=self.defaults.close_on_expiry,
        )


def group_values(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Values by name, names in lower case."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name.lower(), []).append(value)
    return values
