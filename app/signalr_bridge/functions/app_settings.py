"""The settings of a function app, as its bindings name them: by any spelling of their names, and in ``%...%``.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-expressions-patterns#app-settings
"""

import re
from collections.abc import Mapping

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.value import spell

_NAMED = re.compile(r"%([^%]+)%")


class AppSettings:
    """Settings by their names, ignoring case. ``__`` and ``:`` are one separator.

    Args:
        values: The values by the names as they were written.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {spell(name): text.strip() for name, text in values.items()}

    def find(self, name: str) -> str:
        """The value of this name. Empty when there is none."""
        return self._values.get(spell(name.strip()), "")

    def is_on(self, name: str) -> bool:
        """Whether the value of this name is ``true`` or ``1``."""
        return self.find(name).lower() in {"true", "1"}

    def resolve(self, text: str) -> str:
        """A text with each ``%Name%`` replaced by the value of that name.

        Raises ``SettingsError`` for a name that has no value.
        """
        return _NAMED.sub(lambda match: self._take(match[1]), text)

    def _take(self, name: str) -> str:
        value = self.find(name)
        if not value:
            raise SettingsError(f"%{name}% stands for a setting that is not there. Set {name}.")
        return value
