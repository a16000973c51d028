"""The settings of a function app, by any spelling of their names.

Source: https://learn.microsoft.com/azure/azure-functions/functions-how-to-use-azure-function-app-settings
"""

from collections.abc import Mapping

from signalr_bridge.settings.value import spell


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
