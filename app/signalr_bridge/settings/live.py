"""The settings in force, and whoever follows them: a change is taken over whole or not at all."""

import logging
from collections.abc import Callable
from typing import TypeAlias

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.changing import plan_change
from signalr_bridge.settings.loading import review
from signalr_bridge.settings.model import Settings
from signalr_bridge.settings.serving import check_servable
from signalr_bridge.settings.sources import Values

_LOG = logging.getLogger("signalr_bridge.settings")

Commit: TypeAlias = Callable[[], None]
Prepare: TypeAlias = Callable[[Settings], Commit]
"""Makes ready for new settings and gives what switches to them, which cannot fail. Raises ``SettingsError``."""


class LiveSettings:
    """``current`` are those to run with."""

    def __init__(self, settings: Settings) -> None:
        self.current = settings
        self._followers: list[Prepare] = []

    def follow(self, prepare: Prepare) -> None:
        self._followers.append(prepare)

    def take(self, values: Values) -> None:
        """Switches to what ``values`` say, as far as that may change while running. Raises ``SettingsError``."""
        wanted = review(values).accept()
        check_servable(wanted)
        change = plan_change(self.current, wanted)
        if change.waiting:
            _LOG.warning("settings changed that wait for a restart", extra={"settings": ", ".join(change.waiting)})
        if change.settings == self.current:
            return
        check_servable(change.settings)
        commits = [prepare(change.settings) for prepare in self._followers]
        for commit in commits:
            commit()
        self.current = change.settings
        _LOG.info("settings changed", extra={"changes": "; ".join(change.changed)})


def refuse(error: SettingsError) -> None:
    _LOG.error("settings refused, the old ones stay", extra={"reason": error.detail})
